//! The only door through which files come to be in the cache: write beside,
//! make read-only, rename without replacing. Syncing comes before anybody is
//! told (see `durable`), for large files at once.
//!
//! A target therefore exists whole or not at all, and the first writer wins.
//! Hashes the very bytes it writes; a file that a stage wrote is moved only if
//! nobody else holds it open, and hashed after that.
use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, Read, Write},
    os::{
        fd::AsRawFd,
        unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    },
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use crate::{
    cache::{
        holding,
        lease::same_file,
        name::{Placed, put_new},
        sole::is_sole,
        store::is_absent,
    },
    digest::{self, Digest, Hashing, each_piece},
    disk::fault,
};

#[cfg(test)]
use crate::cache::crash::step;

/// Between two effects: here tests kill the process.
#[cfg(not(test))]
fn step() {}

/// Larger files are synced where they were written, beside what else goes on.
const SYNCED_AT_ONCE: u64 = 1 << 20;

/// A file written beside its target, removed unless placed.
#[derive(Debug)]
pub(super) struct Draft {
    file: File,
    path: PathBuf,
    pub(super) digest: Digest,
    pub(super) size: u64,
}

impl Draft {
    /// Writes all that `source` gives to a new file at `path`, hashing the
    /// bytes written. `needed` is the expected size in bytes, for the message
    /// of a full disk.
    pub(super) fn write(path: PathBuf, source: impl Read, needed: u64) -> Result<Draft> {
        step();
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(|error| fault("write", &path, needed, error))?;
        let mut draft = Draft {
            file,
            path,
            digest: Digest::of(b""),
            size: 0,
        };
        step();
        let (digest, size) = copy(source, &mut draft.file, &draft.path, needed)?;
        step();
        (draft.digest, draft.size) = (digest, size);
        Ok(draft)
    }

    /// Makes a draft of a file that a stage wrote, by its name in a folder of
    /// ours: without copying it. None if somebody else might still write to it,
    /// which a name beyond those `names` of ours gives away.
    pub(super) fn of_written(path: &Path, file: &File, names: u64) -> Result<Option<Draft>> {
        if !is_sole(file, names).unwrap_or(false) || !same_file(file, path) {
            return Ok(None);
        }
        let failed = |error| fault("read", path, 0, error);
        let (digest, size) = digest::of_reader(file).map_err(failed)?;
        // The age of a blob is that of its name here.
        let kept = file.set_modified(holding::now());
        Ok(Some(Draft {
            file: kept.and_then(|()| file.try_clone()).map_err(failed)?,
            path: path.to_owned(),
            digest,
            size,
        }))
    }

    /// Publishes at `target` unless something stands there already. A small file
    /// is durable after the next [`Cache::sync`] that knows of it.
    pub(super) fn place(self, target: &Path) -> Result<Placed> {
        self.seal()?;
        if self.size > SYNCED_AT_ONCE {
            self.sync()?;
        }
        let parent = parent(target)?;
        step();
        // Most often the folder is there.
        let placed = match put_new(&self.path, target) {
            // Somebody else may have made it since.
            Err(error) if is_absent(&error) => {
                ensure_dir(parent)?;
                put_new(&self.path, target)
            }
            outcome => outcome,
        };
        step();
        drop(self);
        step();
        placed.map_err(|error| fault("write", target, 0, error))
    }

    /// Makes what stands at `target` count as written now, so that nobody who
    /// removes old bytes takes it from under us; false if it is gone by now.
    pub(super) fn renew(target: &Path) -> Result<bool> {
        let file = match File::open(target) {
            Ok(file) => file,
            Err(error) if is_absent(&error) => return Ok(false),
            Err(error) => return Err(fault("read", target, 0, error)),
        };
        let keep = libc::timespec {
            tv_sec: 0,
            tv_nsec: libc::UTIME_OMIT,
        };
        let now = libc::timespec {
            tv_sec: 0,
            tv_nsec: libc::UTIME_NOW,
        };
        let times = [keep, now];
        // SAFETY: the descriptor is open, `times` holds the two times that the call reads.
        let code = unsafe { libc::futimens(file.as_raw_fd(), times.as_ptr()) };
        if code != 0 {
            return Err(fault("renew", target, 0, io::Error::last_os_error()));
        }
        // A removal before our renewal was not ours to stop.
        Ok(same_file(&file, target))
    }

    /// Publishes at `target` in the place of what stands there.
    pub(super) fn replace(self, target: &Path) -> Result<()> {
        self.seal()?;
        self.sync()?;
        step();
        fs::rename(&self.path, target)
            .map_err(|error| fault("replace", target, self.size, error))?;
        step();
        sync_dir(parent(target)?)
    }

    fn seal(&self) -> Result<()> {
        step();
        let sealed = self.file.set_permissions(Permissions::from_mode(0o444));
        sealed.map_err(|error| fault("write", &self.path, self.size, error))
    }

    fn sync(&self) -> Result<()> {
        let synced = self.file.sync_all();
        synced.map_err(|error| fault("write", &self.path, self.size, error))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // Gone already after a rename; what cannot be removed is abandoned with its folder.
        let _ = fs::remove_file(&self.path);
    }
}

