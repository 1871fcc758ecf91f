//! A language model of any family: embedding, blocks, final norm, head.
//!
//! Shapes: B sequences, T positions, D = hidden_size, V = vocab_size. Weights
//! are [out, in]. h_l is the residual stream after block l, h_0 the embeddings.
//! What a block computes stands in the file of its family.
use std::collections::BTreeMap;

use anyhow::Result;
use candle_core::{DType, Device, Tensor, Var};

use super::{
    Batch, Config, Forward, Observe, Tap,
    config::Family,
    gpt_neox,
    layout::{Layout, Weights},
    llama, olmo2,
    ops::{Rope, layer_norm, linear, rms_norm},
};

/// One block of a family.
pub(super) trait Block {
    /// h_(l-1) [B, T, D] to h_l; of the last positions `only`, [B, D], where a
    /// batch is given.
    fn forward(
        &self,
        config: &Config,
        h: &Tensor,
        rope: &Rope,
        only: Option<&Batch>,
    ) -> Result<Tensor>;
}

/// A language model with its parameters.
pub struct Model {
    config: Config,
    parameters: BTreeMap<String, Var>,
    embedding: Tensor, // [V, D]
    blocks: Vec<Box<dyn Block>>,
    norm: Tensor,              // [D]
    norm_bias: Option<Tensor>, // [D]; where there is one, the norm is a layer norm
    head: Tensor,              // [V, D]; the embedding where tied
}

impl Model {
    /// Logits come from [`Model::head`] of `post`, so that only the positions
    /// that matter need be multiplied by the vocabulary.
    pub fn forward(&self, batch: &Batch, observe: &Observe) -> Result<Forward> {
        self.forward_from(&self.embed(batch)?, observe)
    }

    /// The input embeddings of a batch: h_0 [B, T, D].
    pub fn embed(&self, batch: &Batch) -> Result<Tensor> {
        let limit = self.config.max_position_embeddings;
        batch.check(self.config.vocab_size, limit)?;
        let ids = batch.ids().flatten_all()?; // [B T]
        let rows = self.embedding.index_select(&ids, 0)?;
        Ok(rows.reshape((batch.size(), batch.time(), self.config.hidden_size))?)
    }

    /// The forward pass from given embeddings h_0 [B, T, D]. Where gradients are
    /// asked for and h_0 depends on no variable, it becomes one.
    pub fn forward_from(&self, embeddings: &Tensor, observe: &Observe) -> Result<Forward> {
        observe.check(self.blocks.len())?;
        let mut h = embeddings.clone(); // [B, T, D]
        if !h.track_op() && observe.wants_gradients() {
            h = Var::from_tensor(&h)?.into_inner();
        }
        let rope = self.rope(&h)?;
        let (mut states, mut taps) = (BTreeMap::new(), BTreeMap::new());
        h = observe.see(0, h, &mut states, &mut taps)?;
        for (l, block) in self.blocks.iter().enumerate() {
            h = block.forward(&self.config, &h, &rope, None)?;
            h = observe.see(l + 1, h, &mut states, &mut taps)?;
        }
        let mut post = self.final_norm(&h)?;
        let mut post_tap = None;
        if observe.gradient_post {
            let (tapped, tap) = Tap::of(&post, "post")?;
            (post, post_tap) = (tapped, Some(tap));
        }
        Ok(Forward {
            states,
            post,
            taps,
            post_tap,
        })
    }

    /// The final norm's output at the last position of each sequence: [B, D], as
    /// [`super::last_positions`] of `post`, without the work of the last block
    /// that only other positions would use (a quarter of a model of three blocks).
    pub fn forward_last(&self, batch: &Batch) -> Result<Tensor> {
        let mut h = self.embed(batch)?; // [B, T, D]
        let rope = self.rope(&h)?;
        for (l, block) in self.blocks.iter().enumerate() {
            let only = (l + 1 == self.blocks.len()).then_some(batch);
            h = block.forward(&self.config, &h, &rope, only)?; // [B, D] after the last
        }
        self.final_norm(&h)
    }

    fn rope(&self, h: &Tensor) -> Result<Rope> {
        let (_, time, _) = h.dims3()?;
        let config = &self.config;
        let (dim, rotated) = (config.head_dim, config.rotated());
        Ok(Rope::partial(time, dim, rotated, config.rope_theta))
    }

    /// The final norm of residual states [.., D].
    pub fn final_norm(&self, h: &Tensor) -> Result<Tensor> {
        let eps = self.config.norm_eps;
        Ok(match &self.norm_bias {
            None => rms_norm(h, &self.norm, eps)?,
            Some(bias) => layer_norm(h, &self.norm, bias, eps)?,
        })
    }

    /// Logits z = W h (eq. 13) of normed states: [.., D] to [.., V].
    pub fn head(&self, post: &Tensor) -> Result<Tensor> {
        Ok(linear(post, &self.head)?)
    }

    /// W [V, D], the embedding where tied; padded rows included.
    pub fn head_weight(&self) -> Result<Tensor> {
        Ok(self.head.detach())
    }

    /// The input embedding E [V, D].
    pub fn embedding_weight(&self) -> Result<Tensor> {
        Ok(self.embedding.detach())
    }

    /// The weight g of the final norm, `[D]`.
    pub fn final_norm_weight(&self) -> &Tensor {
        &self.norm
    }

    /// The bias b of the final norm, `[D]`, in families whose norm is a layer
    /// norm, h = g o (u - mean(u)) * rho + b; elsewhere it is an RMS norm.
    pub fn final_norm_bias(&self) -> Option<&Tensor> {
        self.norm_bias.as_ref()
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    pub fn device(&self) -> &Device {
        self.norm.device()
    }

    pub fn dtype(&self) -> DType {
        self.norm.dtype()
    }

    /// All parameters by their names in transformers' files, such as
    /// `model.layers.0.self_attn.q_proj.weight`.
    pub fn parameters(&self) -> &BTreeMap<String, Var> {
        &self.parameters
    }

    /// A model of these parameters; `tracked`: whether gradients reach them.
    pub(super) fn build(
        config: Config,
        parameters: BTreeMap<String, Var>,
        tracked: bool,
    ) -> Result<Model> {
        let layout = Layout::of(&config);
        let weights = Weights {
            parameters: &parameters,
            tracked,
        };
        let embedding = weights.get(layout.embedding)?;
        let head = if config.tie_word_embeddings {
            embedding.clone()
        } else {
            weights.get(layout.head)?
        };
        let block = |l: usize| -> Result<Box<dyn Block>> {
            let weight = |name: &str| weights.get(&format!("{}.{l}.{name}", layout.layers));
            Ok(match config.family {
                Family::Olmo2 => Box::new(olmo2::Layer::of(weight)?),
                Family::Llama => Box::new(llama::Layer::of(weight)?),
                Family::GptNeox(options) => Box::new(gpt_neox::Layer::of(options, weight)?),
            })
        };
        let blocks = (0..config.num_hidden_layers)
            .map(block)
            .collect::<Result<_>>()?;
        let norm = weights.get(&format!("{}.weight", layout.norm))?;
        let norm_bias = (layout.norm_bias)
            .then(|| weights.get(&format!("{}.bias", layout.norm)))
            .transpose()?;
        Ok(Model {
            config,
            parameters,
            embedding,
            blocks,
            norm,
            norm_bias,
            head,
        })
    }
}
