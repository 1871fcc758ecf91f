//! Whether a file is ours alone: whoever wrote it has closed it, and no name of
//! it is known to others. Only then may it become a blob without being copied.
use std::{fs::File, io, os::unix::fs::MetadataExt};

/// Chooses the signal of a lease; not among the names that libc has.
#[cfg(target_os = "linux")]
const F_SETSIG: libc::c_int = 10;

/// Whether nobody has this file open for writing or mapped for it, it has the
/// `names` that we know and no other, and it belongs to this user. False
/// wherever the system cannot tell.
#[cfg(target_os = "linux")]
pub(super) fn is_sole(file: &File, names: u64) -> io::Result<bool> {
    use std::os::fd::AsRawFd;

    let about = file.metadata()?;
    // SAFETY: the call has no arguments and cannot fail.
    let user = unsafe { libc::geteuid() };
    if about.nlink() != names || about.uid() != user {
        return Ok(false);
    }
    let fd = file.as_raw_fd();
    // A lease for reading is granted only while there is no writer. It is given
    // back at once; should somebody open the file between, the signal of that is
    // one that nobody needs to handle.
    // SAFETY: `fd` is open; the calls take integers.
    let granted = unsafe {
        libc::fcntl(fd, F_SETSIG, libc::SIGURG) == 0
            && libc::fcntl(fd, libc::F_SETLEASE, libc::F_RDLCK) == 0
            && libc::fcntl(fd, libc::F_SETLEASE, libc::F_UNLCK) == 0
    };
    Ok(granted)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn is_sole(_file: &File, _names: u64) -> io::Result<bool> {
    Ok(false)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::{fs, fs::OpenOptions, os::fd::AsRawFd, ptr};

    use super::*;

    #[test]
    fn a_writer_a_mapping_and_a_second_name_are_seen() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("file");
        fs::write(&path, "text").unwrap();
        let sole = || is_sole(&File::open(&path).unwrap(), 1).unwrap();
        if !sole() {
            // This file system has no leases: everything is copied.
            return;
        }
        let reader = File::open(&path).unwrap();
        assert!(sole());
        drop(reader);
        let writer = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .unwrap();
        assert!(!sole());
        // SAFETY: maps four bytes of an open file anew; the address is checked.
        let map = unsafe {
            let protection = libc::PROT_READ | libc::PROT_WRITE;
            let fd = writer.as_raw_fd();
            libc::mmap(ptr::null_mut(), 4, protection, libc::MAP_SHARED, fd, 0)
        };
        assert_ne!(map, libc::MAP_FAILED);
        drop(writer);
        assert!(!sole());
        // SAFETY: the mapping made above, used by nobody.
        assert_eq!(unsafe { libc::munmap(map, 4) }, 0);
        assert!(sole());
        fs::hard_link(&path, place.path().join("second")).unwrap();
        assert!(!sole());
        assert!(is_sole(&File::open(&path).unwrap(), 2).unwrap());
    }
}
