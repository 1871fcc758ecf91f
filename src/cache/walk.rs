//! Finding and opening the regular files of a folder, refusing by name what a
//! cache cannot hold. Reads only; follows no link that it was not told to.
use std::{
    fs::{self, File, FileType, Metadata, OpenOptions},
    io,
    os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use crate::disk::fault;

/// Set-user-id and set-group-id.
const SET_ID: u32 = 0o6000;

/// What to do with symbolic links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Links {
    /// For outputs: a link could lead out of the folder.
    Refuse,
    /// For what the user names: a link stands for what it leads to.
    Follow,
}

/// A regular file below a folder.
#[derive(Debug)]
pub(super) struct Found {
    /// Relative to the folder, with `/`.
    pub(super) name: String,
    pub(super) path: PathBuf,
}

/// A folder yet to be listed, with the identities of those it lies in.
struct Pending {
    path: PathBuf,
    prefix: String,
    inside: Vec<(u64, u64)>,
}

/// The regular files below `folder`, sorted by name. Empty folders are not kept.
///
/// # Errors
/// Anything but files and folders, a name that is not UTF-8, a loop of links.
pub(super) fn files(folder: &Path, links: Links) -> Result<Vec<Found>> {
    let found = describe(folder, links)?;
    if !found.is_dir() {
        bail!(
            "{} is {}, not a folder",
            folder.display(),
            nature(found.file_type())
        );
    }
    let mut files = Vec::new();
    let mut pending = vec![Pending {
        path: folder.to_owned(),
        prefix: String::new(),
        inside: vec![(found.dev(), found.ino())],
    }];
    while let Some(next) = pending.pop() {
        list(&next, links, &mut files, &mut pending)?;
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}

fn list(
    at: &Pending,
    links: Links,
    files: &mut Vec<Found>,
    pending: &mut Vec<Pending>,
) -> Result<()> {
    let failed = |error| fault("list", &at.path, 0, error);
    for entry in fs::read_dir(&at.path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = entry.path();
        let Ok(name) = entry.file_name().into_string() else {
            bail!("the name of {} is not UTF-8, rename it", path.display());
        };
        let name = format!("{}{name}", at.prefix);
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_file() {
            files.push(Found { name, path });
            continue;
        }
        let found = describe(&path, links)?;
        if found.is_file() {
            files.push(Found { name, path });
        } else if found.is_dir() {
            let identity = (found.dev(), found.ino());
            if at.inside.contains(&identity) {
                bail!("{} leads back to a folder it lies in", path.display());
            }
            let mut inside = at.inside.clone();
            // Without links a folder cannot lie in itself.
            if links == Links::Follow {
                inside.push(identity);
            }
            let prefix = format!("{name}/");
            pending.push(Pending {
                path,
                prefix,
                inside,
            });
        } else {
            refuse(&path, found.file_type())?;
        }
    }
    Ok(())
}

fn describe(path: &Path, links: Links) -> Result<Metadata> {
    match links {
        Links::Refuse => fs::symlink_metadata(path),
        Links::Follow => fs::metadata(path),
    }
    .map_err(|error| fault("read", path, 0, error))
}

fn refuse(path: &Path, kind: FileType) -> Result<()> {
    bail!(
        "{} is {}: only regular files can be kept",
        path.display(),
        nature(kind)
    )
}

fn nature(kind: FileType) -> &'static str {
    if kind.is_symlink() {
        "a symbolic link"
    } else if kind.is_fifo() {
        "a named pipe"
    } else if kind.is_socket() {
        "a socket"
    } else if kind.is_block_device() || kind.is_char_device() {
        "a device"
    } else if kind.is_dir() {
        "a folder"
    } else {
        "a file"
    }
}

/// Opens a regular file that is not a link, without ever waiting for a pipe.
pub(super) fn open_plain(path: &Path) -> Result<(File, Metadata)> {
    let found = describe(path, Links::Refuse)?;
    if !found.is_file() {
        refuse(path, found.file_type())?;
    }
    let file = open_no_follow(path).map_err(|error| fault("read", path, 0, error))?;
    accept(file, path)
}

