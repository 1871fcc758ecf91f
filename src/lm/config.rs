//! The shape of a model, as `config.json` tells it.
//!
//! Accepts what transformers writes (old and new places of `rope_theta`),
//! refuses what the family here does not compute, and writes a file that
//! transformers loads.
use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;
use serde_json::{Value, json};

use super::ops::Heads;

/// Nothing larger is believed: a limit against files that lie.
const MAX_WIDTH: usize = 1 << 20;
const MAX_LAYERS: usize = 1 << 12;
const MAX_VOCAB: usize = 1 << 24;
const MAX_POSITIONS: usize = 1 << 24;

/// An OLMo-2 model's shape.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    pub hidden_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    /// Divides `num_attention_heads`.
    pub num_key_value_heads: usize,
    pub intermediate_size: usize,
    /// Rows of the embedding and the head; may exceed the tokenizer's size.
    pub vocab_size: usize,
    pub rms_norm_eps: f64,
    pub rope_theta: f64,
    pub tie_word_embeddings: bool,
    pub max_position_embeddings: usize,
    pub eos_token_id: Option<u32>,
    pub pad_token_id: Option<u32>,
}

/// `config.json` as written; fields that are not listed are ignored.
#[derive(Deserialize)]
struct Written {
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    intermediate_size: usize,
    vocab_size: usize,
    rms_norm_eps: f64,
    rope_theta: Option<f64>,
    /// Where transformers 5 puts `rope_theta`.
    rope_parameters: Option<RopeParameters>,
    rope_scaling: Option<Value>,
    #[serde(default)]
    tie_word_embeddings: bool,
    max_position_embeddings: usize,
    #[serde(default)]
    attention_bias: bool,
    clip_qkv: Option<f64>,
    hidden_act: Option<String>,
    head_dim: Option<usize>,
    eos_token_id: Option<Value>,
    pad_token_id: Option<Value>,
}

#[derive(Deserialize)]
struct RopeParameters {
    rope_theta: Option<f64>,
    rope_type: Option<String>,
}

impl Config {
    /// The model families that are computed here.
    pub const FAMILIES: &[&str] = &["olmo2"];

    /// Reads the text of a `config.json`.
    pub fn parse(text: &str) -> Result<Config> {
        let value: Value = serde_json::from_str(text).context("not JSON")?;
        match value.get("model_type").and_then(Value::as_str) {
            Some(family) if Config::FAMILIES.contains(&family) => {}
            Some(family) => bail!(
                "`model_type` is `{family}`; supported: `{}`",
                Config::FAMILIES.join("`, `")
            ),
            None => bail!(
                "`model_type` is missing; supported: `{}`",
                Config::FAMILIES.join("`, `")
            ),
        }
        let written: Written = serde_json::from_value(value)?;
        written.refuse_what_is_not_computed()?;
        let rope_parameters = written.rope_parameters.as_ref();
        let config = Config {
            hidden_size: written.hidden_size,
            num_hidden_layers: written.num_hidden_layers,
            num_attention_heads: written.num_attention_heads,
            num_key_value_heads: written
                .num_key_value_heads
                .unwrap_or(written.num_attention_heads),
            intermediate_size: written.intermediate_size,
            vocab_size: written.vocab_size,
            rms_norm_eps: written.rms_norm_eps,
            rope_theta: written
                .rope_theta
                .or(rope_parameters.and_then(|rope| rope.rope_theta))
                .context("`rope_theta` is missing")?,
            tie_word_embeddings: written.tie_word_embeddings,
            max_position_embeddings: written.max_position_embeddings,
            eos_token_id: token_id(written.eos_token_id.as_ref()),
            pad_token_id: token_id(written.pad_token_id.as_ref()),
        };
        config.check()?;
        if let Some(head_dim) = written.head_dim {
            let expected = config.heads().dim;
            ensure!(
                head_dim == expected,
                "`head_dim` is {head_dim}; supported: hidden_size / num_attention_heads = {expected}"
            );
        }
        Ok(config)
    }

