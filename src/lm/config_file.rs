//! `config.json` read and written.
//!
//! Accepts what transformers writes (old and new places of rotary positions, and
//! its defaults where a family's files leave something out), refuses what is not
//! computed here, and writes a file that transformers loads.
use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    config::{Config, Family, GptNeox},
    ops::Gelu,
};

/// transformers' default base of rotary positions, which Amber relies on.
const ROPE_THETA: f64 = 10_000.0;
/// transformers' default share of rotated columns in GPT-NeoX.
const ROTARY_PCT: f64 = 0.25;

/// `config.json` as written; fields that are not listed are ignored.
#[derive(Deserialize)]
struct Written {
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    intermediate_size: usize,
    vocab_size: usize,
    rms_norm_eps: Option<f64>,
    layer_norm_eps: Option<f64>,
    rope_theta: Option<f64>,
    /// `rope_theta` in GPT-NeoX.
    rotary_emb_base: Option<f64>,
    rotary_pct: Option<f64>,
    /// Where transformers 5 puts `rope_theta` and `rotary_pct`.
    rope_parameters: Option<RopeParameters>,
    rope_scaling: Option<RopeParameters>,
    #[serde(default)]
    rope_interleaved: bool,
    #[serde(default)]
    tie_word_embeddings: bool,
    max_position_embeddings: usize,
    attention_bias: Option<bool>,
    #[serde(default)]
    mlp_bias: bool,
    clip_qkv: Option<f64>,
    hidden_act: Option<String>,
    use_parallel_residual: Option<bool>,
    eos_token_id: Option<Value>,
    pad_token_id: Option<Value>,
}

#[derive(Deserialize)]
struct RopeParameters {
    rope_theta: Option<f64>,
    partial_rotary_factor: Option<f64>,
    rope_type: Option<String>,
    /// `rope_type` in older files; some have both.
    r#type: Option<String>,
}

impl Config {
    /// Reads the text of a `config.json`.
    pub fn parse(text: &str) -> Result<Config> {
        let value: Value = serde_json::from_str(text).context("not JSON")?;
        let supported = Family::NAMES.join("`, `");
        let name = value.get("model_type").and_then(Value::as_str);
        let name =
            name.with_context(|| format!("`model_type` is missing; supported: `{supported}`"))?;
        let name = name.to_owned();
        ensure!(
            Family::NAMES.contains(&name.as_str()),
            "`model_type` is `{name}`; supported: `{supported}`"
        );
        let written: Written = serde_json::from_value(value)?;
        let family = written.family(&name)?;
        written.refuse_what_is_not_computed(family)?;
        let config = written.config(family)?;
        config.check()?;
        Ok(config)
    }

    /// A `config.json` for weights in float32; the same config gives the same bytes.
    pub fn to_json(&self) -> String {
        let mut value = json!({
            "attention_dropout": 0.0,
            "bos_token_id": null,
            "eos_token_id": self.eos_token_id,
            "hidden_size": self.hidden_size,
            "initializer_range": 0.02,
            "intermediate_size": self.intermediate_size,
            "max_position_embeddings": self.max_position_embeddings,
            "model_type": self.family.name(),
            "num_attention_heads": self.num_attention_heads,
            "num_hidden_layers": self.num_hidden_layers,
            "pad_token_id": self.pad_token_id,
            "rope_scaling": null,
            "tie_word_embeddings": self.tie_word_embeddings,
            "torch_dtype": "float32",
            "use_cache": true,
            "vocab_size": self.vocab_size,
        });
        let gated = json!({
            "attention_bias": false,
            "hidden_act": "silu",
            "num_key_value_heads": self.num_key_value_heads,
            "rms_norm_eps": self.norm_eps,
            "rope_theta": self.rope_theta,
        });
        let more = match self.family {
            Family::Olmo2 => vec![gated, json!({ "architectures": ["Olmo2ForCausalLM"] })],
            Family::Llama => vec![
                gated,
                json!({
                    "architectures": ["LlamaForCausalLM"],
                    "head_dim": self.head_dim,
                    "mlp_bias": false,
                }),
            ],
            Family::GptNeox(options) => vec![json!({
                "architectures": ["GPTNeoXForCausalLM"],
                "attention_bias": true,
                "hidden_act": match options.gelu {
                    Gelu::Exact => "gelu",
                    Gelu::Tanh => "gelu_new",
                },
                "layer_norm_eps": self.norm_eps,
                "rotary_emb_base": self.rope_theta,
                "rotary_pct": options.rotary_pct,
                "use_parallel_residual": options.parallel_residual,
            })],
        };
        for more in more {
            for (name, more) in more.as_object().into_iter().flatten() {
                value[name] = more.clone();
            }
        }
        format!("{value:#}\n")
    }
}

