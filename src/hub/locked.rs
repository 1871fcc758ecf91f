//! One process, and one thread of it, fetches into a place: a kernel lock on a
//! file beside it, gone with its holder.
use std::{
    ffi::OsString,
    fs::{self, File, TryLockError},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Result;

use crate::{disk::fault, hub::hooks::Hooks};

/// Between two looks at a lock that somebody else holds.
const LOOK: Duration = Duration::from_millis(50);

/// The sole right to a place that was fetched into. Move the file to where
/// others look for it before this is dropped: then whoever waited comes next.
#[derive(Debug)]
#[must_use = "whoever waits goes on as soon as this is dropped"]
pub struct Held {
    path: PathBuf,
    _lock: File,
}

impl Held {
    /// Waits until nobody else fetches into `part`.
    pub(super) fn take(part: &Path, hooks: &Hooks<'_>) -> Result<Held> {
        let mut name = part.file_name().map_or_else(OsString::new, OsString::from);
        name.push(".lock");
        let path = part.with_file_name(name);
        let mut told = false;
        loop {
            (hooks.go_on)()?;
            let lock = File::options()
                .write(true)
                .create(true)
                .truncate(false)
                .open(&path)
                .map_err(|error| fault("create", &path, 0, error))?;
            match lock.try_lock() {
                Ok(()) if same_file(&lock, &path) => return Ok(Held { path, _lock: lock }),
                // Its holder has just finished and removed it.
                Ok(()) => continue,
                // A file system without locks: checked bytes are all there is.
                Err(TryLockError::Error(_)) => return Ok(Held { path, _lock: lock }),
                Err(TryLockError::WouldBlock) => {}
            }
            if !told {
                let place = part.display();
                (hooks.tell)(&format!("waiting for somebody else who fetches {place}"));
                told = true;
            }
            hooks.wait(LOOK)?;
        }
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