/// Opens a file found by [`files`] such that no component below `folder` may
/// have become a link since.
pub(super) fn open_beneath(folder: &File, found: &Found) -> Result<(File, Metadata)> {
    let file = openat_beneath(folder, found)
        .with_context(|| format!("cannot read {}", found.path.display()))?;
    accept(file, &found.path)
}

fn accept(file: File, path: &Path) -> Result<(File, Metadata)> {
    let found = file
        .metadata()
        .map_err(|error| fault("read", path, 0, error))?;
    if !found.is_file() {
        refuse(path, found.file_type())?;
    }
    if found.mode() & SET_ID != 0 {
        bail!(
            "{} is set-user-id or set-group-id: only plain files can be kept",
            path.display()
        );
    }
    Ok((file, found))
}

fn open_no_follow(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path)
}

#[cfg(target_os = "linux")]
fn openat_beneath(folder: &File, found: &Found) -> io::Result<File> {
    use std::{
        ffi::CString,
        os::fd::{AsRawFd, FromRawFd, RawFd},
    };

    let name = CString::new(found.name.as_bytes())?;
    // SAFETY: all-zero bytes are a valid open_how.
    let mut how: libc::open_how = unsafe { std::mem::zeroed() };
    how.flags = (libc::O_RDONLY | libc::O_CLOEXEC | libc::O_NONBLOCK) as u64;
    how.resolve = libc::RESOLVE_BENEATH | libc::RESOLVE_NO_SYMLINKS;
    // SAFETY: `name` ends in NUL, `how` is an open_how of the size given.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_openat2,
            folder.as_raw_fd(),
            name.as_ptr(),
            &raw mut how,
            size_of::<libc::open_how>(),
        )
    };
    if fd >= 0 {
        // SAFETY: the call gave us this descriptor, which nobody else owns.
        return Ok(unsafe { File::from_raw_fd(fd as RawFd) });
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        // An old kernel, or a sandbox that does not know the call.
        Some(libc::ENOSYS | libc::EPERM) => open_no_follow(&found.path),
        _ => Err(error),
    }
}

#[cfg(not(target_os = "linux"))]
fn openat_beneath(_folder: &File, found: &Found) -> io::Result<File> {
    open_no_follow(&found.path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn names(folder: &Path, links: Links) -> Result<Vec<String>> {
        Ok(files(folder, links)?
            .into_iter()
            .map(|found| found.name)
            .collect())
    }

    #[test]
    fn links_are_refused_or_followed() {
        let place = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret"), "s").unwrap();
        fs::create_dir(place.path().join("a")).unwrap();
        fs::write(place.path().join("a/file"), "x").unwrap();
        symlink(outside.path(), place.path().join("a/link")).unwrap();
        let text = names(place.path(), Links::Refuse).unwrap_err().to_string();
        assert!(text.contains("a/link is a symbolic link"), "{text}");
        assert_eq!(
            names(place.path(), Links::Follow).unwrap(),
            ["a/file", "a/link/secret"]
        );
        symlink("..", place.path().join("a/loop")).unwrap();
        let text = names(place.path(), Links::Follow).unwrap_err().to_string();
        assert!(text.contains("leads back"), "{text}");
    }

    #[test]
    fn a_folder_swapped_for_a_link_is_not_entered() {
        let place = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("file"), "secret").unwrap();
        let inner = place.path().join("inner");
        fs::create_dir(&inner).unwrap();
        fs::write(inner.join("file"), "x").unwrap();
        let found = files(place.path(), Links::Refuse).unwrap();
        let folder = File::open(place.path()).unwrap();
        assert!(open_beneath(&folder, &found[0]).is_ok());
        fs::remove_dir_all(&inner).unwrap();
        symlink(outside.path(), &inner).unwrap();
        if cfg!(target_os = "linux") {
            assert!(open_beneath(&folder, &found[0]).is_err());
        }
    }
}
