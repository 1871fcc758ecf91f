//! What a forward pass hands out: hidden states, and the gradients by them.
//!
//! h_0 are the embeddings, h_l the residual stream after block l, `post` the
//! output of the final norm. B sequences, T positions, D columns.
use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use candle_core::Tensor;

use super::Tap;

/// What a forward pass should hand out besides its result.
#[derive(Debug, Clone, Default)]
pub struct Observe {
    /// Layers l whose h_l is returned.
    pub states: Vec<usize>,
    /// Layers l whose gradient is kept in the backward pass; h_l is returned too.
    pub gradients: Vec<usize>,
    /// Whether the gradient by the final norm's output is kept.
    pub gradient_post: bool,
}

/// What a forward pass gives.
pub struct Forward {
    /// h_l [B, T, D] for the layers asked for, before the final norm.
    pub states: BTreeMap<usize, Tensor>,
    /// The final norm's output [B, T, D], which the head reads.
    pub post: Tensor,
    pub(super) taps: BTreeMap<usize, Tap>,
    pub(super) post_tap: Option<Tap>,
}

impl Forward {
    /// h_l [B, T, D]; an error where it was not asked for.
    pub fn state(&self, layer: usize) -> Result<&Tensor> {
        self.states
            .get(&layer)
            .with_context(|| format!("h{layer} was not observed"))
    }

    /// After a backward pass: the gradient by h_l, [B, T, D].
    pub fn gradient(&self, layer: usize) -> Result<Tensor> {
        let tap = self.taps.get(&layer);
        tap.with_context(|| format!("the gradient of h{layer} was not asked for"))?
            .gradient()
    }

    /// After a backward pass: the gradient by `post`, [B, T, D].
    pub fn gradient_post(&self) -> Result<Tensor> {
        let tap = self.post_tap.as_ref();
        tap.context("the gradient of post was not asked for")?
            .gradient()
    }
}

impl Observe {
    /// Hidden states of these layers.
    pub fn states(layers: &[usize]) -> Observe {
        Observe {
            states: layers.to_vec(),
            ..Observe::default()
        }
    }

    /// Gradients by these layers' hidden states and by the final norm's output.
    pub fn gradients(layers: &[usize]) -> Observe {
        Observe {
            gradients: layers.to_vec(),
            gradient_post: true,
            ..Observe::default()
        }
    }

    /// Lets h_l pass, and keeps of it what was asked for.
    pub(super) fn see(
        &self,
        layer: usize,
        mut h: Tensor,
        states: &mut BTreeMap<usize, Tensor>,
        taps: &mut BTreeMap<usize, Tap>,
    ) -> Result<Tensor> {
        let tapped = self.gradients.contains(&layer);
        if tapped {
            let (same, tap) = Tap::of(&h, &format!("h{layer}"))?;
            taps.insert(layer, tap);
            h = same;
        }
        if tapped || self.states.contains(&layer) {
            states.insert(layer, h.clone());
        }
        Ok(h)
    }

    /// Whether any gradient is asked for.
    pub(super) fn wants_gradients(&self) -> bool {
        self.gradient_post || !self.gradients.is_empty()
    }

    /// Whether every layer asked for exists in a model of `blocks` blocks.
    pub(super) fn check(&self, blocks: usize) -> Result<()> {
        for &l in self.states.iter().chain(&self.gradients) {
            ensure!(
                l <= blocks,
                "h{l} was asked for; the model has h0 to h{blocks}"
            );
        }
        Ok(())
    }
}
