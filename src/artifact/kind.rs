//! The types that ports have. Tables are nominal: two tables with the same
//! columns and different names are different types.
use std::fmt;

use serde::Serialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ArtifactType {
    /// A model folder: config.json, tokenizer.json, safetensors, training step.
    Checkpoint,
    /// Training text with its tokenizer and labels.
    Corpus,
    /// The frozen prompts table, with a column `split`.
    Prompts,
    /// A parquet table of a named schema.
    Table(&'static str),
    /// A report body with its figures.
    Document,
    /// A file or folder of an unknown kind.
    Files,
}

impl ArtifactType {
    /// As a sentence has it: `a checkpoint`.
    pub fn with_article(self) -> String {
        match self {
            ArtifactType::Prompts => "a table of prompts".to_owned(),
            ArtifactType::Files => "a file or folder".to_owned(),
            other => format!("a {other}"),
        }
    }
}

impl fmt::Display for ArtifactType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ArtifactType::Checkpoint => f.write_str("checkpoint"),
            ArtifactType::Corpus => f.write_str("corpus"),
            ArtifactType::Prompts => f.write_str("prompts"),
            ArtifactType::Table(name) => write!(f, "table `{name}`"),
            ArtifactType::Document => f.write_str("document"),
            ArtifactType::Files => f.write_str("files"),
        }
    }
}
