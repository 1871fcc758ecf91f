//! Renames that say what becomes of a file that has the name already.
use std::{fs, io, path::Path};

/// Refuses where something has the name: one step, but not every system has it.
#[cfg(target_os = "linux")]
pub(crate) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    rename(from, to, libc::RENAME_NOREPLACE)
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn rename_new(_from: &Path, _to: &Path) -> io::Result<()> {
    Err(io::Error::from_raw_os_error(libc::ENOSYS))
}

/// In the place of a file that has the name, in one step for whoever reads. For
/// what a power loss may take: a rename over a file makes ext4 write the new one
/// to the disk at once, and whoever renames pays for that; two names that change
/// places do not.
pub(crate) fn supersede(from: &Path, to: &Path) -> io::Result<()> {
    let is_there = fs::symlink_metadata(to).is_ok_and(|found| !found.is_dir());
    if !is_there || exchange(from, to).is_err() {
        return fs::rename(from, to);
    }
    match fs::remove_file(from) {
        // Somebody tidied up.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

#[cfg(target_os = "linux")]
fn exchange(from: &Path, to: &Path) -> io::Result<()> {
    rename(from, to, libc::RENAME_EXCHANGE)
}

#[cfg(not(target_os = "linux"))]
fn exchange(_from: &Path, _to: &Path) -> io::Result<()> {
    Err(io::Error::from_raw_os_error(libc::ENOSYS))
}

#[cfg(target_os = "linux")]
fn rename(from: &Path, to: &Path, how: libc::c_uint) -> io::Result<()> {
    use std::{ffi::CString, os::unix::ffi::OsStrExt};

    let from = CString::new(from.as_os_str().as_bytes())?;
    let to = CString::new(to.as_os_str().as_bytes())?;
    // SAFETY: both paths end in NUL and outlive the call.
    let code = unsafe {
        libc::syscall(
            libc::SYS_renameat2,
            libc::AT_FDCWD,
            from.as_ptr(),
            libc::AT_FDCWD,
            to.as_ptr(),
            how,
        )
    };
    if code == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_takes_the_place_of_another_and_of_nothing_but_not_of_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let [new, to] = ["new", "to"].map(|name| folder.path().join(name));
        for text in ["first", "second"] {
            fs::write(&new, text).unwrap();
            supersede(&new, &to).unwrap();
            assert_eq!(fs::read_to_string(&to).unwrap(), text);
            assert!(!new.exists());
        }
        let taken = folder.path().join("taken");
        fs::create_dir(&taken).unwrap();
        fs::write(taken.join("inside"), "x").unwrap();
        fs::write(&new, "third").unwrap();
        supersede(&new, &taken).unwrap_err();
        assert!(new.is_file() && taken.join("inside").is_file());
        fs::remove_file(&new).unwrap();
        supersede(&new, &to).unwrap_err();
        assert_eq!(fs::read_to_string(&to).unwrap(), "second");
    }
}
