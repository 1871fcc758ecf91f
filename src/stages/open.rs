//! The open fixture's model and prompts as artifacts, and its gold numbers.
use std::{fs, path::Path};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    artifact::{Artifact, Position, Prompt, Prompts, Split},
    stages::harness::{file, tree},
};

/// A checkpoint at step 7 and its prompts.
pub(super) struct Open {
    _folder: TempDir,
    pub(super) checkpoint: Artifact,
    pub(super) prompts: Artifact,
    /// The parsed `extra.json`.
    pub(super) gold: Value,
}

/// With all prompts of split eval.
pub(super) fn open() -> Open {
    open_split(|_| Split::Eval)
}

/// With the split that `split_of` says of each prompt's id.
pub(super) fn open_split(split_of: impl Fn(i64) -> Split) -> Open {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/open");
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model");
    fs::create_dir(&model).unwrap();
    for name in ["config.json", "tokenizer.json", "model.safetensors"] {
        fs::copy(fixture.join(name), model.join(name)).unwrap();
    }
    Position {
        step: 7,
        tokens: 4480,
    }
    .write(&model)
    .unwrap();
    let lines = fs::read_to_string(fixture.join("prompts.jsonl")).unwrap();
    let rows = (0..).zip(lines.lines()).map(|(prompt, line)| {
        let line: Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| line[key].as_str().unwrap().to_owned();
        Prompt {
            prompt,
            text: text("text"),
            label: text("label_text"),
            split: split_of(prompt),
            template: "fixture".to_owned(),
        }
    });
    let path = folder.path().join("prompts.parquet");
    let prompts = Prompts::new(rows.collect()).unwrap();
    fs::write(&path, prompts.encode().unwrap()).unwrap();
    let gold = fs::read_to_string(fixture.join("extra.json")).unwrap();
    Open {
        checkpoint: tree(&model).unwrap(),
        prompts: file(&path).unwrap(),
        _folder: folder,
        gold: serde_json::from_str(&gold).unwrap(),
    }
}

/// An error that names `what` where a number is further off than
/// `tolerance * scale`.
pub(super) fn assert_close(what: &str, got: f64, want: &Value, tolerance: f64, scale: f64) {
    let want = want.as_f64().unwrap();
    assert!(
        (got - want).abs() <= tolerance * scale.abs(),
        "{what}: {got} instead of {want}, off by {:e} of {scale}",
        (got - want).abs() / scale.abs()
    );
}
