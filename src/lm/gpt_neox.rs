//! GPT-NeoX (Pythia): layer norms and biases, fused projections, attention and
//! MLP side by side.
//!
//! Shapes as in `model`, and H heads of d = D / H columns, M = intermediate_size.
use anyhow::Result;
use candle_core::Tensor;

use super::{
    Batch, Config,
    batch::only_last,
    config::GptNeox,
    layout::Layout,
    model::Block,
    ops::{Rope, affine, attention, gelu, layer_norm},
};

pub(super) struct Layer {
    options: GptNeox,
    input_layernorm: Affine,
    query_key_value: Affine, // [3 D, D]: q, k and v of head 0, then those of head 1, ...
    dense: Affine,           // [D, D]
    post_attention_layernorm: Affine, // before the MLP, in spite of its name
    dense_h_to_4h: Affine,   // [M, D]
    dense_4h_to_h: Affine,   // [D, M]
}

/// The weight and bias of a projection or norm.
struct Affine {
    weight: Tensor,
    bias: Tensor,
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
        let fused = self.input_layernorm.norm(h, eps)?; // [B, T, D]
        let fused = self.query_key_value.project(&fused)?; // [B, T, 3 D]
        let [q, k, v] = split(&fused, config)?; // [B, T, D] each
        let mixed = attention(&q, &k, &v, config.heads(), rope)?; // [B, T, D]
        // from here on no position looks at another
        let (h, mixed) = (only_last(h, only)?, only_last(&mixed, only)?);
        let mixed = self.dense.project(&mixed)?;
        let attended = (&h + mixed)?; // [B, T, D]
        let seen = if self.options.parallel_residual {
            &h
        } else {
            &attended
        };
        let inner = self.post_attention_layernorm.norm(seen, eps)?;
        let inner = gelu(&self.dense_h_to_4h.project(&inner)?, self.options.gelu)?; // [B, T, M]
        Ok((attended + self.dense_4h_to_h.project(&inner)?)?)
    }
}

/// Queries, keys and values [B, T, D] out of [B, T, 3 D].
fn split(fused: &Tensor, config: &Config) -> Result<[Tensor; 3]> {
    let (batch, time, _) = fused.dims3()?;
    let (heads, dim) = (config.num_attention_heads, config.head_dim);
    let by_head = fused.reshape((batch, time, heads, 3, dim))?;
    let part = |i: usize| -> Result<Tensor> {
        let part = by_head.narrow(3, i, 1)?.contiguous()?;
        Ok(part.reshape((batch, time, heads * dim))?)
    };
    Ok([part(0)?, part(1)?, part(2)?])
}

impl Affine {
    fn norm(&self, x: &Tensor, eps: f64) -> Result<Tensor> {
        Ok(layer_norm(x, &self.weight, &self.bias, eps)?)
    }

    fn project(&self, x: &Tensor) -> Result<Tensor> {
        Ok(affine(x, &self.weight, &self.bias)?)
    }
}

impl Layer {
    pub(super) fn of(options: GptNeox, weight: impl Fn(&str) -> Result<Tensor>) -> Result<Layer> {
        let affine = |name: &str| -> Result<Affine> {
            Ok(Affine {
                weight: weight(&format!("{name}.weight"))?,
                bias: weight(&format!("{name}.bias"))?,
            })
        };
        Ok(Layer {
            options,
            input_layernorm: affine("input_layernorm")?,
            query_key_value: affine("attention.query_key_value")?,
            dense: affine("attention.dense")?,
            post_attention_layernorm: affine("post_attention_layernorm")?,
            dense_h_to_4h: affine("mlp.dense_h_to_4h")?,
            dense_4h_to_h: affine("mlp.dense_4h_to_h")?,
        })
    }
}

pub(super) fn layout(config: &Config) -> Layout {
    let (d, m) = (config.hidden_size, config.intermediate_size);
    Layout {
        embedding: "gpt_neox.embed_in.weight",
        norm: "gpt_neox.final_layer_norm",
        norm_bias: true,
        head: "embed_out.weight",
        layers: "gpt_neox.layers",
        block: vec![
            ("input_layernorm.weight", vec![d]),
            ("input_layernorm.bias", vec![d]),
            ("attention.query_key_value.weight", vec![3 * d, d]),
            ("attention.query_key_value.bias", vec![3 * d]),
            ("attention.dense.weight", vec![d, d]),
            ("attention.dense.bias", vec![d]),
            ("post_attention_layernorm.weight", vec![d]),
            ("post_attention_layernorm.bias", vec![d]),
            ("mlp.dense_h_to_4h.weight", vec![m, d]),
            ("mlp.dense_h_to_4h.bias", vec![m]),
            ("mlp.dense_4h_to_h.weight", vec![d, m]),
            ("mlp.dense_4h_to_h.bias", vec![d]),
        ],
        buffers: &[
            "rotary_emb.inv_freq",
            ".attention.bias",
            ".attention.masked_bias",
        ],
    }
}