impl Written {
    fn family(&self, name: &str) -> Result<Family> {
        let act = self.hidden_act.as_deref();
        if name == "gpt_neox" {
            return Ok(Family::GptNeox(GptNeox {
                rotary_pct: one_of(
                    ("rotary_pct", self.rotary_pct),
                    (
                        "partial_rotary_factor",
                        self.rope(|rope| rope.partial_rotary_factor),
                    ),
                )?
                .unwrap_or(ROTARY_PCT),
                parallel_residual: self.use_parallel_residual.unwrap_or(true),
                gelu: match act.unwrap_or("gelu") {
                    "gelu" => Gelu::Exact,
                    "gelu_new" | "gelu_fast" | "gelu_pytorch_tanh" => Gelu::Tanh,
                    act => bail!(
                        "`hidden_act` is `{act}`; supported: `gelu`, `gelu_new`, `gelu_fast`, `gelu_pytorch_tanh`"
                    ),
                },
            }));
        }
        let act = act.unwrap_or("silu");
        ensure!(act == "silu", "`hidden_act` is `{act}`; supported: `silu`");
        Ok(match name {
            "llama" => Family::Llama,
            _ => Family::Olmo2,
        })
    }

    fn refuse_what_is_not_computed(&self, family: Family) -> Result<()> {
        if let Family::GptNeox(_) = family {
            ensure!(
                self.attention_bias.unwrap_or(true),
                "`attention_bias` = false is not supported"
            );
        } else {
            let biased = self.attention_bias.unwrap_or(false);
            ensure!(!biased, "`attention_bias` is not supported");
        }
        ensure!(!self.mlp_bias, "`mlp_bias` is not supported");
        ensure!(self.clip_qkv.is_none(), "`clip_qkv` is not supported");
        ensure!(
            !self.rope_interleaved,
            "`rope_interleaved` is not supported"
        );
        for (place, rope) in [
            ("rope_parameters", &self.rope_parameters),
            ("rope_scaling", &self.rope_scaling),
        ] {
            let kinds = (rope.iter()).flat_map(|rope| [&rope.rope_type, &rope.r#type]);
            ensure!(
                kinds.flatten().all(|kind| kind == "default"),
                "scaled rotary positions (`{place}`) are not supported"
            );
        }
        Ok(())
    }

    fn config(&self, family: Family) -> Result<Config> {
        let (norm_eps, theta) = match family {
            Family::Olmo2 | Family::Llama => (
                ("rms_norm_eps", self.rms_norm_eps),
                ("rope_theta", self.rope_theta),
            ),
            Family::GptNeox(_) => (
                ("layer_norm_eps", self.layer_norm_eps),
                ("rotary_emb_base", self.rotary_emb_base),
            ),
        };
        let theta = one_of(theta, ("rope_theta", self.rope(|rope| rope.rope_theta)))?;
        let heads = self.num_attention_heads;
        Ok(Config {
            family,
            hidden_size: self.hidden_size,
            num_hidden_layers: self.num_hidden_layers,
            num_attention_heads: heads,
            num_key_value_heads: self.num_key_value_heads.unwrap_or(heads),
            head_dim: (self.head_dim)
                .or(self.hidden_size.checked_div(heads))
                .unwrap_or(0),
            intermediate_size: self.intermediate_size,
            vocab_size: self.vocab_size,
            norm_eps: (norm_eps.1).with_context(|| format!("`{}` is missing", norm_eps.0))?,
            rope_theta: match family {
                Family::Olmo2 => theta.context("`rope_theta` is missing")?,
                Family::Llama | Family::GptNeox(_) => theta.unwrap_or(ROPE_THETA),
            },
            tie_word_embeddings: self.tie_word_embeddings,
            max_position_embeddings: self.max_position_embeddings,
            eos_token_id: token_id(self.eos_token_id.as_ref()),
            pad_token_id: token_id(self.pad_token_id.as_ref()),
        })
    }

    fn rope(&self, field: impl Fn(&RopeParameters) -> Option<f64>) -> Option<f64> {
        let rope = self.rope_scaling.as_ref().or(self.rope_parameters.as_ref());
        rope.and_then(field)
    }
}

/// A number that may stand in an old place, in a new one below
/// `rope_parameters`, or in both if they agree.
fn one_of(
    (old_name, old): (&str, Option<f64>),
    (new_name, new): (&str, Option<f64>),
) -> Result<Option<f64>> {
    if let (Some(old), Some(new)) = (old, new) {
        ensure!(
            old == new,
            "`{old_name}` is {old}, but `rope_parameters.{new_name}` is {new}"
        );
    }
    Ok(old.or(new))
}

/// A token id, or the first of several.
fn token_id(value: Option<&Value>) -> Option<u32> {
    let first = match value? {
        Value::Array(several) => several.first()?,
        one => one,
    };
    u32::try_from(first.as_u64()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(edit: impl Fn(&mut Value)) -> String {
        let mut value = json!({
            "model_type": "olmo2", "hidden_size": 64, "num_hidden_layers": 3,
            "num_attention_heads": 4, "intermediate_size": 160, "vocab_size": 264,
            "rms_norm_eps": 1e-6, "rope_theta": 500_000.0, "max_position_embeddings": 128,
            "eos_token_id": [260, 261],
        });
        edit(&mut value);
        value.to_string()
    }

    /// As of SmolLM2.
    fn llama(edit: impl Fn(&mut Value)) -> String {
        text(|v| {
            v["model_type"] = json!("llama");
            v["num_key_value_heads"] = json!(2);
            v["rope_interleaved"] = json!(false);
            v["tie_word_embeddings"] = json!(true);
            edit(v);
        })
    }

    /// As of Pythia.
    fn neox(edit: impl Fn(&mut Value)) -> String {
        let mut value = json!({
            "model_type": "gpt_neox", "hidden_size": 64, "num_hidden_layers": 3,
            "num_attention_heads": 4, "intermediate_size": 160, "vocab_size": 264,
            "layer_norm_eps": 1e-5, "rotary_emb_base": 10_000, "rotary_pct": 0.25,
            "max_position_embeddings": 128, "use_parallel_residual": true,
            "hidden_act": "gelu", "eos_token_id": 0,
        });
        edit(&mut value);
        value.to_string()
    }

    fn fault_of(text: &str) -> String {
        format!("{:#}", Config::parse(text).unwrap_err())
    }

    fn fault(edit: impl Fn(&mut Value)) -> String {
        fault_of(&text(edit))
    }

    #[test]
    fn round_trips() {
        let config = Config::parse(&text(|_| {})).unwrap();
        assert_eq!(config.num_key_value_heads, 4);
        assert_eq!(config.eos_token_id, Some(260));
        let wide = llama(|v| v["head_dim"] = json!(24));
        let tanh = neox(|v| v["hidden_act"] = json!("gelu_new"));
        for text in [text(|_| {}), llama(|_| {}), wide, neox(|_| {}), tanh] {
            let config = Config::parse(&text).unwrap();
            assert_eq!(Config::parse(&config.to_json()).unwrap(), config);
            assert_eq!(config.to_json(), config.clone().to_json());
        }
    }

    #[test]
    fn the_file_of_a_pretrained_ladder_stays_as_it_was() {
        let written = Config::parse(&text(|_| {})).unwrap().to_json();
        assert!(
            written.starts_with("{\n  \"architectures\": [\n    \"Olmo2ForCausalLM\"\n  ],\n  \"attention_bias\": false,\n  \"attention_dropout\": 0.0,"),
            "{written}"
        );
        let value: Value = serde_json::from_str(&written).unwrap();
        assert_eq!(value.as_object().unwrap().len(), 22);
    }

    #[test]
    fn transformers_5_spelling() {
        let rope =
            json!({ "rope_theta": 10_000.0, "rope_type": "default", "partial_rotary_factor": 0.5 });
        let config = Config::parse(&text(|v| {
            v["rope_theta"] = Value::Null;
            v["rope_parameters"] = rope.clone();
        }));
        assert_eq!(config.unwrap().rope_theta, 10_000.0);
        let config = Config::parse(&neox(|v| {
            v["rotary_pct"] = Value::Null;
            v["rope_parameters"] = rope.clone();
        }))
        .unwrap();
        assert_eq!((config.rotated(), config.rope_theta), (8, 10_000.0));
        assert_eq!(
            fault(|v| v["rope_parameters"] = rope.clone()),
            "`rope_theta` is 500000, but `rope_parameters.rope_theta` is 10000"
        );
    }

    #[test]
    fn what_files_leave_out_is_transformers_default() {
        let amber = Config::parse(&llama(|v| v["rope_theta"] = Value::Null)).unwrap();
        assert_eq!((amber.rope_theta, amber.head_dim), (10_000.0, 16));
        let pythia = Config::parse(&neox(|v| {
            for name in [
                "rotary_emb_base",
                "rotary_pct",
                "use_parallel_residual",
                "hidden_act",
            ] {
                v[name] = Value::Null;
            }
        }));
        assert_eq!(pythia.unwrap(), Config::parse(&neox(|_| {})).unwrap());
        let scaling = llama(|v| v["rope_scaling"] = json!({ "type": "default" }));
        assert!(Config::parse(&scaling).is_ok());
    }

    #[test]
    fn faults_say_what_and_what_is_allowed() {
        assert_eq!(
            fault(|v| v["model_type"] = json!("mistral")),
            "`model_type` is `mistral`; supported: `olmo2`, `llama`, `gpt_neox`"
        );
        assert_eq!(
            fault(|v| v["model_type"] = json!(7)),
            "`model_type` is missing; supported: `olmo2`, `llama`, `gpt_neox`"
        );
        assert_eq!(
            fault(|v| v["num_attention_heads"] = json!(5)),
            "`hidden_size` 64 is not a multiple of `num_attention_heads` 5"
        );
        assert_eq!(
            fault(|v| v["num_attention_heads"] = json!(0)),
            "`num_attention_heads` is 0; allowed: 1 to 1048576"
        );
        assert_eq!(
            fault(|v| v["num_key_value_heads"] = json!(3)),
            "`num_attention_heads` 4 is not a multiple of `num_key_value_heads` 3"
        );
        assert_eq!(
            fault(|v| v["num_attention_heads"] = json!(64)),
            "a head of 1 is odd: rotary positions need pairs"
        );
        assert_eq!(
            fault(|v| v["head_dim"] = json!(8)),
            "`head_dim` is 8; supported: hidden_size / num_attention_heads = 16"
        );
        assert_eq!(
            fault(|v| v["vocab_size"] = json!(0)),
            "`vocab_size` is 0; allowed: 1 to 16777216"
        );
        assert_eq!(
            fault(|v| v["num_hidden_layers"] = json!(1u64 << 40)),
            "`num_hidden_layers` is 1099511627776; allowed: 1 to 4096"
        );
        assert_eq!(
            fault(|v| v["rms_norm_eps"] = json!(-1.0)),
            "`rms_norm_eps` is -1; it must be positive"
        );
        assert_eq!(
            fault(|v| v["rms_norm_eps"] = Value::Null),
            "`rms_norm_eps` is missing"
        );
        assert_eq!(
            fault(|v| v["hidden_act"] = json!("gelu")),
            "`hidden_act` is `gelu`; supported: `silu`"
        );
        assert_eq!(
            fault(|v| v["rope_scaling"] = json!({ "type": "yarn" })),
            "scaled rotary positions (`rope_scaling`) are not supported"
        );
        assert_eq!(
            fault(|v| v["rope_theta"] = Value::Null),
            "`rope_theta` is missing"
        );
    }

    #[test]
    fn what_a_family_does_not_compute_is_refused() {
        for (name, text) in [
            (
                "attention_bias",
                llama(|v| v["attention_bias"] = json!(true)),
            ),
            ("mlp_bias", llama(|v| v["mlp_bias"] = json!(true))),
            (
                "rope_interleaved",
                llama(|v| v["rope_interleaved"] = json!(true)),
            ),
        ] {
            assert_eq!(fault_of(&text), format!("`{name}` is not supported"));
        }
        let rope = json!({ "rope_theta": 500_000.0, "rope_type": "llama3", "factor": 8.0 });
        assert_eq!(
            fault_of(&llama(|v| v["rope_parameters"] = rope.clone())),
            "scaled rotary positions (`rope_parameters`) are not supported"
        );
        assert_eq!(
            fault_of(&llama(|v| v["head_dim"] = json!(1u64 << 32))),
            "`head_dim` is 4294967296; allowed: 1 to 1048576"
        );
        assert_eq!(
            fault_of(&llama(|v| v["head_dim"] = json!(0))),
            "`head_dim` is 0; allowed: 1 to 1048576"
        );
        assert_eq!(
            fault_of(&neox(|v| v["attention_bias"] = json!(false))),
            "`attention_bias` = false is not supported"
        );
        assert_eq!(
            fault_of(&neox(|v| v["hidden_act"] = json!("relu"))),
            "`hidden_act` is `relu`; supported: `gelu`, `gelu_new`, `gelu_fast`, `gelu_pytorch_tanh`"
        );
        for (pct, columns) in [(0.2, 3), (0.01, 0), (1.5, 24), (-1.0, 0)] {
            assert_eq!(
                fault_of(&neox(|v| v["rotary_pct"] = json!(pct))),
                format!(
                    "`rotary_pct` {pct} of a head of 16 is {columns} columns: rotary positions need pairs"
                )
            );
        }
        assert_eq!(
            fault_of(&neox(|v| v["layer_norm_eps"] = json!(0.0))),
            "`layer_norm_eps` is 0; it must be positive"
        );
        assert_eq!(
            fault_of(&neox(|v| v["num_key_value_heads"] = json!(2))),
            "`num_key_value_heads` is 2; supported: num_attention_heads = 4"
        );
    }
}
