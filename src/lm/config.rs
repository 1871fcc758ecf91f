//! The family and the shape of a model. How `config.json` tells them stands in
//! `config_file`.
use anyhow::{Result, ensure};

use super::ops::{Gelu, Heads};

/// Nothing larger is believed: a limit against files that lie.
const MAX_WIDTH: usize = 1 << 20;
const MAX_LAYERS: usize = 1 << 12;
const MAX_VOCAB: usize = 1 << 24;
const MAX_POSITIONS: usize = 1 << 24;

/// A model's family and shape.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    pub family: Family,
    pub hidden_size: usize,
    pub num_hidden_layers: usize,
    /// Divides `hidden_size`.
    pub num_attention_heads: usize,
    /// Divides `num_attention_heads`; equals it in GPT-NeoX.
    pub num_key_value_heads: usize,
    /// Columns of a head: `hidden_size` / `num_attention_heads`, in Llama any even
    /// number.
    pub head_dim: usize,
    pub intermediate_size: usize,
    /// Rows of the embedding and the head; may exceed the tokenizer's size.
    pub vocab_size: usize,
    /// Added to the mean of squares in every norm.
    pub norm_eps: f64,
    pub rope_theta: f64,
    pub tie_word_embeddings: bool,
    pub max_position_embeddings: usize,
    pub eos_token_id: Option<u32>,
    pub pad_token_id: Option<u32>,
}

/// What a block computes, with what only some families let a config choose.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Family {
    Olmo2,
    Llama,
    GptNeox(GptNeox),
}

/// The choices of GPT-NeoX.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GptNeox {
    /// Share of a head's columns that rotary positions turn.
    pub rotary_pct: f64,
    /// Whether the MLP reads the block's input, beside attention, or its result.
    pub parallel_residual: bool,
    pub gelu: Gelu,
}

impl Family {
    /// The families by their `model_type`.
    pub const NAMES: [&str; 3] = ["olmo2", "llama", "gpt_neox"];

    /// Its `model_type`.
    pub fn name(&self) -> &'static str {
        match self {
            Family::Olmo2 => "olmo2",
            Family::Llama => "llama",
            Family::GptNeox(_) => "gpt_neox",
        }
    }
}

impl Config {
    pub fn heads(&self) -> Heads {
        Heads {
            queries: self.num_attention_heads,
            keys: self.num_key_value_heads,
            dim: self.head_dim,
        }
    }

    /// How many columns of a head rotary positions turn.
    pub fn rotated(&self) -> usize {
        match self.family {
            Family::Olmo2 | Family::Llama => self.head_dim,
            // rounded down, as transformers does
            Family::GptNeox(options) => (self.head_dim as f64 * options.rotary_pct) as usize,
        }
    }

    /// Whether the numbers fit together.
    pub fn check(&self) -> Result<()> {
        self.check_ranges()?;
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
        let dim = self.head_dim;
        ensure!(
            (1..=MAX_WIDTH).contains(&dim),
            "`head_dim` is {dim}; allowed: 1 to {MAX_WIDTH}"
        );
        ensure!(
            dim == width / heads || self.family == Family::Llama,
            "`head_dim` is {dim}; supported: hidden_size / num_attention_heads = {}",
            width / heads
        );
        if let Family::GptNeox(options) = self.family {
            let (pct, rotated) = (options.rotary_pct, self.rotated());
            ensure!(
                keys == heads,
                "`num_key_value_heads` is {keys}; supported: num_attention_heads = {heads}"
            );
            ensure!(
                pct > 0.0 && pct <= 1.0 && rotated > 0 && rotated.is_multiple_of(2),
                "`rotary_pct` {pct} of a head of {dim} is {rotated} columns: rotary positions need pairs"
            );
        } else {
            ensure!(
                dim.is_multiple_of(2),
                "a head of {dim} is odd: rotary positions need pairs"
            );
        }
        Ok(())
    }

    fn check_ranges(&self) -> Result<()> {
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
        let norm_eps = match self.family {
            Family::Olmo2 | Family::Llama => "rms_norm_eps",
            Family::GptNeox(_) => "layer_norm_eps",
        };
        for (name, value) in [(norm_eps, self.norm_eps), ("rope_theta", self.rope_theta)] {
            ensure!(
                value.is_finite() && value > 0.0,
                "`{name}` is {value}; it must be positive"
            );
        }
        Ok(())
    }
}
