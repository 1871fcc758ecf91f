//! The only door through which files come to be in the cache: write beside,
//! sync, make read-only, link without replacing, sync the folder.
//!
//! A target therefore exists whole or not at all, and the first writer wins.
//! Hashes the very bytes it writes; never hashes a source and then moves it.
use std::{
    fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions},
    io::{self, Read, Write},
    os::{
        fd::AsRawFd,
        unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    },
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};

use crate::{
    cache::{lease::same_file, store::is_absent},
    digest::{Digest, Hashing, each_piece},
    disk::fault,
};

#[cfg(test)]
use crate::cache::crash::step;

/// Between two effects: here tests kill the process.
#[cfg(not(test))]
fn step() {}

/// After this time a name is on the disk whether or not anybody synced it.
const WRITTEN_BACK: Duration = Duration::from_mins(1);

/// What became of a publication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Placed {
    New,
    /// Somebody else's file stands at the target; ours is gone.
    Existing,
}

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

    /// Publishes at `target` unless something stands there already; durable
    /// when it returns [`Placed::New`].
    pub(super) fn place(self, target: &Path) -> Result<Placed> {
        self.seal()?;
        let parent = parent(target)?;
        ensure_dir(parent)?;
        step();
        let placed = link_new(&self.path, target, |from, to| fs::hard_link(from, to))?;
        step();
        drop(self);
        step();
        // Also for an existing file: its writer may have died before this step.
        sync_dir(parent)?;
        Ok(placed)
    }

    /// Takes what stands at `target`, known to be as ours, in the place of this
    /// draft. A young one is synced: its writer may have died before that.
    pub(super) fn yield_to(self, target: &Path, standing: &Metadata) -> Result<()> {
        let changed = standing
            .ctime()
            .saturating_add_unsigned(WRITTEN_BACK.as_secs());
        if self
            .file
            .metadata()
            .is_ok_and(|ours| ours.ctime() > changed)
        {
            return Ok(());
        }
        sync_dir(parent(target)?)
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
        step();
        fs::rename(&self.path, target)
            .map_err(|error| fault("replace", target, self.size, error))?;
        step();
        sync_dir(parent(target)?)
    }

    fn seal(&self) -> Result<()> {
        step();
        self.file
            .set_permissions(Permissions::from_mode(0o444))
            .and_then(|()| self.file.sync_all())
            .map_err(|error| fault("write", &self.path, self.size, error))
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

/// Links `draft` to `target` without replacing. `link` is the system call,
/// which tests make fail.
fn link_new(
    draft: &Path,
    target: &Path,
    link: impl Fn(&Path, &Path) -> io::Result<()>,
) -> Result<Placed> {
    let error = match link(draft, target) {
        Ok(()) => return Ok(Placed::New),
        Err(error) => error,
    };
    // Over NFS the answer to a link that succeeded may be lost, and its repetition fails.
    if fs::metadata(draft).is_ok_and(|found| found.nlink() == 2) {
        return Ok(Placed::New);
    }
    match error.raw_os_error() {
        Some(libc::EEXIST) => Ok(Placed::Existing),
        Some(libc::EPERM | libc::ENOSYS | libc::EOPNOTSUPP | libc::EMLINK) => {
            rename_new(draft, target)
        }
        _ => Err(fault("write", target, 0, error)),
    }
}

/// For file systems without hard links: a rename that refuses to replace.
#[cfg(target_os = "linux")]
fn rename_new(draft: &Path, target: &Path) -> Result<Placed> {
    use std::{ffi::CString, os::unix::ffi::OsStrExt};

    let from = CString::new(draft.as_os_str().as_bytes())?;
    let to = CString::new(target.as_os_str().as_bytes())?;
    // SAFETY: both paths end in NUL and outlive the call.
    let code = unsafe {
        libc::syscall(
            libc::SYS_renameat2,
            libc::AT_FDCWD,
            from.as_ptr(),
            libc::AT_FDCWD,
            to.as_ptr(),
            libc::RENAME_NOREPLACE,
        )
    };
    if code == 0 {
        return Ok(Placed::New);
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::EEXIST) => Ok(Placed::Existing),
        Some(libc::EINVAL | libc::ENOSYS) => no_safe_way(target),
        _ => Err(fault("write", target, 0, error)),
    }
}

#[cfg(not(target_os = "linux"))]
fn rename_new(_draft: &Path, target: &Path) -> Result<Placed> {
    no_safe_way(target)
}

fn no_safe_way(target: &Path) -> Result<Placed> {
    bail!(
        "cannot write {}: this file system has neither hard links nor a rename that does not \
         replace; choose another place with --cache or VGH_CACHE",
        target.display()
    )
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
        assert_eq!(fs::metadata(&target).unwrap().mode() & 0o777, 0o444);
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
    fn a_link_whose_answer_is_lost_counts() {
        let folder = tempfile::tempdir().unwrap();
        let draft = draft(folder.path(), "d", b"x");
        let target = folder.path().join("t");
        let placed = link_new(&draft.path, &target, |from, to| {
            fs::hard_link(from, to).unwrap();
            Err(io::Error::from_raw_os_error(libc::EEXIST))
        });
        assert_eq!(placed.unwrap(), Placed::New);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn without_hard_links_a_rename_still_refuses_to_replace() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("t");
        let no_links = |_: &Path, _: &Path| Err(io::Error::from_raw_os_error(libc::EPERM));
        let first = draft(folder.path(), "1", b"one");
        assert_eq!(
            link_new(&first.path, &target, no_links).unwrap(),
            Placed::New
        );
        let second = draft(folder.path(), "2", b"two");
        assert_eq!(
            link_new(&second.path, &target, no_links).unwrap(),
            Placed::Existing
        );
        assert_eq!(fs::read(&target).unwrap(), b"one");
    }

    #[test]
    fn other_faults_of_linking_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let draft = draft(folder.path(), "d", b"x");
        let target = folder.path().join("t");
        for code in [
            libc::ENOSPC,
            libc::EDQUOT,
            libc::EACCES,
            libc::EROFS,
            libc::EIO,
        ] {
            let refused = link_new(&draft.path, &target, |_, _| {
                Err(io::Error::from_raw_os_error(code))
            });
            let text = format!("{:#}", refused.unwrap_err());
            assert!(text.contains(&target.display().to_string()), "{text}");
        }
        assert!(!target.exists());
    }
}