/// Copies `source` to a new file at `path` and syncs it; for files that are
/// published by renaming the folder that holds them.
pub(super) fn copy_synced(source: impl Read, path: &Path, needed: u64) -> Result<(Digest, u64)> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .map_err(|error| fault("write", path, needed, error))?;
    step();
    let found = copy(source, &mut file, path, needed)?;
    step();
    file.sync_all()
        .map_err(|error| fault("write", path, needed, error))?;
    Ok(found)
}

fn copy(source: impl Read, file: &mut File, path: &Path, needed: u64) -> Result<(Digest, u64)> {
    let mut hashing = Hashing::default();
    let mut written = true;
    let read = each_piece(source, needed, |piece| {
        hashing.update(piece);
        file.write_all(piece).inspect_err(|_| written = false)
    });
    match read {
        Ok(()) => Ok(hashing.finish()),
        Err(error) if written => Err(error).context("cannot read what is to be stored"),
        Err(error) => Err(fault("write", path, needed, error)),
    }
}

fn parent(path: &Path) -> Result<&Path> {
    path.parent()
        .with_context(|| format!("{} has no parent folder", path.display()))
}

/// Makes a folder and, as far as needed, its parents, each durable.
pub(super) fn ensure_dir(path: &Path) -> Result<()> {
    let mut made = fs::create_dir(path);
    if let Err(error) = &made
        && error.kind() == io::ErrorKind::NotFound
        && let Some(parent) = path.parent()
    {
        ensure_dir(parent)?;
        // Once: some places (/proc) say `not found` to every new name.
        made = fs::create_dir(path);
    }
    step();
    match made {
        Ok(()) => sync_dir(parent(path)?),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(fault("create", path, 0, error)),
    }
}

/// Makes a folder that nobody else may enter and that was not there before.
pub(super) fn new_private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)
}

/// Makes the names in a folder durable.
pub(super) fn sync_dir(path: &Path) -> Result<()> {
    // An empty relative parent is the working folder.
    let place = if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    };
    match File::open(place).and_then(|folder| folder.sync_all()) {
        // Some file systems cannot sync a folder and need not.
        Err(error) if error.raw_os_error() != Some(libc::EINVAL) => {
            Err(fault("sync", path, 0, error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(folder: &Path, name: &str, bytes: &[u8]) -> Draft {
        Draft::write(folder.join(name), bytes, bytes.len() as u64).unwrap()
    }

    #[test]
    fn those_who_need_the_same_new_folder_all_get_there() {
        let place = tempfile::tempdir().unwrap();
        for round in 0..300 {
            let folder = place.path().join(round.to_string());
            let all = std::sync::Barrier::new(8);
            std::thread::scope(|scope| {
                for i in 0..8 {
                    let (all, target) = (&all, folder.join(format!("blob {i}")));
                    let draft = draft(place.path(), &format!("draft {i}"), b"text");
                    scope.spawn(move || {
                        all.wait();
                        draft.place(&target).unwrap();
                    });
                }
            });
        }
    }

    #[test]
    fn first_writer_wins_and_drafts_vanish() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("ab/target");
        assert_eq!(
            draft(folder.path(), "1", b"one").place(&target).unwrap(),
            Placed::New
        );
        assert_eq!(
            draft(folder.path(), "2", b"two").place(&target).unwrap(),
            Placed::Existing
        );
        assert_eq!(fs::read(&target).unwrap(), b"one");
        assert_eq!(
            fs::metadata(&target).unwrap().permissions().mode() & 0o777,
            0o444
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        draft(folder.path(), "3", b"three")
            .replace(&target)
            .unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"three");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_draft_knows_the_digest_of_what_it_wrote() {
        let folder = tempfile::tempdir().unwrap();
        let bytes = vec![3; (2 << 20) + 5];
        let draft = Draft::write(folder.path().join("d"), bytes.as_slice(), 0).unwrap();
        assert_eq!(
            (draft.digest, draft.size),
            (Digest::of(&bytes), bytes.len() as u64)
        );
        assert_eq!(fs::read(&draft.path).unwrap(), bytes);
    }

    #[test]
    fn a_place_that_cannot_be_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let draft = draft(folder.path(), "d", b"x");
        let target = folder.path().join("t");
        fs::write(&target, "").unwrap();
        let text = format!("{:#}", draft.place(&target.join("below")).unwrap_err());
        assert!(text.contains(&target.display().to_string()), "{text}");
    }

    #[test]
    fn a_file_of_a_stage_is_taken_unless_somebody_may_write_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        fs::write(&path, "made").unwrap();
        let taken = Draft::of_written(&path, &File::open(&path).unwrap(), 1).unwrap();
        if let Some(draft) = taken {
            assert_eq!((draft.digest, draft.size), (Digest::of(b"made"), 4));
            let target = folder.path().join("ab/blob");
            assert_eq!(draft.place(&target).unwrap(), Placed::New);
            assert!(!path.exists());
            assert_eq!(
                fs::metadata(&target).unwrap().permissions().mode() & 0o777,
                0o444
            );
        }
        fs::write(&path, "made").unwrap();
        let _writer = OpenOptions::new().append(true).open(&path).unwrap();
        let open = File::open(&path).unwrap();
        assert!(Draft::of_written(&path, &open, 1).unwrap().is_none());
    }
}
