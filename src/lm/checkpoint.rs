//! Where a model comes from and goes to: folders of files, seeded draws, copies.
use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context as _, Result};
use candle_core::{DType, Device, Tensor, Var};

use crate::{disk, seed::Seed};

use super::{Config, Files, Model, layout::Layout, weights};

/// Standard deviations of the normal draws that start a model; norms start at 1,
/// biases at 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Init {
    pub embedding_std: f64,
    pub matrix_std: f64,
    /// Unused where the head is tied to the embedding.
    pub head_std: f64,
}

impl Model {
    /// Reads `config.json` and the weights of a model folder.
    pub fn load(files: &Files, device: &Device, dtype: DType) -> Result<Model> {
        let path = files.get("config.json")?;
        let text = fs::read_to_string(path).context("read `config.json`")?;
        let config = Config::parse(&text).context("`config.json`")?;
        let parameters = weights::read(files, &config, device, dtype)?;
        Model::build(config, parameters, true)
    }

    /// A new model in f32, each tensor drawn from a stream of its own name.
    pub fn init(config: Config, init: &Init, seed: Seed, device: &Device) -> Result<Model> {
        config.check()?;
        let layout = Layout::of(&config);
        let mut parameters = BTreeMap::new();
        for (name, shape) in layout.shapes(&config) {
            let n = shape.iter().product::<usize>();
            let std = match name.as_str() {
                name if name == layout.embedding => init.embedding_std,
                name if name == layout.head => init.head_std,
                _ => init.matrix_std,
            };
            let mut stream = seed.stream(&format!("lm init {name}"), &[]);
            let values: Vec<f32> = match shape.len() {
                1 if name.strip_suffix(".bias").is_some() => vec![0.0; n],
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
        disk::make_folder(folder)?;
        let path = folder.join("config.json");
        disk::write(&path, self.config().to_json())?;
        weights::write(&folder.join("model.safetensors"), self.parameters())
    }

    /// The weights as they are now, independent of later steps.
    pub fn snapshot(&self) -> Result<BTreeMap<String, Tensor>> {
        let copy = |(name, var): (&String, &Var)| Ok((name.clone(), var.detach().copy()?));
        self.parameters().iter().map(copy).collect()
    }

    /// Puts the weights of a [`Model::snapshot`] back.
    pub fn restore(&self, snapshot: &BTreeMap<String, Tensor>) -> Result<()> {
        for (name, var) in self.parameters() {
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
            self.config().clone(),
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
        Model::build(self.config().clone(), parameters, false)
    }

    /// The same weights (shared, so later steps show) without gradients by them:
    /// forward passes keep nothing, backward passes reach hidden states only.
    pub fn without_gradients(&self) -> Result<Model> {
        Model::build(self.config().clone(), self.parameters().clone(), false)
    }
}
