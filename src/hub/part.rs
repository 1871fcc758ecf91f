//! A file on its way: its bytes so far and their hash, which always agree.
use std::{
    fs::{self, File},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use anyhow::Result;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use crate::{
    digest::ObjectId,
    disk::fault,
    hub::{hooks::Hooks, listing::RemoteFile},
};

/// Bytes read from a file at once.
const PIECE: usize = 1 << 20;

/// The hash that a file's id asks for.
#[derive(Clone)]
pub(super) enum Check {
    Large(Sha256),
    Git(Sha1),
}

impl Check {
    pub(super) fn new(file: &RemoteFile) -> Check {
        match file.id {
            ObjectId::Sha256(_) => Check::Large(Sha256::new()),
            ObjectId::GitSha1(_) => {
                let mut hash = Sha1::new();
                hash.update(format!("blob {}\0", file.size));
                Check::Git(hash)
            }
        }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Check::Large(hash) => hash.update(bytes),
            Check::Git(hash) => hash.update(bytes),
        }
    }

    pub(super) fn id(self) -> ObjectId {
        match self {
            Check::Large(hash) => ObjectId::Sha256(hash.finalize().into()),
            Check::Git(hash) => ObjectId::GitSha1(hash.finalize().into()),
        }
    }
}

/// Hashes all that `reader` gives; how much it was, or the reader's error.
///
/// # Errors
/// That of `each`, which is told of the bytes so far and may stop it.
pub(super) fn hash(
    mut reader: impl Read,
    check: &mut Check,
    mut each: impl FnMut(u64) -> Result<()>,
) -> Result<io::Result<u64>> {
    let mut piece = vec![0; PIECE];
    let mut done = 0;
    loop {
        match reader.read(&mut piece) {
            Ok(0) => return Ok(Ok(done)),
            Ok(count) => {
                check.update(&piece[..count]);
                done += count as u64;
                each(done)?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Ok(Err(error)),
        }
    }
}

/// The part of `wanted` that is in a file.
pub(super) struct Part<'f> {
    path: PathBuf,
    wanted: &'f RemoteFile,
    file: File,
    check: Check,
    done: u64,
}

impl<'f> Part<'f> {
    /// Opens what an earlier attempt left, and hashes it; or begins.
    pub(super) fn open(path: &Path, wanted: &'f RemoteFile, hooks: &Hooks<'_>) -> Result<Part<'f>> {
        let mut options = File::options();
        options.read(true).custom_flags(libc::O_NOFOLLOW);
        // One that is whole may be a blob by another name: it is only looked at.
        if !fs::symlink_metadata(path).is_ok_and(|found| found.len() == wanted.size) {
            options.write(true).create(true).truncate(false);
        }
        let file = options
            .open(path)
            .map_err(|error| fault("open", path, wanted.size, error))?;
        let mut part = Part {
            path: path.to_owned(),
            wanted,
            file,
            check: Check::new(wanted),
            done: 0,
        };
        let there = part
            .file
            .metadata()
            .map_err(|error| fault("read", path, 0, error))?
            .len();
        if there > wanted.size {
            part.restart()?;
        } else {
            let each = |done| {
                (hooks.report)(done, wanted.size);
                (hooks.go_on)()
            };
            part.done = hash(&part.file, &mut part.check, each)?
                .map_err(|error| fault("read", path, 0, error))?;
        }
        Ok(part)
    }

    /// Bytes that are there.
    pub(super) fn done(&self) -> u64 {
        self.done
    }

    pub(super) fn is_whole(&self) -> bool {
        self.done == self.wanted.size
    }

    /// Adds bytes; those past the file's size are left out.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<()> {
        let left = usize::try_from(self.wanted.size - self.done).unwrap_or(usize::MAX);
        let bytes = &bytes[..bytes.len().min(left)];
        let needed = self.wanted.size - self.done;
        self.file
            .write_all(bytes)
            .map_err(|error| fault("write", &self.path, needed, error))?;
        self.check.update(bytes);
        self.done += bytes.len() as u64;
        Ok(())
    }

    /// Forgets all bytes: begins a new file, whatever other names the old one has.
    pub(super) fn restart(&mut self) -> Result<()> {
        let removed = fs::remove_file(&self.path);
        removed.map_err(|error| fault("remove", &self.path, 0, error))?;
        self.file = File::options()
            .write(true)
            .create_new(true)
            .open(&self.path)
            .map_err(|error| fault("create", &self.path, self.wanted.size, error))?;
        self.check = Check::new(self.wanted);
        self.done = 0;
        Ok(())
    }

    /// Whether the bytes, all of them, are those the hub lists.
    pub(super) fn is_right(&self) -> bool {
        self.is_whole() && self.check.clone().id() == self.wanted.id
    }

    pub(super) fn remove(self) -> Result<()> {
        fs::remove_file(&self.path).map_err(|error| fault("remove", &self.path, 0, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(bytes: &[u8], id: ObjectId) -> String {
        let file = RemoteFile {
            path: "x".to_owned(),
            size: bytes.len() as u64,
            id,
        };
        let mut check = Check::new(&file);
        check.update(bytes);
        check.id().to_string()
    }

    #[test]
    fn ids_are_those_of_git_and_of_sha256sum() {
        // `printf hello | git hash-object --stdin` and `| sha256sum`.
        assert_eq!(
            id(b"hello", ObjectId::GitSha1([0; 20])),
            "git-sha1:b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0"
        );
        assert_eq!(
            id(b"hello", ObjectId::Sha256([0; 32])),
            "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
        );
    }

    #[test]
    fn what_has_another_name_is_never_written_to() {
        let folder = tempfile::tempdir().unwrap();
        let (part, blob) = (folder.path().join("part"), folder.path().join("blob"));
        let id = "git-sha1:b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0";
        let file = RemoteFile {
            path: "x".to_owned(),
            size: 5,
            id: id.parse().unwrap(),
        };
        for there in ["hallo", "hello and more", "hello"] {
            let _ = fs::remove_file(&part);
            fs::write(&blob, there).unwrap();
            fs::hard_link(&blob, &part).unwrap();
            let mut open = Part::open(&part, &file, &Hooks::SILENT).unwrap();
            if !open.is_right() {
                open.restart().unwrap();
                open.append(b"hello").unwrap();
                assert!(open.is_right());
            }
            assert_eq!(fs::read(&part).unwrap(), b"hello");
            assert_eq!(fs::read(&blob).unwrap(), there.as_bytes());
            fs::remove_file(&blob).unwrap();
        }
    }

    #[test]
    fn a_link_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("a"), folder.path().join("b"));
        fs::write(&target, "kept").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        let file = RemoteFile {
            path: "x".to_owned(),
            size: 1,
            id: ObjectId::GitSha1([0; 20]),
        };
        assert!(Part::open(&link, &file, &Hooks::SILENT).is_err());
        assert_eq!(fs::read(&target).unwrap(), b"kept");
    }
}
