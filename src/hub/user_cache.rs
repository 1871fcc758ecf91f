//! What the user's own Hugging Face cache holds already. Hugging Face's
//! programs trust the names in it; we look at the bytes.
use std::{
    fs::File,
    path::{Path, PathBuf},
};

use anyhow::Result;
use hf_hub::{Cache, Repo};

use crate::hub::{
    hooks::Hooks,
    listing::RemoteFile,
    name::{is_commit, path_fault, repo_fault},
    part::{Check, hash},
    transport::Hub,
};

impl Hub {
    /// The file in the user's cache, by its place in the commit or, for another
    /// commit with the same file, by its id; only after its bytes were hashed
    /// and agree. What is damaged is as good as not there, and stays.
    ///
    /// # Errors
    /// Only that of `go_on`.
    pub fn cached(
        &self,
        repo: &str,
        commit: &str,
        file: &RemoteFile,
        hooks: &Hooks<'_>,
    ) -> Result<Option<PathBuf>> {
        let Some(root) = &self.settings.cache else {
            return Ok(None);
        };
        if repo_fault(repo).is_some() || path_fault(&file.path).is_some() {
            return Ok(None);
        }
        let cache = Cache::new(root.clone());
        let kept = Repo::model(repo.to_owned());
        let blobs = root.join(kept.folder_name()).join("blobs");
        let named = file.id.to_string();
        let (_, digits) = named.split_once(':').unwrap_or_default();
        let snapshot =
            is_commit(commit).then(|| cache.repo(kept).pointer_path(commit).join(&file.path));
        for place in snapshot.into_iter().chain([blobs.join(digits)]) {
            // A link of the cache's own leads to the bytes; give their own place.
            let Ok(place) = place.canonicalize() else {
                continue;
            };
            if holds(&place, file, hooks)? {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }
}

/// Whether the bytes at a place are those of the file.
fn holds(place: &Path, file: &RemoteFile, hooks: &Hooks<'_>) -> Result<bool> {
    let Ok(open) = File::open(place) else {
        return Ok(false);
    };
    let there = open.metadata();
    if !there.is_ok_and(|there| there.is_file() && there.len() == file.size) {
        return Ok(false);
    }
    let mut check = Check::new(file);
    let each = |done| {
        (hooks.report)(done, file.size);
        (hooks.go_on)()
    };
    let read = hash(open, &mut check, each)?;
    Ok(read.is_ok() && check.id() == file.id)
}
