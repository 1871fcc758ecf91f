//! OLMo 2, whole: embedding, blocks, final norm, head.
//!
//! Shapes: B sequences, T positions, D = hidden_size, H query heads and K key
//! heads of d = D / H columns, M = intermediate_size, V = vocab_size. Weights
//! are [out, in]. h_l is the residual stream after block l, h_0 the embeddings.
use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use candle_core::{DType, Device, Tensor, Var};

use super::{
    Batch, Config, Forward, Observe, Tap, last_positions,
    ops::{Rope, attention, gated, linear, residual_norm, rms_norm},
};

struct Layer {
    q_proj: Tensor,                     // [D, D]
    k_proj: Tensor,                     // [K d, D]
    v_proj: Tensor,                     // [K d, D]
    o_proj: Tensor,                     // [D, D]
    q_norm: Tensor,                     // [D]: over the whole projection, not per head
    k_norm: Tensor,                     // [K d]
    post_attention_layernorm: Tensor,   // [D]
    gate_proj: Tensor,                  // [M, D]
    up_proj: Tensor,                    // [M, D]
    down_proj: Tensor,                  // [D, M]
    post_feedforward_layernorm: Tensor, // [D]
}

/// An OLMo-2 language model.
pub struct Model {
    config: Config,
    parameters: BTreeMap<String, Var>,
    embed_tokens: Tensor, // [V, D]
    layers: Vec<Layer>,
    norm: Tensor,    // [D]
    lm_head: Tensor, // [V, D]; the embedding where tied
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
        let rows = self.embed_tokens.index_select(&ids, 0)?;
        Ok(rows.reshape((batch.size(), batch.time(), self.config.hidden_size))?)
    }

    /// The forward pass from given embeddings h_0 [B, T, D]. Where gradients are
    /// asked for and h_0 depends on no variable, it becomes one.
    pub fn forward_from(&self, embeddings: &Tensor, observe: &Observe) -> Result<Forward> {
        observe.check(self.layers.len())?;
        let mut h = embeddings.clone(); // [B, T, D]
        if !h.track_op() && observe.wants_gradients() {
            h = Var::from_tensor(&h)?.into_inner();
        }
        let rope = self.rope(&h)?;
        let (mut states, mut taps) = (BTreeMap::new(), BTreeMap::new());
        h = observe.see(0, h, &mut states, &mut taps)?;
        for (l, layer) in self.layers.iter().enumerate() {
            h = self.block(layer, &h, &rope, None)?;
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
    /// [`last_positions`] of `post`, without the work of the last block that only
    /// other positions would use (a quarter of a model of three blocks).
    pub fn forward_last(&self, batch: &Batch) -> Result<Tensor> {
        let mut h = self.embed(batch)?; // [B, T, D]
        let rope = self.rope(&h)?;
        for (l, layer) in self.layers.iter().enumerate() {
            let only = (l + 1 == self.layers.len()).then_some(batch);
            h = self.block(layer, &h, &rope, only)?; // [B, D] after the last
        }
        self.final_norm(&h)
    }

    /// h_(l-1) [B, T, D] to h_l; of the last positions `only`, [B, D], where a
    /// batch is given.
    fn block(&self, w: &Layer, h: &Tensor, rope: &Rope, only: Option<&Batch>) -> Result<Tensor> {
        let eps = self.config.rms_norm_eps;
        let q = rms_norm(&linear(h, &w.q_proj)?, &w.q_norm, eps)?; // [B, T, D]
        let k = rms_norm(&linear(h, &w.k_proj)?, &w.k_norm, eps)?; // [B, T, K d]
        let v = linear(h, &w.v_proj)?; // [B, T, K d]
        let mixed = attention(&q, &k, &v, self.config.heads(), rope)?; // [B, T, D]
        // from here on no position looks at another
        let (h, mixed) = match only {
            None => (h.clone(), mixed),
            Some(batch) => (last_positions(h, batch)?, last_positions(&mixed, batch)?),
        };
        let mixed = linear(&mixed, &w.o_proj)?;
        let h = residual_norm(&h, &mixed, &w.post_attention_layernorm, eps)?;
        let inner = gated(&h, &w.gate_proj, &w.up_proj)?; // [B, T, M]
        let fed = linear(&inner, &w.down_proj)?; // [B, T, D]
        let scale = &w.post_feedforward_layernorm;
        Ok(residual_norm(&h, &fed, scale, eps)?)
    }

    fn rope(&self, h: &Tensor) -> Result<Rope> {
        let (_, time, _) = h.dims3()?;
        let dim = self.config.heads().dim;
        Ok(Rope::new(time, dim, self.config.rope_theta))
    }

    /// The final norm of residual states [.., D].
    pub fn final_norm(&self, h: &Tensor) -> Result<Tensor> {
        Ok(rms_norm(h, &self.norm, self.config.rms_norm_eps)?)
    }

    /// Logits z = W h (eq. 13) of normed states: [.., D] to [.., V].
    pub fn head(&self, post: &Tensor) -> Result<Tensor> {
        Ok(linear(post, &self.lm_head)?)
    }

    /// W [V, D], the embedding where tied; padded rows included.
    pub fn head_weight(&self) -> Result<Tensor> {
        Ok(self.lm_head.detach())
    }

    /// The input embedding E [V, D].
    pub fn embedding_weight(&self) -> Result<Tensor> {
        Ok(self.embed_tokens.detach())
    }

    /// The weight g of the final norm, `[D]`.
    pub fn final_norm_weight(&self) -> &Tensor {
        &self.norm
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
        let weight = |name: &str| -> Result<Tensor> {
            let var = parameters.get(name);
            let var = var.with_context(|| format!("tensor `{name}` is missing"))?;
            Ok(if tracked {
                var.as_tensor().clone()
            } else {
                var.as_detached_tensor()
            })
        };
        let layer = |l: usize| -> Result<Layer> {
            let weight = |name: &str| weight(&format!("model.layers.{l}.{name}.weight"));
            Ok(Layer {
                q_proj: weight("self_attn.q_proj")?,
                k_proj: weight("self_attn.k_proj")?,
                v_proj: weight("self_attn.v_proj")?,
                o_proj: weight("self_attn.o_proj")?,
                q_norm: weight("self_attn.q_norm")?,
                k_norm: weight("self_attn.k_norm")?,
                post_attention_layernorm: weight("post_attention_layernorm")?,
                gate_proj: weight("mlp.gate_proj")?,
                up_proj: weight("mlp.up_proj")?,
                down_proj: weight("mlp.down_proj")?,
                post_feedforward_layernorm: weight("post_feedforward_layernorm")?,
            })
        };
        let embed_tokens = weight("model.embed_tokens.weight")?;
        let lm_head = if config.tie_word_embeddings {
            embed_tokens.clone()
        } else {
            weight("lm_head.weight")?
        };
        let layers = (0..config.num_hidden_layers)
            .map(layer)
            .collect::<Result<_>>()?;
        let norm = weight("model.norm.weight")?;
        Ok(Model {
            config,
            parameters,
            embed_tokens,
            layers,
            norm,
            lm_head,
        })
    }
}

/// Every parameter's name and shape.
pub(super) fn shapes(config: &Config) -> Vec<(String, Vec<usize>)> {
    let (d, m, v) = (
        config.hidden_size,
        config.intermediate_size,
        config.vocab_size,
    );
    let kv = config.num_key_value_heads * config.heads().dim;
    let mut shapes = vec![
        ("model.embed_tokens.weight".to_owned(), vec![v, d]),
        ("model.norm.weight".to_owned(), vec![d]),
    ];
    if !config.tie_word_embeddings {
        shapes.push(("lm_head.weight".to_owned(), vec![v, d]));
    }
    for l in 0..config.num_hidden_layers {
        for (name, shape) in [
            ("self_attn.q_proj", vec![d, d]),
            ("self_attn.k_proj", vec![kv, d]),
            ("self_attn.v_proj", vec![kv, d]),
            ("self_attn.o_proj", vec![d, d]),
            ("self_attn.q_norm", vec![d]),
            ("self_attn.k_norm", vec![kv]),
            ("post_attention_layernorm", vec![d]),
            ("mlp.gate_proj", vec![m, d]),
            ("mlp.up_proj", vec![m, d]),
            ("mlp.down_proj", vec![d, m]),
            ("post_feedforward_layernorm", vec![d]),
        ] {
            shapes.push((format!("model.layers.{l}.{name}.weight"), shape));
        }
    }
    shapes
}
