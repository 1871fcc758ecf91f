//! Live runs: a kernel lock on a file in the run's folder, which dies with its
//! process. Process ids decide nothing.
use std::fs::{File, TryLockError};

use anyhow::Result;

use crate::{
    cache::{
        attempt::open_lock,
        record::names,
        store::{Cache, is_absent},
    },
    disk::fault,
};

/// The lock in a run's folder.
const LOCK: &str = "lock";

/// A run is live while its process has this.
#[derive(Debug)]
pub struct LiveRun {
    _lock: File,
}

impl Cache {
    /// Makes the run's folder and marks the run live until the result is dropped.
    pub fn hold_run(&self, id: &str) -> Result<LiveRun> {
        let lock = open_lock(&self.run_dir(id)?.join(LOCK))?;
        // Somebody who looks holds it for an instant. Where locks do not work,
        // the run only seems dead.
        let _ = lock.lock();
        Ok(LiveRun { _lock: lock })
    }

    /// Whether the process of a run still holds its lock.
    pub fn run_is_live(&self, id: &str) -> bool {
        let path = self.root().join("runs").join(id).join(LOCK);
        let Ok(lock) = File::open(path) else {
            return false;
        };
        // Shared, so that two who look do not see each other.
        matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock))
    }

    /// The runs that have a folder, oldest first.
    ///
    /// # Errors
    /// The folder cannot be listed.
    pub fn run_ids(&self) -> Result<Vec<String>> {
        let folder = self.root().join("runs");
        let mut ids: Vec<String> = names(&folder)?
            .into_iter()
            .filter_map(|name| name.into_string().ok())
            .filter(|name| !name.starts_with('.'))
            .collect();
        ids.sort_unstable();
        Ok(ids)
    }

    /// A file of a run's folder; none where it is missing.
    ///
    /// # Errors
    /// It is there and cannot be read.
    pub fn run_file(&self, id: &str, name: &str) -> Result<Option<Vec<u8>>> {
        let path = self.root().join("runs").join(id).join(name);
        match std::fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(fault("read", &path, 0, error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::record::tests::cache;

    #[test]
    fn a_run_is_live_while_its_lock_is_held() {
        let (_place, cache) = cache();
        assert_eq!(cache.run_ids().unwrap(), [""; 0]);
        assert!(!cache.run_is_live("20260101T000000000Z-1"));
        let live = cache.hold_run("20260101T000000000Z-1").unwrap();
        let other = cache.hold_run("20260101T000000001Z-1").unwrap();
        assert!(cache.run_is_live("20260101T000000000Z-1"));
        drop(live);
        assert!(!cache.run_is_live("20260101T000000000Z-1"));
        assert!(cache.run_is_live("20260101T000000001Z-1"));
        drop(other);
        let ids = ["20260101T000000000Z-1", "20260101T000000001Z-1"];
        assert_eq!(cache.run_ids().unwrap(), ids);
        assert_eq!(cache.run_file(ids[0], "nothing").unwrap(), None);
        assert_eq!(cache.run_file(ids[0], LOCK).unwrap(), Some(Vec::new()));
    }
}
