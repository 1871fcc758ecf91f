//! A checkpoint artifact: a Hugging Face folder with `vgh.json`, which says
//! where on its ladder it stands. Knows files, not tensors.
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use crate::{artifact::Artifact, digest::Digest, disk};

/// The file beside the model's own that holds a [`Position`].
pub const POSITION_FILE: &str = "vgh.json";
const CONFIG: &str = "config.json";
const TOKENIZER: &str = "tokenizer.json";
const WEIGHTS: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// Where on the pretraining ladder a checkpoint stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// Optimizer steps of pretraining.
    pub step: u64,
    /// Tokens seen in pretraining.
    pub tokens: u64,
}

impl Position {
    /// Writes `vgh.json` into a checkpoint folder.
    pub fn write(self, folder: &Path) -> Result<()> {
        let path = folder.join(POSITION_FILE);
        let text = format!("{{\"step\": {}, \"tokens\": {}}}\n", self.step, self.tokens);
        disk::write(&path, text)
    }
}

/// A checkpoint ready to be loaded.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// Name in the folder to where it can be read.
    pub files: BTreeMap<String, PathBuf>,
    pub step: u64,
    pub tokens: u64,
    pub digest: Digest,
}

impl Checkpoint {
    /// # Errors
    /// A file that a checkpoint needs is missing or `vgh.json` does not read.
    pub fn of(artifact: &Artifact) -> Result<Checkpoint> {
        let files = artifact.files()?.clone();
        let digest = artifact.digest;
        let place = artifact.entry(POSITION_FILE)?;
        let Position { step, tokens } = read_json(place)?;
        let checkpoint = Checkpoint {
            files,
            step,
            tokens,
            digest,
        };
        checkpoint.config()?;
        checkpoint.tokenizer()?;
        checkpoint.weights()?;
        Ok(checkpoint)
    }

    pub fn config(&self) -> Result<&Path> {
        self.file(CONFIG)
    }

    pub fn tokenizer(&self) -> Result<&Path> {
        self.file(TOKENIZER)
    }

    /// The safetensors files: the shards that an index names, else the one file.
    pub fn weights(&self) -> Result<Vec<&Path>> {
        #[derive(Deserialize)]
        struct Index {
            weight_map: BTreeMap<String, String>,
        }
        let Some(index) = self.files.get(INDEX) else {
            return Ok(vec![self.file(WEIGHTS)?]);
        };
        let Index { weight_map } = read_json(index)?;
        let shards: BTreeSet<&String> = weight_map.values().collect();
        shards.into_iter().map(|shard| self.file(shard)).collect()
    }

    fn file(&self, name: &str) -> Result<&Path> {
        match self.files.get(name) {
            Some(path) => Ok(path),
            None => bail!(
                "checkpoint {} has no file `{name}` (it has: {})",
                self.digest.short(),
                self.files
                    .keys()
                    .map(String::as_str)
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
        }
    }
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let text = fs::read(path).with_context(|| format!("read {}", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::Body;

    fn artifact(folder: &Path, names: &[&str]) -> Artifact {
        for name in names.iter().filter(|name| !folder.join(name).exists()) {
            fs::write(folder.join(name), "{}").unwrap();
        }
        let files = names
            .iter()
            .map(|name| ((*name).to_owned(), folder.join(name)));
        Artifact {
            coords: [].into(),
            digest: Digest::of(b"checkpoint"),
            body: Body::Tree(files.collect()),
        }
    }

    #[test]
    fn one_file_or_the_shards_of_an_index() {
        let folder = tempfile::tempdir().unwrap();
        Position {
            step: 25,
            tokens: 16_000,
        }
        .write(folder.path())
        .unwrap();
        let plain = [POSITION_FILE, CONFIG, TOKENIZER, WEIGHTS];
        let checkpoint = Checkpoint::of(&artifact(folder.path(), &plain)).unwrap();
        assert_eq!((checkpoint.step, checkpoint.tokens), (25, 16_000));
        assert_eq!(checkpoint.weights().unwrap(), [folder.path().join(WEIGHTS)]);

        let index = r#"{"metadata": {}, "weight_map": {"a": "s2", "b": "s1", "c": "s2"}}"#;
        fs::write(folder.path().join(INDEX), index).unwrap();
        let sharded = [POSITION_FILE, CONFIG, TOKENIZER, INDEX, "s1", "s2"];
        let checkpoint = Checkpoint::of(&artifact(folder.path(), &sharded)).unwrap();
        let shards = ["s1", "s2"].map(|shard| folder.path().join(shard));
        assert_eq!(checkpoint.weights().unwrap(), shards);
    }

    #[test]
    fn a_missing_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        Position { step: 1, tokens: 2 }
            .write(folder.path())
            .unwrap();
        let error = Checkpoint::of(&artifact(
            folder.path(),
            &[POSITION_FILE, CONFIG, TOKENIZER],
        ))
        .unwrap_err()
        .to_string();
        let digest = Digest::of(b"checkpoint").short();
        assert_eq!(
            error,
            format!(
                "checkpoint {digest} has no file `model.safetensors` \
                 (it has: config.json, tokenizer.json, vgh.json)"
            )
        );
    }
}
