//! Private folders for unfinished work, and the clearing of those whose owner died.
//!
//! An owner holds a kernel lock on a file inside, which dies with the process;
//! process ids are only part of a name and decide nothing.
use std::{
    fs::{self, File, OpenOptions, Permissions, TryLockError},
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process,
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use anyhow::Result;

use crate::{
    cache::{
        publish::{ensure_dir, new_private_dir},
        store::Cache,
    },
    disk::fault,
};

/// The lock inside an attempt's folder.
const LOCK: &str = "lock";
/// The folder inside in which the owner works.
const WORK: &str = "work";
/// The file whose lock keeps clearing out while a folder is made and locked.
const GATE: &str = "gate";
/// How long another machine's folder is left alone, since its locks may not
/// be visible here.
pub(super) const GRACE: Duration = Duration::from_hours(24);

/// A private folder (mode 0700) on the cache's file system, removed on drop.
#[derive(Debug)]
pub struct AttemptDir {
    place: PathBuf,
    work: PathBuf,
    lock: File,
}

impl AttemptDir {
    /// The empty folder to work in.
    pub fn path(&self) -> &Path {
        &self.work
    }

    /// When it was made, as the file system tells the time.
    fn born(&self) -> Option<SystemTime> {
        self.lock.metadata().and_then(|found| found.modified()).ok()
    }

    fn create(tmp: &Path) -> Result<AttemptDir> {
        ensure_dir(tmp)?;
        let gate = open_lock(&tmp.join(GATE))?;
        // Without working locks nothing is ever cleared, so going on is safe.
        let _ = gate.lock_shared();
        let place = loop {
            let place = tmp.join(nonce());
            match new_private_dir(&place) {
                Ok(()) => break place,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(fault("create", &place, 0, error)),
            }
        };
        let lock = open_lock(&place.join(LOCK))?;
        let _ = lock.try_lock();
        let work = place.join(WORK);
        new_private_dir(&work).map_err(|error| fault("create", &work, 0, error))?;
        Ok(AttemptDir { place, work, lock })
    }
}

impl Drop for AttemptDir {
    fn drop(&mut self) {
        // What cannot be removed now is cleared as abandoned later.
        let _ = remove_all(&self.place);
    }
}

impl Cache {
    /// A new private folder under `tmp/`.
    pub fn attempt_dir(&self) -> Result<AttemptDir> {
        AttemptDir::create(&self.root().join("tmp"))
    }

    /// Removes the attempts under `tmp/` whose owner is dead, and says how many.
    pub fn clear_abandoned(&self) -> Result<usize> {
        let tmp = self.root().join("tmp");
        let own = self.attempt_dir()?;
        let mut dead = Vec::new();
        {
            let gate = open_lock(&tmp.join(GATE))?;
            if gate.lock().is_err() {
                return Ok(0);
            }
            let listing = fs::read_dir(&tmp).map_err(|error| fault("list", &tmp, 0, error))?;
            for entry in listing {
                let path = entry.map_err(|error| fault("list", &tmp, 0, error))?.path();
                if path.is_dir()
                    && is_settled(&path, own.born())
                    && let Owner::Dead(lock) = owner(&path)
                {
                    dead.push((path, lock));
                }
            }
        }
        let mut removed = 0;
        for (path, _lock) in dead {
            remove_all(&path).map_err(|error| fault("remove", &path, 0, error))?;
            removed += 1;
        }
        Ok(removed)
    }
}

/// Whether a lock on this folder would be visible here: it was made since this
/// machine started, or so long ago that its owner had time to finish.
fn is_settled(place: &Path, now: Option<SystemTime>) -> bool {
    let own = place
        .file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with(boot()));
    let made = fs::metadata(place.join(LOCK)).and_then(|found| found.modified());
    let old = match (made, now) {
        (Ok(made), Some(now)) => now.duration_since(made).is_ok_and(|age| age >= GRACE),
        _ => false,
    };
    own || old
}

/// Whose an attempt's folder is.
enum Owner {
    /// Its lock is held, or cannot be asked for.
    Alive,
    /// We hold its lock now; a folder without a lock file is one half removed.
    Dead(Option<File>),
}

