//! A document artifact: the body of a report as JSON beside its figures as
//! SVG. Knows no field of the body and draws nothing.
use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use serde::{Serialize, de::DeserializeOwned};

use crate::{artifact::Artifact, disk};

const BODY: &str = "body.json";
const FIGURES: &str = "figures/";
const SVG: &str = ".svg";

/// A body with its figures by name.
#[derive(Debug, Clone, PartialEq)]
pub struct Document<T> {
    pub body: T,
    /// Name, such as `impact`, to the text of an SVG file.
    pub figures: BTreeMap<String, String>,
}

impl<T: Serialize> Document<T> {
    /// Writes `body.json` and `figures/NAME.svg` below a folder.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let body = serde_json::to_string_pretty(&self.body)? + "\n";
        disk::write(&folder.join(BODY), &body)?;
        let figures = folder.join(FIGURES);
        disk::make_folder(&figures)?;
        for (name, svg) in &self.figures {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            ensure!(
                !name.is_empty() && name.chars().all(plain),
                "`{name}` is no name for a figure (letters, digits, `-` and `_`)"
            );
            disk::write(&figures.join(format!("{name}{SVG}")), svg)?;
        }
        Ok(())
    }
}

impl<T: DeserializeOwned> Document<T> {
    pub fn read(artifact: &Artifact) -> Result<Document<T>> {
        let path = artifact.entry(BODY)?;
        let text = read(path)?;
        let body =
            serde_json::from_str(&text).with_context(|| format!("read {}", path.display()))?;
        let mut figures = BTreeMap::new();
        for (entry, path) in artifact.files()? {
            let name = entry
                .strip_prefix(FIGURES)
                .and_then(|name| name.strip_suffix(SVG));
            if let Some(name) = name {
                figures.insert(name.to_owned(), read(path)?);
            }
        }
        Ok(Document { body, figures })
    }
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{artifact::Body, digest::Digest};

    #[test]
    fn a_document_comes_back_with_its_figures() {
        let folder = tempfile::tempdir().unwrap();
        let document = Document {
            body: BTreeMap::from([("title".to_owned(), "x".to_owned())]),
            figures: [("impact".to_owned(), "<svg/>".to_owned())].into(),
        };
        document.write(folder.path()).unwrap();
        let files = ["body.json", "figures/impact.svg"];
        let artifact = Artifact {
            coords: [].into(),
            digest: Digest::of(b""),
            body: Body::Tree(files.map(|f| (f.to_owned(), folder.path().join(f))).into()),
        };
        assert_eq!(Document::read(&artifact).unwrap(), document);
    }

    #[test]
    fn a_figure_stays_in_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let document = Document {
            body: (),
            figures: [("../x".to_owned(), String::new())].into(),
        };
        assert_eq!(
            document.write(folder.path()).unwrap_err().to_string(),
            "`../x` is no name for a figure (letters, digits, `-` and `_`)"
        );
    }
}
