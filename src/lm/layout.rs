//! How a family names its parameters in transformers' files, and their shapes:
//! embedding, final norm and head, and the same tensors in every block.
use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use candle_core::{Tensor, Var};

use super::{Config, config::Family, gpt_neox, llama, olmo2};

/// The parameters of a model of one family and config.
pub(super) struct Layout {
    pub(super) embedding: &'static str,
    /// Without `.weight`; a family with a `norm_bias` has `.bias` beside it.
    pub(super) norm: &'static str,
    pub(super) norm_bias: bool,
    /// In no file where it is tied to the embedding.
    pub(super) head: &'static str,
    /// Blocks are `{layers}.{l}`.
    pub(super) layers: &'static str,
    /// Name below the block, and shape.
    pub(super) block: Vec<(&'static str, Vec<usize>)>,
    /// Ends of the names of tensors that some files hold beside the parameters:
    /// what older versions kept of masks and rotations.
    pub(super) buffers: &'static [&'static str],
}

impl Layout {
    pub(super) fn of(config: &Config) -> Layout {
        match config.family {
            Family::Olmo2 => olmo2::layout(config),
            Family::Llama => llama::layout(config),
            Family::GptNeox(_) => gpt_neox::layout(config),
        }
    }

    /// Every parameter's name and shape.
    pub(super) fn shapes(&self, config: &Config) -> Vec<(String, Vec<usize>)> {
        let (d, v) = (config.hidden_size, config.vocab_size);
        let mut shapes = vec![
            (self.embedding.to_owned(), vec![v, d]),
            (format!("{}.weight", self.norm), vec![d]),
        ];
        if self.norm_bias {
            shapes.push((format!("{}.bias", self.norm), vec![d]));
        }
        if !config.tie_word_embeddings {
            shapes.push((self.head.to_owned(), vec![v, d]));
        }
        for l in 0..config.num_hidden_layers {
            for (name, shape) in &self.block {
                shapes.push((format!("{}.{l}.{name}", self.layers), shape.clone()));
            }
        }
        shapes
    }
}

/// Parameters as a model computes with them, by name.
pub(super) struct Weights<'a> {
    pub(super) parameters: &'a BTreeMap<String, Var>,
    /// Whether gradients reach them.
    pub(super) tracked: bool,
}

impl Weights<'_> {
    pub(super) fn get(&self, name: &str) -> Result<Tensor> {
        let var = self.parameters.get(name);
        let var = var.with_context(|| format!("tensor `{name}` is missing"))?;
        Ok(if self.tracked {
            var.as_tensor().clone()
        } else {
            var.as_detached_tensor()
        })
    }
}