fn owner(place: &Path) -> Owner {
    match OpenOptions::new().write(true).open(place.join(LOCK)) {
        Ok(lock) => match lock.try_lock() {
            Ok(()) => Owner::Dead(Some(lock)),
            Err(TryLockError::WouldBlock | TryLockError::Error(_)) => Owner::Alive,
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Owner::Dead(None),
        Err(_) => Owner::Alive,
    }
}

pub(super) fn open_lock(path: &Path) -> Result<File> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(|error| fault("open", path, 0, error))
}

/// Removes a folder with all it holds, also where a stage left folders that
/// their owner may not write.
pub(super) fn remove_all(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            make_writable(path)?;
            fs::remove_dir_all(path)
        }
        outcome => outcome,
    }
}

fn make_writable(folder: &Path) -> io::Result<()> {
    fs::set_permissions(folder, Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            make_writable(&entry.path())?;
        }
    }
    Ok(())
}

/// A name no other process uses: boot, process, its start, a counter. Whoever
/// makes something under it still insists that it is new.
pub(super) fn nonce() -> String {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    static START: OnceLock<String> = OnceLock::new();
    let start = START.get_or_init(|| process_start().unwrap_or_else(|| "0".to_owned()));
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    format!("{}-{}-{start}-{count}", boot(), process::id())
}

/// Ticks from the boot to the start of this process, where the system tells.
fn process_start() -> Option<String> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The command's name, in parentheses, may hold blanks; the start is field 22.
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(19).map(str::to_owned)
}

pub(super) fn boot() -> &'static str {
    static BOOT: OnceLock<String> = OnceLock::new();
    BOOT.get_or_init(|| {
        fs::read_to_string("/proc/sys/kernel/random/boot_id")
            .ok()
            .and_then(|id| id.split('-').next().map(str::to_owned))
            .unwrap_or_else(|| "boot".to_owned())
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn an_attempt_is_private_empty_and_gone_after_use() {
        let place = tempfile::tempdir().unwrap();
        let cache = Cache::open(place.path()).unwrap();
        let attempt = cache.attempt_dir().unwrap();
        assert_eq!(fs::metadata(attempt.path()).unwrap().mode() & 0o777, 0o700);
        assert_eq!(fs::read_dir(attempt.path()).unwrap().count(), 0);
        let path = attempt.path().to_owned();
        fs::create_dir(path.join("sealed")).unwrap();
        fs::write(path.join("sealed/file"), "x").unwrap();
        fs::set_permissions(path.join("sealed"), Permissions::from_mode(0o555)).unwrap();
        drop(attempt);
        assert!(!path.exists());
        assert!(!path.parent().unwrap().exists());
    }

    #[test]
    fn only_abandoned_attempts_are_cleared() {
        let place = tempfile::tempdir().unwrap();
        let cache = Cache::open(place.path()).unwrap();
        let live = cache.attempt_dir().unwrap();
        let tmp = place.path().join("tmp");
        // Left by a dead process of this boot: the lock file stands, nobody holds it.
        let dead = tmp.join(format!("{}-1-1-1", boot()));
        fs::create_dir_all(dead.join(WORK)).unwrap();
        fs::write(dead.join(LOCK), "").unwrap();
        // Another machine's: perhaps alive, its lock perhaps not visible.
        let foreign = tmp.join("00000000-1-1-1");
        fs::create_dir_all(&foreign).unwrap();
        fs::write(foreign.join(LOCK), "").unwrap();
        assert_eq!(cache.clear_abandoned().unwrap(), 1);
        assert!(!dead.exists());
        assert!(foreign.exists());
        assert!(live.path().exists());
        let old = live.born().unwrap() - GRACE - Duration::from_mins(1);
        File::open(foreign.join(LOCK))
            .unwrap()
            .set_modified(old)
            .unwrap();
        assert_eq!(cache.clear_abandoned().unwrap(), 1);
        assert!(!foreign.exists());
    }

    #[test]
    fn nonces_differ() {
        let many: std::collections::BTreeSet<String> = (0..100).map(|_| nonce()).collect();
        assert_eq!(many.len(), 100);
    }
}
