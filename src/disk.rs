//! The disk as everybody may use it: whole files written, and faults that name
//! the path and, for a full disk, the bytes needed and available; a place that
//! one alone may work at. Nothing here is durable; that is the cache's.
use std::{
    ffi::CString,
    fs::{self, File},
    io,
    mem::MaybeUninit,
    os::unix::{ffi::OsStrExt, fs::FileExt},
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use anyhow::Result;

mod held;
mod rename;

pub use held::Held;
pub(crate) use held::LOCK;
pub(crate) use rename::{rename_new, supersede};

/// Numbers the neighbours that this process has written.
static TURN: AtomicU64 = AtomicU64::new(0);

/// Bytes an unprivileged process may still write on the file system of `path`,
/// or of its nearest existing parent; none where the system will not say.
pub(crate) fn available(path: &Path) -> Option<u64> {
    path.ancestors().find_map(|place| {
        let place = CString::new(place.as_os_str().as_bytes()).ok()?;
        let mut found = MaybeUninit::<libc::statvfs>::zeroed();
        // SAFETY: `place` ends in NUL, `found` is a statvfs for the call to fill.
        let code = unsafe { libc::statvfs(place.as_ptr(), found.as_mut_ptr()) };
        // SAFETY: all-zero bytes are a valid statvfs, filled or not.
        let found = unsafe { found.assume_init() };
        #[expect(
            clippy::unnecessary_cast,
            reason = "the fields are 32 bits wide on some systems"
        )]
        (code == 0).then(|| found.f_bavail as u64 * found.f_frsize as u64)
    })
}

/// An effect that failed, with its path; `needed` is the number of bytes that
/// were to be written there. The `io::Error` stays the root cause.
pub(crate) fn fault(doing: &str, path: &Path, needed: u64, error: io::Error) -> anyhow::Error {
    let place = path.display();
    let text = match error.kind() {
        io::ErrorKind::StorageFull => match available(path) {
            Some(free) => {
                format!("cannot {doing} {place}: {needed} bytes needed, {free} available")
            }
            None => format!("cannot {doing} {place}: {needed} bytes needed"),
        },
        io::ErrorKind::QuotaExceeded => {
            format!("cannot {doing} {place}: {needed} bytes needed, the quota is used up")
        }
        _ => format!("cannot {doing} {place}"),
    };
    anyhow::Error::new(error).context(text)
}

/// Writes a whole file, in the place of one that is there.
pub(crate) fn write(path: &Path, bytes: impl AsRef<[u8]>) -> Result<()> {
    let bytes = bytes.as_ref();
    fs::write(path, bytes).map_err(|error| fault("write", path, bytes.len() as u64, error))
}

/// Copies a file, in the place of one that is there.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    let needed = fs::metadata(from).map_err(|error| fault("read", from, 0, error))?;
    fs::copy(from, to).map_err(|error| fault("write", to, needed.len(), error))?;
    Ok(())
}

/// Makes a folder with its parents, unless it is there.
pub(crate) fn make_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(|error| fault("create", path, 0, error))
}

/// Whether a file of lines ends with a whole one, or is empty.
pub(crate) fn ends_whole(file: &mut File) -> io::Result<bool> {
    let mut last = [b'\n'];
    let size = file.metadata()?.len();
    if size > 0 {
        file.read_exact_at(&mut last, size - 1)?;
    }
    Ok(last == *b"\n")
}

/// Writes a neighbour and gives it the name, so that nobody sees half a file; after
/// a power loss the file may be empty.
pub(crate) fn write_beside(path: &Path, bytes: &[u8]) -> Result<()> {
    put(path, bytes, |beside| supersede(beside, path))
}

/// The same for what nobody could make again: it is the old or the new one also
/// after a power loss.
pub(crate) fn write_lasting(path: &Path, bytes: &[u8]) -> Result<()> {
    put(path, bytes, |beside| {
        File::open(beside)?.sync_all()?;
        fs::rename(beside, path)
    })
}

fn put(path: &Path, bytes: &[u8], place: impl FnOnce(&Path) -> io::Result<()>) -> Result<()> {
    let parent = path.parent().unwrap_or(Path::new("."));
    make_folder(parent)?;
    // Not the file's own name, which may be as long as names can be.
    let turn = TURN.fetch_add(1, Ordering::Relaxed);
    let beside = parent.join(format!(".{}-{turn}.new", std::process::id()));
    let written = fs::write(&beside, bytes).and_then(|()| place(&beside));
    written.map_err(|error| {
        // What cannot be removed either is no worse.
        let _ = fs::remove_file(&beside);
        fault("write", path, bytes.len() as u64, error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_known_also_for_a_path_to_come() {
        let folder = tempfile::tempdir().unwrap();
        let there = available(folder.path()).unwrap();
        assert!(there > 0);
        assert!(available(&folder.path().join("not/yet")).is_some());
    }

    #[test]
    fn a_full_disk_is_told_with_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("blob");
        let full = fault(
            "write",
            &place,
            77,
            io::Error::from_raw_os_error(libc::ENOSPC),
        );
        let text = format!("{full:#}");
        assert!(
            text.contains(&format!("cannot write {}", place.display())),
            "{text}"
        );
        assert!(text.contains("77 bytes needed, "), "{text}");
        assert!(text.contains(" available: No space left"), "{text}");
        let quota = fault(
            "write",
            &place,
            77,
            io::Error::from_raw_os_error(libc::EDQUOT),
        );
        assert!(format!("{quota:#}").contains("77 bytes needed, the quota is used up"));
        let read_only = fault(
            "write",
            &place,
            77,
            io::Error::from_raw_os_error(libc::EROFS),
        );
        let text = format!("{read_only:#}");
        assert!(text.starts_with("cannot write /"), "{text}");
        assert!(text.contains("Read-only file system"), "{text}");
        assert!(read_only.downcast_ref::<io::Error>().is_some());
    }

    #[test]
    fn a_neighbour_does_not_stay_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/file");
        for write in [write_beside, write_lasting] {
            write(&path, b"one").unwrap();
            write(&path, b"two").unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"two");
        }
        // A folder stands where the file should go.
        let taken = folder.path().join("deep");
        let refused = format!("{:#}", write_beside(&taken, b"x").unwrap_err());
        let expected = format!("cannot write {}: ", taken.display());
        assert!(refused.starts_with(&expected), "{refused}");
        let names = fs::read_dir(folder.path()).unwrap();
        assert_eq!(names.count(), 1);
    }
}
