//! Kind `local-checkpoint`: a model folder of your own, as one rung of a ladder.
//!
//! The folder is loaded once, so that a fault shows here and not hours later.
//! Its files are copied: what the cache holds must not change with the folder.
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use candle_core::{DType, Device};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    artifact::{ArtifactType, Checkpoint, Position},
    digest::Digest,
    disk,
    lm::{self, Files, Model, Tokenizer},
    stage::{Context, External, Inputs, OutputPort, Outputs, Ports, Produced, Stage},
};

/// Files that transformers reads beside config, tokenizer and weights.
pub(super) const COMPANIONS: [&str; 5] = [
    "model.safetensors.index.json",
    "generation_config.json",
    "special_tokens_map.json",
    "tokenizer_config.json",
    "chat_template.jinja",
];

/// Takes a Hugging Face folder: config.json, tokenizer.json, safetensors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LocalCheckpoint {
    /// The folder.
    pub path: PathBuf,
    /// Optimizer steps of its pretraining.
    pub step: u64,
    /// Tokens seen in its pretraining.
    pub tokens: u64,
}

impl Stage for LocalCheckpoint {
    const KIND: &'static str = "local-checkpoint";
    const VERSION: u32 = 1;
    const ABOUT: &'static str = "a checkpoint from a folder, checked to be loadable";
    // It exists elsewhere, and may be large.
    const PUBLISH: bool = false;
    const PORTS: Ports = Ports {
        inputs: &[],
        outputs: &[OutputPort::new(
            "checkpoint",
            ArtifactType::Checkpoint,
            "the folder's model files with vgh.json (step, tokens)",
        )],
    };
    const LM: Option<u32> = Some(lm::VERSION);

    fn externals(&self) -> Vec<External> {
        vec![External {
            param: "path",
            path: self.path.clone(),
        }]
    }

    fn run(&self, _inputs: &Inputs, context: &Context<'_>) -> Result<Outputs> {
        let named = || self.path.display().to_string();
        let folder = context.scratch().join("checkpoint");
        let files = Files::of_folder(context.external("path")?);
        let files = files.with_context(named)?;
        check(&files).with_context(named)?;
        self.copy(&files, &folder).with_context(named)?;
        Ok(Outputs::new().with("checkpoint", Produced::Tree(folder)))
    }
}

/// Loads everything: config, tokenizer against vocabulary, every weight.
pub(super) fn check(files: &Files) -> Result<()> {
    let tokenizer = Tokenizer::load(files)?;
    let model = Model::load(files, &Device::Cpu, DType::F32)?;
    tokenizer.check_vocabulary(model.config().vocab_size)
}

impl LocalCheckpoint {
    fn copy(&self, files: &Files, folder: &Path) -> Result<()> {
        let checkpoint = Checkpoint {
            files: files.0.clone(),
            step: self.step,
            tokens: self.tokens,
            digest: Digest::of(b"not yet an artifact"),
        };
        let mut wanted = vec![checkpoint.config()?, checkpoint.tokenizer()?];
        wanted.extend(checkpoint.weights()?);
        let companions = COMPANIONS.iter().filter_map(|name| files.0.get(*name));
        wanted.extend(companions.map(PathBuf::as_path));
        disk::make_folder(folder)?;
        for path in wanted {
            let name = path.file_name().context("a file without a name")?;
            disk::copy(path, &folder.join(name))?;
        }
        Position {
            step: self.step,
            tokens: self.tokens,
        }
        .write(folder)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::stages::harness::{Ran, Setting, run_in};

    use super::*;

    fn open() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/open")
    }

    fn take(folder: &Path) -> Result<Ran> {
        let stage = LocalCheckpoint {
            path: PathBuf::from("models/mine"),
            step: 300,
            tokens: 12_000,
        };
        let setting = Setting {
            externals: [("path".to_owned(), folder.to_owned())].into(),
            ..Setting::default()
        };
        run_in(&stage, &[], setting)
    }

    /// A copy of the open fixture's model, with one file replaced.
    fn edited(name: &str, content: Option<&[u8]>) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in ["config.json", "tokenizer.json", "model.safetensors"] {
            fs::copy(open().join(file), folder.path().join(file)).unwrap();
        }
        match content {
            Some(bytes) => fs::write(folder.path().join(name), bytes).unwrap(),
            None => fs::remove_file(folder.path().join(name)).unwrap(),
        }
        folder
    }

    #[test]
    fn a_folder_becomes_a_checkpoint_of_its_model_files() {
        let ran = take(&open()).unwrap();
        let checkpoint = Checkpoint::of(ran.artifact("checkpoint")).unwrap();
        assert_eq!((checkpoint.step, checkpoint.tokens), (300, 12_000));
        let names: Vec<&String> = checkpoint.files.keys().collect();
        assert_eq!(
            names,
            [
                "config.json",
                "model.safetensors",
                "tokenizer.json",
                "vgh.json"
            ]
        );
        let files = Files(checkpoint.files);
        Model::load(&files, &Device::Cpu, DType::F32).unwrap();
    }

    #[test]
    fn what_cannot_be_loaded_is_refused() {
        let fault = |name: &str, content: Option<&[u8]>| {
            let folder = edited(name, content);
            format!("{:#}", take(folder.path()).err().unwrap())
        };
        assert_eq!(
            fault("tokenizer.json", None),
            "models/mine: `tokenizer.json` is missing (there: config.json, model.safetensors)"
        );
        assert_eq!(
            fault("config.json", Some(b"{\"model_type\": \"mistral\"}")),
            "models/mine: `config.json`: `model_type` is `mistral`; supported: `olmo2`, `llama`, `gpt_neox`"
        );
        let weights = fs::read(open().join("model.safetensors")).unwrap();
        let cut = fault("model.safetensors", Some(&weights[..weights.len() - 4]));
        assert!(
            cut.starts_with("models/mine: `model.safetensors`: the file is truncated"),
            "{cut}"
        );
        let mut nan = weights.clone();
        let end = nan.len();
        nan[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
        let nan = fault("model.safetensors", Some(&nan));
        assert!(nan.ends_with("values that are not finite"), "{nan}");
        let config = fs::read_to_string(open().join("config.json")).unwrap();
        let small = config.replace("\"vocab_size\": 264", "\"vocab_size\": 200");
        let small = fault("config.json", Some(small.as_bytes()));
        assert!(
            small.starts_with("models/mine: `model.safetensors`: tensor "),
            "{small}"
        );
    }
}
