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
