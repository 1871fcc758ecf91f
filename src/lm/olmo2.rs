//! OLMo 2: norms on the outputs of attention and MLP, and on queries and keys.
//!
//! Shapes as in `model`, and H query heads and K key heads of d = D / H columns,
//! M = intermediate_size.
use anyhow::Result;
use candle_core::Tensor;

use super::{
    Batch, Config,
    batch::only_last,
    layout::Layout,
    model::Block,
    ops::{Rope, attention, gated, linear, residual_norm, rms_norm},
};

pub(super) struct Layer {
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

impl Block for Layer {
    fn forward(
        &self,
        config: &Config,
        h: &Tensor,
        rope: &Rope,
        only: Option<&Batch>,
    ) -> Result<Tensor> {
        let eps = config.norm_eps;
        let q = rms_norm(&linear(h, &self.q_proj)?, &self.q_norm, eps)?; // [B, T, D]
        let k = rms_norm(&linear(h, &self.k_proj)?, &self.k_norm, eps)?; // [B, T, K d]
        let v = linear(h, &self.v_proj)?; // [B, T, K d]
        let mixed = attention(&q, &k, &v, config.heads(), rope)?; // [B, T, D]
        // from here on no position looks at another
        let (h, mixed) = (only_last(h, only)?, only_last(&mixed, only)?);
        let mixed = linear(&mixed, &self.o_proj)?;
        let h = residual_norm(&h, &mixed, &self.post_attention_layernorm, eps)?;
        let inner = gated(&h, &self.gate_proj, &self.up_proj)?; // [B, T, M]
        let fed = linear(&inner, &self.down_proj)?; // [B, T, D]
        let scale = &self.post_feedforward_layernorm;
        Ok(residual_norm(&h, &fed, scale, eps)?)
    }
}

impl Layer {
    pub(super) fn of(weight: impl Fn(&str) -> Result<Tensor>) -> Result<Layer> {
        Ok(Layer {
            q_proj: weight("self_attn.q_proj.weight")?,
            k_proj: weight("self_attn.k_proj.weight")?,
            v_proj: weight("self_attn.v_proj.weight")?,
            o_proj: weight("self_attn.o_proj.weight")?,
            q_norm: weight("self_attn.q_norm.weight")?,
            k_norm: weight("self_attn.k_norm.weight")?,
            post_attention_layernorm: weight("post_attention_layernorm.weight")?,
            gate_proj: weight("mlp.gate_proj.weight")?,
            up_proj: weight("mlp.up_proj.weight")?,
            down_proj: weight("mlp.down_proj.weight")?,
            post_feedforward_layernorm: weight("post_feedforward_layernorm.weight")?,
        })
    }
}

pub(super) fn layout(config: &Config) -> Layout {
    let (d, m) = (config.hidden_size, config.intermediate_size);
    let kv = config.num_key_value_heads * config.head_dim;
    Layout {
        embedding: "model.embed_tokens.weight",
        norm: "model.norm",
        norm_bias: false,
        head: "lm_head.weight",
        layers: "model.layers",
        block: vec![
            ("self_attn.q_proj.weight", vec![d, d]),
            ("self_attn.k_proj.weight", vec![kv, d]),
            ("self_attn.v_proj.weight", vec![kv, d]),
            ("self_attn.o_proj.weight", vec![d, d]),
            ("self_attn.q_norm.weight", vec![d]),
            ("self_attn.k_norm.weight", vec![kv]),
            ("post_attention_layernorm.weight", vec![d]),
            ("mlp.gate_proj.weight", vec![m, d]),
            ("mlp.up_proj.weight", vec![m, d]),
            ("mlp.down_proj.weight", vec![d, m]),
            ("post_feedforward_layernorm.weight", vec![d]),
        ],
        buffers: &["rotary_emb.inv_freq"],
    }
}
