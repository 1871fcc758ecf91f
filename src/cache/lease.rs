//! Leases: who works on a family now. A kernel lock on a file, which dies with
//! its process; the file's text only tells people whom they wait for.
//!
//! An optimisation: losing one costs a duplicate execution, never a wrong
//! result, because publishing does not replace.
use std::{
    fs::{self, File, TryLockError},
    io::{Seek, SeekFrom, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process,
};

use anyhow::Result;

use crate::{
    cache::{attempt::open_lock, publish::ensure_dir, store::Cache},
    digest::Digest,
    disk::fault,
};

/// How often a lock is asked for again when its file was removed meanwhile.
const ROUNDS: usize = 16;

/// Held until dropped.
#[derive(Debug)]
pub struct Lease {
    path: PathBuf,
    lock: File,
}

impl Drop for Lease {
    fn drop(&mut self) {
        // While locked: whoever opened the old file finds out that it is gone.
        if same_file(&self.lock, &self.path) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// What became of asking for a lease.
#[derive(Debug)]
pub enum Leased {
    Held(Lease),
    /// Somebody else holds it; `holder` is what they said of themselves.
    Busy {
        holder: String,
    },
}

/// How a run names itself to others: `run X, process N on HOST`.
pub fn holder(run: &str) -> String {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host: String = host.trim().chars().filter(|c| !c.is_control()).collect();
    let run: String = run.chars().filter(|c| !c.is_control()).collect();
    format!("run {run}, process {} on {host}", process::id())
}

impl Cache {
    /// Asks for the lease of a family without waiting. `holder` says to others
    /// who has it, in one line. Where locks do not work it is always held.
    pub fn try_lease(&self, family: &Digest, holder: &str) -> Result<Leased> {
        ensure_dir(&self.root().join("leases"))?;
        let path = self.lease_path(family);
        let mut lock = open_lock(&path)?;
        for _ in 0..ROUNDS {
            match lock.try_lock() {
                Err(TryLockError::WouldBlock) => {
                    let text = fs::read(&path).unwrap_or_default();
                    let text = String::from_utf8_lossy(&text);
                    return Ok(Leased::Busy {
                        holder: text.lines().next().unwrap_or_default().to_owned(),
                    });
                }
                Ok(()) | Err(TryLockError::Error(_)) => {}
            }
            if same_file(&lock, &path) {
                break;
            }
            // Its holder has just finished with it and removed the file.
            lock = open_lock(&path)?;
        }
        lock.set_len(0)
            .and_then(|()| lock.seek(SeekFrom::Start(0)))
            .and_then(|_| lock.write_all(format!("{holder}\n").as_bytes()))
            .map_err(|error| fault("write", &path, holder.len() as u64, error))?;
        Ok(Leased::Held(Lease { path, lock }))
    }

    /// Whether nobody holds the lease of a family now. Takes nothing.
    pub fn lease_is_free(&self, family: &Digest) -> bool {
        match File::open(self.lease_path(family)) {
            Ok(lock) => !matches!(lock.try_lock(), Err(TryLockError::WouldBlock)),
            Err(_) => true,
        }
    }

    /// Removes the files of leases whose holders died; how many.
    pub(super) fn clear_leases(&self) -> usize {
        let Ok(entries) = fs::read_dir(self.root().join("leases")) else {
            return 0;
        };
        let dead = entries.flatten().filter(|entry| {
            let path = entry.path();
            let Ok(lock) = open_lock(&path) else {
                return false;
            };
            lock.try_lock().is_ok() && {
                drop(Lease { path, lock });
                true
            }
        });
        dead.count()
    }

    fn lease_path(&self, family: &Digest) -> PathBuf {
        self.root().join("leases").join(family.to_string())
    }
}

/// Whether an open file is still the one that its name leads to.
pub(super) fn same_file(open: &File, path: &Path) -> bool {
    match (open.metadata(), fs::symlink_metadata(path)) {
        (Ok(open), Ok(named)) => (open.dev(), open.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::record::tests::cache;

    #[test]
    fn one_holds_it_and_the_others_learn_who() {
        let (_place, cache) = cache();
        let family = Digest::of(b"f");
        assert!(cache.lease_is_free(&family));
        let Leased::Held(lease) = cache.try_lease(&family, "run 1, process 42").unwrap() else {
            panic!("nobody holds it yet");
        };
        assert!(!cache.lease_is_free(&family));
        for _ in 0..2 {
            match cache.try_lease(&family, "run 2").unwrap() {
                Leased::Busy { holder } => assert_eq!(holder, "run 1, process 42"),
                Leased::Held(_) => panic!("two hold it"),
            }
        }
        let other = cache.try_lease(&Digest::of(b"g"), "run 2").unwrap();
        assert!(matches!(other, Leased::Held(_)));
        assert_eq!(cache.clear_leases(), 0);
        drop(lease);
        assert!(cache.lease_is_free(&family));
        let next = cache.try_lease(&family, "me").unwrap();
        assert!(matches!(next, Leased::Held(_)));
        let busy = cache.try_lease(&family, "run 2").unwrap();
        assert!(matches!(busy, Leased::Busy { holder } if holder == "me"));
    }

    #[test]
    fn released_and_abandoned_leases_leave_no_file() {
        let (_place, cache) = cache();
        let files = || fs::read_dir(cache.root().join("leases")).unwrap().count();
        let family = Digest::of(b"f");
        drop(cache.try_lease(&family, "me").unwrap());
        assert_eq!(files(), 0);
        // As a killed process leaves it.
        fs::write(cache.lease_path(&family), "run 1\n").unwrap();
        assert!(cache.lease_is_free(&family));
        assert_eq!(cache.clear_leases(), 1);
        assert_eq!(files(), 0);
    }

    #[test]
    fn two_never_hold_it_although_its_file_comes_and_goes() {
        let (_place, cache) = cache();
        let family = Digest::of(b"f");
        let inside = std::sync::atomic::AtomicUsize::new(0);
        let order = std::sync::atomic::Ordering::SeqCst;
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..500 {
                        if let Leased::Held(lease) = cache.try_lease(&family, "x").unwrap() {
                            assert_eq!(inside.fetch_add(1, order), 0);
                            inside.fetch_sub(1, order);
                            drop(lease);
                        }
                    }
                });
            }
        });
    }
}
