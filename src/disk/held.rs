//! One process, and one thread of it, works at a place: a kernel lock on a file
//! beside it, gone with its holder.
use std::{
    ffi::OsString,
    fs::{self, File, TryLockError},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use anyhow::Result;

use crate::disk::fault;

/// What the name of a lock ends in.
pub(crate) const LOCK: &str = ".lock";

/// The sole right to a place. Give the file the name under which others look for
/// it before this is dropped: then whoever waited comes next.
#[derive(Debug)]
#[must_use = "whoever waits goes on as soon as this is dropped"]
pub struct Held {
    path: PathBuf,
    _lock: File,
    sure: bool,
}

impl Held {
    /// The right to `place`; none while somebody else has it.
    pub(crate) fn try_take(place: &Path) -> Result<Option<Held>> {
        let mut name = place.file_name().map_or_else(OsString::new, OsString::from);
        name.push(LOCK);
        let path = place.with_file_name(name);
        loop {
            let lock = File::options()
                .write(true)
                .create(true)
                .truncate(false)
                .open(&path)
                .map_err(|error| fault("create", &path, 0, error))?;
            let sure = match lock.try_lock() {
                Ok(()) if same_file(&lock, &path) => true,
                // Its holder has just finished and removed it.
                Ok(()) => continue,
                Err(TryLockError::Error(_)) => false,
                Err(TryLockError::WouldBlock) => return Ok(None),
            };
            return Ok(Some(Held {
                path,
                _lock: lock,
                sure,
            }));
        }
    }

    /// Whether it keeps others out: some file systems have no locks.
    pub(crate) fn is_sure(&self) -> bool {
        self.sure
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // While it is locked, so nobody waits for a file that has no name.
        // One that stays is locked again by whoever comes next.
        let _ = fs::remove_file(&self.path);
    }
}

fn same_file(open: &File, path: &Path) -> bool {
    match (open.metadata(), fs::symlink_metadata(path)) {
        (Ok(open), Ok(named)) => (open.dev(), open.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_and_nothing_stays() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("part");
        let held = Held::try_take(&place).unwrap().unwrap();
        if held.is_sure() {
            assert!(Held::try_take(&place).unwrap().is_none());
        }
        drop(held);
        assert!(Held::try_take(&place).unwrap().is_some());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
