//! Llama (SmolLM2, Amber): norms on the inputs of attention and MLP.
//!
//! Shapes as in `model`, and H query heads and K key heads of d columns (H d
//! need not be D), M = intermediate_size. No biases.
use anyhow::Result;
use candle_core::Tensor;

use super::{
    Batch, Config,
    batch::only_last,
    layout::Layout,
    model::Block,
    ops::{Rope, attention, gated, linear, rms_norm},
};

pub(super) struct Layer {
    input_layernorm: Tensor,          // [D]
    q_proj: Tensor,                   // [H d, D]
    k_proj: Tensor,                   // [K d, D]
    v_proj: Tensor,                   // [K d, D]
    o_proj: Tensor,                   // [D, H d]
    post_attention_layernorm: Tensor, // [D]: before the MLP, in spite of its name
    gate_proj: Tensor,                // [M, D]
    up_proj: Tensor,                  // [M, D]
    down_proj: Tensor,                // [D, M]
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
        let x = rms_norm(h, &self.input_layernorm, eps)?; // [B, T, D]
        let q = linear(&x, &self.q_proj)?; // [B, T, H d]
        let k = linear(&x, &self.k_proj)?; // [B, T, K d]
        let v = linear(&x, &self.v_proj)?; // [B, T, K d]
        let mixed = attention(&q, &k, &v, config.heads(), rope)?; // [B, T, H d]
        // from here on no position looks at another
        let (h, mixed) = (only_last(h, only)?, only_last(&mixed, only)?);
        let h = (h + linear(&mixed, &self.o_proj)?)?; // [B, T, D]
        let x = rms_norm(&h, &self.post_attention_layernorm, eps)?;
        let inner = gated(&x, &self.gate_proj, &self.up_proj)?; // [B, T, M]
        Ok((h + linear(&inner, &self.down_proj)?)?)
    }
}

impl Layer {
    pub(super) fn of(weight: impl Fn(&str) -> Result<Tensor>) -> Result<Layer> {
        Ok(Layer {
            input_layernorm: weight("input_layernorm.weight")?,
            q_proj: weight("self_attn.q_proj.weight")?,
            k_proj: weight("self_attn.k_proj.weight")?,
            v_proj: weight("self_attn.v_proj.weight")?,
            o_proj: weight("self_attn.o_proj.weight")?,
            post_attention_layernorm: weight("post_attention_layernorm.weight")?,
            gate_proj: weight("mlp.gate_proj.weight")?,
            up_proj: weight("mlp.up_proj.weight")?,
            down_proj: weight("mlp.down_proj.weight")?,
        })
    }
}

pub(super) fn layout(config: &Config) -> Layout {
    let (d, m) = (config.hidden_size, config.intermediate_size);
    let q = config.num_attention_heads * config.head_dim;
    let kv = config.num_key_value_heads * config.head_dim;
    Layout {
        embedding: "model.embed_tokens.weight",
        norm: "model.norm",
        norm_bias: false,
        head: "lm_head.weight",
        layers: "model.layers",
        block: vec![
            ("input_layernorm.weight", vec![d]),
            ("self_attn.q_proj.weight", vec![q, d]),
            ("self_attn.k_proj.weight", vec![kv, d]),
            ("self_attn.v_proj.weight", vec![kv, d]),
            ("self_attn.o_proj.weight", vec![d, q]),
            ("post_attention_layernorm.weight", vec![d]),
            ("mlp.gate_proj.weight", vec![m, d]),
            ("mlp.up_proj.weight", vec![m, d]),
            ("mlp.down_proj.weight", vec![d, m]),
        ],
        buffers: &["rotary_emb.inv_freq"],
    }
}
