//! What the file system says about room: faults that name the path and, for a
//! full disk, the bytes needed and available. Writes nothing.
use std::{ffi::CString, io, mem::MaybeUninit, os::unix::ffi::OsStrExt, path::Path};

/// Bytes an unprivileged process may still write on the file system of `path`,
/// or of its nearest existing parent; none where the system will not say.
pub(super) fn available(path: &Path) -> Option<u64> {
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
pub(super) fn fault(doing: &str, path: &Path, needed: u64, error: io::Error) -> anyhow::Error {
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
}
