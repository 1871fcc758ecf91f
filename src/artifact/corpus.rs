//! A corpus artifact: training text, its tokenizer, and the labels and
//! templates that prompts are made from.
//!
//! A folder with `documents.jsonl` (one `{"text": ...}` a line) or `text.txt`
//! (one document), `tokenizer.json`, and `labels.json` where prompts can be
//! made from it.
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::{artifact::Artifact, disk};

const DOCUMENTS: &str = "documents.jsonl";
const TEXT: &str = "text.txt";
const TOKENIZER: &str = "tokenizer.json";
const LABELS: &str = "labels.json";

/// What one-token prompts over a corpus are made from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Labels {
    /// Texts of one token each, such as ` A`.
    pub labels: Vec<String>,
    pub templates: Vec<Template>,
    /// Words for the slots of the templates, by slot name.
    #[serde(default)]
    pub words: BTreeMap<String, Vec<String>>,
}

/// A prompt's text with slots in braces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    pub name: String,
    pub text: String,
}

#[derive(Serialize, Deserialize)]
struct Document {
    text: String,
}

/// A corpus as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Corpus {
    pub documents: Vec<String>,
    pub tokenizer: PathBuf,
    /// `None` for a corpus that no prompts are made from.
    pub labels: Option<Labels>,
}

impl Corpus {
    /// # Errors
    /// Neither or both of the text files, no document, a line that is no document.
    pub fn read(artifact: &Artifact) -> Result<Corpus> {
        let files = artifact.files()?;
        let documents = match (files.get(DOCUMENTS), files.get(TEXT)) {
            (Some(path), None) => read_documents(path)?,
            (None, Some(path)) => vec![read_text(path)?],
            (found, _) => bail!(
                "corpus {} has {} of `{DOCUMENTS}` and `{TEXT}` where one was expected",
                artifact.digest.short(),
                if found.is_some() { "both" } else { "none" }
            ),
        };
        ensure!(
            !documents.is_empty(),
            "corpus {} has no document",
            artifact.digest.short()
        );
        let labels = match files.get(LABELS) {
            Some(path) => Some(
                serde_json::from_str(&read_text(path)?)
                    .with_context(|| format!("read {}", path.display()))?,
            ),
            None => None,
        };
        Ok(Corpus {
            documents,
            tokenizer: artifact.entry(TOKENIZER)?.to_owned(),
            labels,
        })
    }

    /// Writes a corpus folder; equal content gives equal bytes.
    pub fn write(
        folder: &Path,
        documents: &[String],
        tokenizer_json: &str,
        labels: Option<&Labels>,
    ) -> Result<()> {
        let mut lines = String::new();
        for text in documents {
            let document = Document { text: text.clone() };
            writeln!(lines, "{}", serde_json::to_string(&document)?)?;
        }
        disk::write(&folder.join(DOCUMENTS), &lines)?;
        disk::write(&folder.join(TOKENIZER), tokenizer_json)?;
        if let Some(labels) = labels {
            let text = serde_json::to_string_pretty(labels)? + "\n";
            disk::write(&folder.join(LABELS), &text)?;
        }
        Ok(())
    }
}

fn read_documents(path: &Path) -> Result<Vec<String>> {
    let text = read_text(path)?;
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(index, line)| {
            let document: Document = serde_json::from_str(line)
                .with_context(|| format!("{}, line {}", path.display(), index + 1))?;
            Ok(document.text)
        })
        .collect()
}

fn read_text(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{artifact::Body, digest::Digest};

    fn artifact(folder: &Path) -> Artifact {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
        let files = entries.map(|e| (e.file_name().into_string().unwrap(), e.path()));
        Artifact {
            coords: [].into(),
            digest: Digest::of(b"corpus"),
            body: Body::Tree(files.collect()),
        }
    }

    #[test]
    fn a_corpus_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let documents = ["one \"quoted\"\nline", "two"].map(str::to_owned);
        let labels = Labels {
            labels: vec![" A".into()],
            templates: vec![Template {
                name: "copy-0".into(),
                text: "{word} :".into(),
            }],
            words: [("word".to_owned(), vec!["tree".to_owned()])].into(),
        };
        Corpus::write(folder.path(), &documents, "{}", Some(&labels)).unwrap();
        let corpus = Corpus::read(&artifact(folder.path())).unwrap();
        assert_eq!(corpus.documents, documents);
        assert_eq!(corpus.labels, Some(labels));
        assert_eq!(fs::read_to_string(corpus.tokenizer).unwrap(), "{}");
    }

    #[test]
    fn one_form_of_text_and_one_only() {
        let folder = tempfile::tempdir().unwrap();
        let message = || {
            let error = Corpus::read(&artifact(folder.path())).unwrap_err();
            error
                .to_string()
                .replace(&Digest::of(b"corpus").short(), "D")
        };
        assert_eq!(
            message(),
            "corpus D has none of `documents.jsonl` and `text.txt` where one was expected"
        );
        fs::write(folder.path().join(TEXT), "plain").unwrap();
        assert_eq!(message(), "artifact D has no file `tokenizer.json`");
        fs::write(folder.path().join(TOKENIZER), "{}").unwrap();
        assert_eq!(
            Corpus::read(&artifact(folder.path())).unwrap().documents,
            ["plain"]
        );
        fs::write(folder.path().join(DOCUMENTS), "{\"text\": \"a\"}\n").unwrap();
        assert_eq!(
            message(),
            "corpus D has both of `documents.jsonl` and `text.txt` where one was expected"
        );
    }
}
