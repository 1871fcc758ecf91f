//! The files of a model folder, and its parameters: read from one file or from
//! shards with an index, in f32, f16 or bf16; written as one file in f32.
//!
//! A tensor that the model does not ask for is an error: its author meant another
//! computation. Let pass are the buffers of older versions, and a head beside the
//! embedding that it is tied to, if the two are the same.
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Component, Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use candle_core::{DType, Device, Tensor, Var};
use serde::Deserialize;

use super::{
    Config,
    layout::Layout,
    safetensors::{Reader, write_f32},
};

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
/// An index beyond this many bytes is not read.
const MAX_INDEX: u64 = 100_000_000;

/// The files of a model by their names in its folder, wherever they lie.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files(pub BTreeMap<String, PathBuf>);

impl Files {
    /// The files that lie directly in a folder.
    pub fn of_folder(folder: &Path) -> Result<Files> {
        let list = || -> std::io::Result<BTreeMap<String, PathBuf>> {
            let mut files = BTreeMap::new();
            for entry in fs::read_dir(folder)? {
                let path = entry?.path();
                let name = path.file_name().and_then(|name| name.to_str());
                if let (Some(name), true) = (name, path.is_file()) {
                    files.insert(name.to_owned(), path.clone());
                }
            }
            Ok(files)
        };
        let files = list().with_context(|| format!("list {}", folder.display()))?;
        Ok(Files(files))
    }

    /// Where a file lies; an error that says which files there are.
    pub fn get(&self, name: &str) -> Result<&Path> {
        self.0.get(name).map(PathBuf::as_path).with_context(|| {
            let mut there: Vec<&str> = self.0.keys().map(String::as_str).collect();
            there.truncate(8);
            format!("`{name}` is missing (there: {})", there.join(", "))
        })
    }
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// Reads every parameter, one tensor in memory at a time.
pub(super) fn read(
    files: &Files,
    config: &Config,
    device: &Device,
    dtype: DType,
) -> Result<BTreeMap<String, Var>> {
    let layout = Layout::of(config);
    let shapes = layout.shapes(config);
    let mut stored = Stored::of(files)?;
    stored.refuse_others(&layout, &shapes, config)?;
    let mut parameters = BTreeMap::new();
    for (name, shape) in &shapes {
        let values = stored.read_f32(name, shape)?;
        let var = if dtype == DType::F32 {
            Var::from_vec(values, shape.as_slice(), device)?
        } else {
            let tensor = Tensor::from_vec(values, shape.as_slice(), device)?;
            Var::from_tensor(&tensor.to_dtype(dtype)?)?
        };
        parameters.insert(name.clone(), var);
    }
    Ok(parameters)
}

/// The tensors of a folder, in one file or in shards.
struct Stored<'a> {
    files: &'a Files,
    /// Tensor to file, where there are shards.
    index: Option<Index>,
    readers: BTreeMap<String, Reader>,
}

impl Stored<'_> {
    fn of(files: &Files) -> Result<Stored<'_>> {
        let sharded = !files.0.contains_key(SINGLE) && files.0.contains_key(INDEX);
        Ok(Stored {
            files,
            index: sharded.then(|| read_index(files)).transpose()?,
            readers: BTreeMap::new(),
        })
    }

    fn read_f32(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let file = match &self.index {
            None => SINGLE.to_owned(),
            Some(index) => (index.weight_map.get(name))
                .with_context(|| format!("`{INDEX}`: tensor `{name}` is missing"))?
                .clone(),
        };
        self.open(&file)?.read_f32(name, shape)
    }

    fn open(&mut self, file: &str) -> Result<&mut Reader> {
        if !self.readers.contains_key(file) {
            let reader = Reader::open(self.files.get(file)?, file)?;
            self.readers.insert(file.to_owned(), reader);
        }
        Ok(self.readers.get_mut(file).expect("opened just above"))
    }

    fn names(&mut self) -> Result<BTreeSet<String>> {
        match &self.index {
            Some(index) => Ok(index.weight_map.keys().cloned().collect()),
            None => Ok(self.open(SINGLE)?.names().map(str::to_owned).collect()),
        }
    }

    /// Where a parameter is missing as well, that is what is told, later.
    fn refuse_others(
        &mut self,
        layout: &Layout,
        shapes: &[(String, Vec<usize>)],
        config: &Config,
    ) -> Result<()> {
        let mut others = self.names()?;
        if !shapes.iter().all(|(name, _)| others.remove(name)) {
            return Ok(());
        }
        others.retain(|name| !layout.buffers.iter().any(|end| name.ends_with(end)));
        if config.tie_word_embeddings && others.remove(layout.head) {
            let shape = [config.vocab_size, config.hidden_size];
            let head = self.read_f32(layout.head, &shape)?;
            ensure!(
                head == self.read_f32(layout.embedding, &shape)?,
                "`{}` differs from `{}`, though `tie_word_embeddings` is true",
                layout.head,
                layout.embedding
            );
        }
        let other = others.pop_first();
        let file = if self.index.is_some() { INDEX } else { SINGLE };
        ensure!(
            other.is_none(),
            "`{file}`: tensor `{}` is no parameter of a `{}` model of this config",
            other.unwrap_or_default(),
            config.family.name()
        );
        Ok(())
    }
}

fn read_index(files: &Files) -> Result<Index> {
    let path = files.get(INDEX)?;
    let size = fs::metadata(path)
        .with_context(|| format!("read `{INDEX}`"))?
        .len();
    ensure!(
        size <= MAX_INDEX,
        "`{INDEX}` has {size} bytes; allowed: {MAX_INDEX}"
    );
    let bytes = fs::read(path).with_context(|| format!("read `{INDEX}`"))?;
    let index: Index = serde_json::from_slice(&bytes).with_context(|| format!("`{INDEX}`"))?;
    for (tensor, file) in &index.weight_map {
        let path = Path::new(file);
        let plain = path
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        ensure!(
            plain && !file.is_empty() && !file.contains('\\'),
            "`{INDEX}` places tensor `{tensor}` in `{file}`, which is not a file of the folder"
        );
        ensure!(
            files.0.contains_key(file),
            "`{INDEX}` places tensor `{tensor}` in `{file}`, which is missing"
        );
    }
    Ok(index)
}

/// Writes all parameters to one file as transformers expects it.
pub(super) fn write(path: &Path, parameters: &BTreeMap<String, Var>) -> Result<()> {
    let metadata = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
    let tensors = parameters
        .iter()
        .map(|(name, var)| (name.clone(), var.as_detached_tensor()))
        .collect();
    write_f32(path, &metadata, &tensors)
}
