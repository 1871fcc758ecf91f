//! Contents: what an output holds, whether it is there, and removing it.
use std::{fs, io};

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::{cache::store::Cache, digest::Digest, disk::fault};

/// Whether a digest names a file's bytes or a tree's listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    File,
    Tree,
}

/// What one output holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    pub digest: Digest,
    /// Bytes; for a tree the sum over its files.
    pub size: u64,
    pub form: Form,
}

impl Cache {
    /// Whether a content is there with its recorded size: the blob; for a tree
    /// its listing and every file. One `stat` a blob; content is not read.
    pub fn has(&self, content: &Content) -> bool {
        match content.form {
            Form::File => self.stands(&content.digest, content.size),
            Form::Tree => {
                self.blob_path(&content.digest).is_file()
                    && self.tree_shared(&content.digest).is_ok_and(|tree| {
                        tree.size() == content.size
                            && tree
                                .files
                                .values()
                                .all(|entry| self.stands(&entry.digest, entry.size))
                    })
            }
        }
    }

    /// Removes a blob; whether it was there. For whoever decides what may go.
    pub fn remove_blob(&self, digest: &Digest) -> Result<bool> {
        let path = self.blob_path(digest);
        self.checked().remove(digest);
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(fault("remove", &path, 0, error)),
        }
    }

    fn stands(&self, digest: &Digest, size: u64) -> bool {
        fs::symlink_metadata(self.blob_path(digest))
            .is_ok_and(|found| found.is_file() && found.len() == size)
    }
}
