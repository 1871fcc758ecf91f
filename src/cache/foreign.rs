//! Folders that are not ours.
use std::{fs, io, path::Path};

use anyhow::{Result, bail};

use crate::disk::fault;

/// Everything that may lie in a folder that becomes a cache.
const OURS: [&str; 15] = [
    "CACHEDIR.TAG",
    "README.md",
    "blobs",
    "format",
    "index",
    "index.lock",
    "leases.lock",
    "pins",
    "proofs",
    "quarantine",
    "records",
    "runs",
    "snapshots",
    "stat",
    "tmp",
];

/// A mistyped place must not fill somebody's folder, or hide it from git.
pub(super) fn refuse_foreign(root: &Path) -> Result<()> {
    let entries = match fs::read_dir(root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(fault("open the cache at", root, 0, error)),
    };
    for entry in entries {
        let name = entry?.file_name();
        let name = name.to_string_lossy();
        if !name.starts_with('.') && !OURS.contains(&name.as_ref()) {
            bail!(
                "{} is not a cache: it holds `{}`; choose a new or empty folder with --cache or \
                 VGH_CACHE",
                root.display(),
                name.escape_debug(),
            );
        }
    }
    Ok(())
}
