//! The frozen prompts table: one-token questions with their split.
//!
//! Holds text only. Token ids belong to a checkpoint's own tokenizer and are
//! made where a prompt meets a model.
use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::artifact::{
    Artifact,
    schema::PROMPTS,
    table::{encode_rows, read_rows},
};

/// What a prompt is for.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Split {
    /// RL draws from these.
    Train,
    /// Measured and evaluated on these.
    Eval,
}

/// One prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prompt {
    pub prompt: i64,
    /// Ends right before the answer token.
    pub text: String,
    /// Text of one token, such as ` A`.
    pub label: String,
    pub split: Split,
    /// Name of the template that it was made from.
    pub template: String,
}

/// A prompts table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompts {
    rows: Vec<Prompt>,
}

impl Prompts {
    /// # Errors
    /// No rows, an id twice, an empty text or label, one text twice in other splits.
    pub fn new(rows: Vec<Prompt>) -> Result<Prompts> {
        ensure!(!rows.is_empty(), "a prompts table has no rows");
        let mut ids = BTreeSet::new();
        for row in &rows {
            let id = row.prompt;
            ensure!(
                ids.insert(id),
                "prompt {id} stands twice in the prompts table"
            );
            ensure!(!row.text.is_empty(), "prompt {id} has no text");
            ensure!(!row.label.is_empty(), "prompt {id} has no label");
        }
        let train: BTreeSet<&str> = texts(&rows, Split::Train).collect();
        if let Some(text) = texts(&rows, Split::Eval).find(|text| train.contains(text)) {
            anyhow::bail!("prompt `{text}` is in both splits, train and eval");
        }
        Ok(Prompts { rows })
    }

    pub fn rows(&self) -> &[Prompt] {
        &self.rows
    }

    /// The prompts of one split, in table order.
    pub fn split(&self, split: Split) -> Vec<&Prompt> {
        self.rows.iter().filter(|row| row.split == split).collect()
    }

    /// Deterministic parquet bytes.
    pub fn encode(&self) -> Result<Vec<u8>> {
        encode_rows(&self.rows, &PROMPTS)
    }

    pub fn read(artifact: &Artifact) -> Result<Prompts> {
        Prompts::new(read_rows(artifact, &PROMPTS)?)
    }
}

fn texts(rows: &[Prompt], split: Split) -> impl Iterator<Item = &str> {
    rows.iter()
        .filter(move |row| row.split == split)
        .map(|row| row.text.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{artifact::Body, digest::Digest};

    fn prompt(id: i64, text: &str, split: Split) -> Prompt {
        Prompt {
            prompt: id,
            text: text.into(),
            label: " A".into(),
            split,
            template: "copy-0".into(),
        }
    }

    #[test]
    fn a_table_comes_back_by_split() {
        let rows = vec![prompt(0, "x", Split::Train), prompt(7, "y", Split::Eval)];
        let prompts = Prompts::new(rows).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), prompts.encode().unwrap()).unwrap();
        let artifact = Artifact {
            coords: [].into(),
            digest: Digest::of(b""),
            body: Body::File(file.path().to_owned()),
        };
        let back = Prompts::read(&artifact).unwrap();
        assert_eq!(back, prompts);
        assert_eq!(back.split(Split::Eval), [&prompt(7, "y", Split::Eval)]);
    }

    #[test]
    fn a_leak_between_splits_is_refused() {
        let message = |rows| Prompts::new(rows).unwrap_err().to_string();
        assert_eq!(
            message(vec![
                prompt(0, "x", Split::Train),
                prompt(1, "x", Split::Eval)
            ]),
            "prompt `x` is in both splits, train and eval"
        );
        assert_eq!(
            message(vec![
                prompt(3, "x", Split::Train),
                prompt(3, "y", Split::Train)
            ]),
            "prompt 3 stands twice in the prompts table"
        );
        assert_eq!(message(vec![]), "a prompts table has no rows");
    }
}