    /// Whether the numbers fit together.
    pub fn check(&self) -> Result<()> {
        for (name, value, limit) in [
            ("hidden_size", self.hidden_size, MAX_WIDTH),
            ("num_hidden_layers", self.num_hidden_layers, MAX_LAYERS),
            ("num_attention_heads", self.num_attention_heads, MAX_WIDTH),
            ("num_key_value_heads", self.num_key_value_heads, MAX_WIDTH),
            ("intermediate_size", self.intermediate_size, MAX_WIDTH),
            ("vocab_size", self.vocab_size, MAX_VOCAB),
            (
                "max_position_embeddings",
                self.max_position_embeddings,
                MAX_POSITIONS,
            ),
        ] {
            ensure!(
                (1..=limit).contains(&value),
                "`{name}` is {value}; allowed: 1 to {limit}"
            );
        }
        let (width, heads, keys) = (
            self.hidden_size,
            self.num_attention_heads,
            self.num_key_value_heads,
        );
        ensure!(
            width % heads == 0,
            "`hidden_size` {width} is not a multiple of `num_attention_heads` {heads}"
        );
        ensure!(
            heads % keys == 0,
            "`num_attention_heads` {heads} is not a multiple of `num_key_value_heads` {keys}"
        );
        ensure!(
            (width / heads) % 2 == 0,
            "a head of {} is odd: rotary positions need pairs",
            width / heads
        );
        for (name, value) in [
            ("rms_norm_eps", self.rms_norm_eps),
            ("rope_theta", self.rope_theta),
        ] {
            ensure!(
                value.is_finite() && value > 0.0,
                "`{name}` is {value}; it must be positive"
            );
        }
        Ok(())
    }

    pub fn heads(&self) -> Heads {
        Heads {
            queries: self.num_attention_heads,
            keys: self.num_key_value_heads,
            dim: self.hidden_size / self.num_attention_heads,
        }
    }

    /// A `config.json` for weights in float32; the same config gives the same bytes.
    pub fn to_json(&self) -> String {
        let value = json!({
            "architectures": ["Olmo2ForCausalLM"],
            "attention_bias": false,
            "attention_dropout": 0.0,
            "bos_token_id": null,
            "eos_token_id": self.eos_token_id,
            "hidden_act": "silu",
            "hidden_size": self.hidden_size,
            "initializer_range": 0.02,
            "intermediate_size": self.intermediate_size,
            "max_position_embeddings": self.max_position_embeddings,
            "model_type": "olmo2",
            "num_attention_heads": self.num_attention_heads,
            "num_hidden_layers": self.num_hidden_layers,
            "num_key_value_heads": self.num_key_value_heads,
            "pad_token_id": self.pad_token_id,
            "rms_norm_eps": self.rms_norm_eps,
            "rope_scaling": null,
            "rope_theta": self.rope_theta,
            "tie_word_embeddings": self.tie_word_embeddings,
            "torch_dtype": "float32",
            "use_cache": true,
            "vocab_size": self.vocab_size,
        });
        format!("{value:#}\n")
    }
}

impl Written {
    fn refuse_what_is_not_computed(&self) -> Result<()> {
        ensure!(!self.attention_bias, "`attention_bias` is not supported");
        ensure!(self.clip_qkv.is_none(), "`clip_qkv` is not supported");
        let scaled = self.rope_scaling.as_ref().is_some_and(|v| !v.is_null());
        let rope_type = self
            .rope_parameters
            .as_ref()
            .and_then(|rope| rope.rope_type.as_deref());
        ensure!(
            !scaled && matches!(rope_type, None | Some("default")),
            "scaled rotary positions (`rope_scaling`) are not supported"
        );
        if let Some(act) = self.hidden_act.as_deref() {
            ensure!(act == "silu", "`hidden_act` is `{act}`; supported: `silu`");
        }
        Ok(())
    }
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

    fn fault(edit: impl Fn(&mut Value)) -> String {
        format!("{:#}", Config::parse(&text(edit)).unwrap_err())
    }

    #[test]
    fn round_trips() {
        let config = Config::parse(&text(|_| {})).unwrap();
        assert_eq!(config.num_key_value_heads, 4);
        assert_eq!(config.eos_token_id, Some(260));
        assert_eq!(Config::parse(&config.to_json()).unwrap(), config);
        assert_eq!(config.to_json(), config.clone().to_json());
    }

    #[test]
    fn transformers_5_spelling() {
        let config = Config::parse(&text(|v| {
            v["rope_theta"] = Value::Null;
            v["rope_parameters"] = json!({ "rope_theta": 10_000.0, "rope_type": "default" });
        }));
        assert_eq!(config.unwrap().rope_theta, 10_000.0);
    }

    #[test]
    fn faults_say_what_and_what_is_allowed() {
        assert_eq!(
            fault(|v| v["model_type"] = json!("gpt_neox")),
            "`model_type` is `gpt_neox`; supported: `olmo2`"
        );
        assert_eq!(
            fault(|v| v["num_attention_heads"] = json!(5)),
            "`hidden_size` 64 is not a multiple of `num_attention_heads` 5"
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
}
