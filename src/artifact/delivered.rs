//! An artifact as a stage receives it: coordinates and readable paths.
//! The paths lead into the cache; nobody writes through them.
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

use crate::{artifact::coords::Coords, digest::Digest};

/// One artifact, verified, ready to be read.
#[derive(Debug, Clone)]
pub struct Artifact {
    /// Where it was gathered from; empty for a port that takes one.
    pub coords: Coords,
    pub digest: Digest,
    pub body: Body,
}

#[derive(Debug, Clone)]
pub enum Body {
    File(PathBuf),
    /// Relative path to the file that holds it.
    Tree(BTreeMap<String, PathBuf>),
}

impl Artifact {
    /// The path of a single-file artifact.
    pub fn file(&self) -> Result<&Path> {
        match &self.body {
            Body::File(path) => Ok(path),
            Body::Tree(_) => bail!(
                "artifact {} is a folder where a file was expected",
                self.digest.short()
            ),
        }
    }

    /// The files of a folder artifact by relative path.
    pub fn files(&self) -> Result<&BTreeMap<String, PathBuf>> {
        match &self.body {
            Body::Tree(files) => Ok(files),
            Body::File(_) => bail!(
                "artifact {} is a file where a folder was expected",
                self.digest.short()
            ),
        }
    }

    /// One file of a folder artifact.
    pub fn entry(&self, name: &str) -> Result<&Path> {
        self.files()?
            .get(name)
            .map(PathBuf::as_path)
            .with_context(|| format!("artifact {} has no file `{name}`", self.digest.short()))
    }
}
