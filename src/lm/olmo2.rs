//! OLMo 2, whole: embedding, blocks, final norm, head.
//!
//! Shapes: B sequences, T positions, D = hidden_size, H query heads and K key
//! heads of d = D / H columns, M = intermediate_size, V = vocab_size. Weights
//! are [out, in]. h_l is the residual stream after block l, h_0 the embeddings.
use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use candle_core::{DType, Device, Tensor, Var};

use crate::seed::Seed;

use super::{
    Batch, Config, Files, Tap,
    ops::{Rope, attention, gated, linear, residual_norm, rms_norm},
    weights,
};

/// Standard deviations of the normal draws that start a model; norms start at 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Init {
    pub embedding_std: f64,
    pub matrix_std: f64,
    /// Unused where the head is tied to the embedding.
    pub head_std: f64,
}

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
    taps: BTreeMap<usize, Tap>,
    post_tap: Option<Tap>,
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
        let (size, time) = (batch.size(), batch.time());
        let rows = self
            .embed_tokens
            .index_select(&batch.ids().flatten_all()?, 0)?;
        Ok(rows.reshape((size, time, self.config.hidden_size))?)
    }

    /// The forward pass from given embeddings h_0 [B, T, D]. Where gradients are
    /// asked for and h_0 depends on no variable, it becomes one.
    pub fn forward_from(&self, embeddings: &Tensor, observe: &Observe) -> Result<Forward> {
        self.check_layers(observe)?;
        let mut h = embeddings.clone(); // [B, T, D]
        if !h.track_op() && (observe.gradient_post || !observe.gradients.is_empty()) {
            h = Var::from_tensor(&h)?.into_inner();
        }
        let (_, time, _) = h.dims3()?;
        let heads = self.config.heads();
        let rope = Rope::new(time, heads.dim, self.config.rope_theta);
        let eps = self.config.rms_norm_eps;
        let (mut states, mut taps) = (BTreeMap::new(), BTreeMap::new());
        h = observe.see(0, h, &mut states, &mut taps)?;
        for (l, w) in self.layers.iter().enumerate() {
            let q = rms_norm(&linear(&h, &w.q_proj)?, &w.q_norm, eps)?; // [B, T, D]
            let k = rms_norm(&linear(&h, &w.k_proj)?, &w.k_norm, eps)?; // [B, T, K d]
            let v = linear(&h, &w.v_proj)?; // [B, T, K d]
            let mixed = linear(&attention(&q, &k, &v, heads, &rope)?, &w.o_proj)?;
            h = residual_norm(&h, &mixed, &w.post_attention_layernorm, eps)?;
            let inner = gated(&h, &w.gate_proj, &w.up_proj)?; // [B, T, M]
            let fed = linear(&inner, &w.down_proj)?;
            h = residual_norm(&h, &fed, &w.post_feedforward_layernorm, eps)?;
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

    /// The weight g [D] of the final norm.
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

    /// Reads `config.json` and the weights of a model folder.
    pub fn load(files: &Files, device: &Device, dtype: DType) -> Result<Model> {
        let path = files.get("config.json")?;
        let text = fs::read_to_string(path).context("read `config.json`")?;
        let config = Config::parse(&text).context("`config.json`")?;
        let parameters = weights::read(files, &shapes(&config), device, dtype)?;
        Model::build(config, parameters, true)
    }

    /// A new model in f32, each tensor drawn from a stream of its own name.
    pub fn init(config: Config, init: &Init, seed: Seed, device: &Device) -> Result<Model> {
        config.check()?;
        let mut parameters = BTreeMap::new();
        for (name, shape) in shapes(&config) {
            let n = shape.iter().product::<usize>();
            let std = match name.as_str() {
                "model.embed_tokens.weight" => init.embedding_std,
                "lm_head.weight" => init.head_std,
                _ => init.matrix_std,
            };
            let mut stream = seed.stream(&format!("lm init {name}"), &[]);
            let values: Vec<f32> = match shape.len() {
                1 => vec![1.0; n],
                _ => (0..n).map(|_| (stream.normal() * std) as f32).collect(),
            };
            parameters.insert(name, Var::from_vec(values, shape, device)?);
        }
        Model::build(config, parameters, true)
    }

    /// Writes `config.json` and `model.safetensors` (f32) as transformers loads
    /// them. The same weights give the same bytes.
    pub fn save(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
        let path = folder.join("config.json");
        fs::write(&path, self.config.to_json())
            .with_context(|| format!("write {}", path.display()))?;
        weights::write(&folder.join("model.safetensors"), &self.parameters)
    }

    /// The weights as they are now, independent of later steps.
    pub fn snapshot(&self) -> Result<BTreeMap<String, Tensor>> {
        let copy = |(name, var): (&String, &Var)| Ok((name.clone(), var.detach().copy()?));
        self.parameters.iter().map(copy).collect()
    }

    /// Puts the weights of a [`Model::snapshot`] back.
    pub fn restore(&self, snapshot: &BTreeMap<String, Tensor>) -> Result<()> {
        for (name, var) in &self.parameters {
            let value = snapshot.get(name);
            let value = value.with_context(|| format!("the snapshot lacks `{name}`"))?;
            var.set(value)
                .with_context(|| format!("restore `{name}`"))?;
        }
        Ok(())
    }

    /// The same model in another dtype, with weights of its own.
    pub fn to_dtype(&self, dtype: DType) -> Result<Model> {
        let convert = |(name, tensor): (String, Tensor)| {
            Ok((name, Var::from_tensor(&tensor.to_dtype(dtype)?)?))
        };
        let parameters = self.snapshot()?.into_iter().map(convert);
        Model::build(
            self.config.clone(),
            parameters.collect::<Result<_>>()?,
            true,
        )
    }

    /// A copy of the weights that no gradient reaches, such as a reference policy.
    pub fn detached_copy(&self) -> Result<Model> {
        let mut parameters = BTreeMap::new();
        for (name, tensor) in self.snapshot()? {
            parameters.insert(name, Var::from_tensor(&tensor)?);
        }
        Model::build(self.config.clone(), parameters, false)
    }

    /// The same weights (shared, so later steps show) without gradients by them:
    /// forward passes keep nothing, backward passes reach hidden states only.
    pub fn without_gradients(&self) -> Result<Model> {
        Model::build(self.config.clone(), self.parameters.clone(), false)
    }

    fn build(config: Config, parameters: BTreeMap<String, Var>, tracked: bool) -> Result<Model> {
        let weight = |name: &str| -> Result<Tensor> {
            let var = parameters.get(name);
            let var = var.with_context(|| format!("tensor `{name}` is missing"))?;
            Ok(match tracked {
                true => var.as_tensor().clone(),
                false => var.as_detached_tensor(),
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
        let lm_head = match config.tie_word_embeddings {
            true => embed_tokens.clone(),
            false => weight("lm_head.weight")?,
        };
        let layers = (0..config.num_hidden_layers)
            .map(layer)
            .collect::<Result<_>>()?;
        let norm = weight("model.norm.weight")?;
        Ok(Model {
            config,
            embed_tokens,
            layers,
            norm,
            lm_head,
            parameters,
        })
    }

    fn check_layers(&self, observe: &Observe) -> Result<()> {
        let last = self.layers.len();
        for &l in observe.states.iter().chain(&observe.gradients) {
            ensure!(l <= last, "h{l} was asked for; the model has h0 to h{last}");
        }
        Ok(())
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

    fn see(
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
}

/// Every parameter's name and shape.
fn shapes(config: &Config) -> Vec<(String, Vec<usize>)> {
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
