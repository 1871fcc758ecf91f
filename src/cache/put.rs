//! Storing contents: files and trees of files, under their digests.
//!
//! Copies while hashing, so that whoever owns a source, or still writes to it,
//! has no hold on the cache; or takes what a stage has made, where it can be
//! seen that nobody else has it.
use std::{
    fs::{self, File, Metadata},
    io::Read,
    path::Path,
    sync::Arc,
};

use anyhow::{Context, Result};
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use crate::{
    cache::{
        name::Placed,
        publish::Draft,
        read::Stamp,
        store::{Cache, is_absent},
        walk::{self, Links},
    },
    digest::{Digest, Tree, TreeEntry},
    disk::fault,
};

/// Whether a source is in a folder of ours and may be moved.
#[derive(Debug, Clone, Copy)]
enum Ours {
    Yes,
    No,
}

impl Cache {
    /// Stores a copy of a regular file; its digest and size in bytes.
    pub fn put_file(&self, source: &Path) -> Result<(Digest, u64)> {
        self.store_file(source, Ours::No)
    }

    /// As [`Cache::put_file`], for a file in a folder of ours that nobody needs
    /// afterwards: it is moved where that is safe.
    pub fn take_file(&self, source: &Path) -> Result<(Digest, u64)> {
        self.store_file(source, Ours::Yes)
    }

    fn store_file(&self, source: &Path, ours: Ours) -> Result<(Digest, u64)> {
        let (file, found) = walk::open_plain(source)?;
        self.put_open((&file, &found), source, ours)
            .with_context(|| format!("store {}", source.display()))
    }

    /// Stores bytes; their digest and number.
    pub fn put_bytes(&self, bytes: &[u8]) -> Result<(Digest, u64)> {
        self.put(bytes, bytes.len() as u64)
    }

    /// Stores every regular file below `folder` and their listing; the
    /// listing's digest and the sum of the files' sizes. Empty folders and
    /// permissions are not kept.
    ///
    /// # Errors
    /// Links, pipes, sockets, devices, set-id files, names that are not UTF-8.
    pub fn put_tree(&self, folder: &Path) -> Result<(Digest, u64)> {
        self.store_tree(folder, Ours::No)
    }

    /// As [`Cache::put_tree`], for a folder of ours whose files nobody needs
    /// afterwards: they are moved where that is safe.
    pub fn take_tree(&self, folder: &Path) -> Result<(Digest, u64)> {
        self.store_tree(folder, Ours::Yes)
    }

    fn store_tree(&self, folder: &Path, ours: Ours) -> Result<(Digest, u64)> {
        let found = walk::files(folder, Links::Refuse)?;
        let opened = File::open(folder).map_err(|error| fault("read", folder, 0, error))?;
        let files = found
            .par_iter()
            .map(|found| {
                let (file, about) = walk::open_beneath(&opened, found)?;
                let (digest, size) = self
                    .put_open((&file, &about), &found.path, ours)
                    .with_context(|| format!("store {}", found.path.display()))?;
                Ok((found.name.clone(), TreeEntry { digest, size }))
            })
            .collect::<Result<_>>()?;
        let tree = Tree { files };
        let (digest, _) = self.put_bytes(&tree.bytes())?;
        let size = tree.size();
        self.trees().insert(digest, Arc::new(tree));
        Ok((digest, size))
    }

    fn put_open(
        &self,
        (file, found): (&File, &Metadata),
        path: &Path,
        ours: Ours,
    ) -> Result<(Digest, u64)> {
        if let Ours::No = ours {
            return self.put(file, found.len());
        }
        let names = self.known_names(found);
        if let Some(draft) = Draft::of_written(path, file, names)? {
            return self.keep(draft);
        }
        match self.kept(file, found)? {
            Some(kept) => Ok(kept),
            None => self.put(file, found.len()),
        }
    }

    fn put(&self, source: impl Read, expected: u64) -> Result<(Digest, u64)> {
        self.keep(self.draft(source, expected)?)
    }

    fn keep(&self, draft: Draft) -> Result<(Digest, u64)> {
        let (digest, size) = (draft.digest, draft.size);
        let target = self.blob_path(&digest);
        if let Some(standing) = self.standing(&target, size)? {
            match Draft::renew(&target) {
                Ok(true) => {
                    self.trust_renewed(&digest, &standing, &target);
                    return Ok((digest, size));
                }
                Ok(false) => {}
                // Another user's file: ours takes its place.
                Err(_) => {
                    draft.replace(&target)?;
                    return Ok((digest, size));
                }
            }
        }
        if draft.place(&target)? == Placed::New
            && let Ok(found) = fs::metadata(&target)
        {
            // These bytes were hashed as they were written.
            self.checked().insert(digest, Stamp::of(&found));
        }
        Ok((digest, size))
    }

    /// Bytes that were checked before stay so, though their stamp moved.
    pub(super) fn trust_renewed(&self, digest: &Digest, before: &Metadata, target: &Path) {
        let known = self.checked().get(digest) == Some(&Stamp::of(before));
        if known && let Ok(found) = fs::metadata(target) {
            self.checked().insert(*digest, Stamp::of(&found));
        }
    }

    /// What stands at a blob's place. A file of the wrong size must not count
    /// as ours and makes way.
    pub(super) fn standing(&self, target: &Path, size: u64) -> Result<Option<Metadata>> {
        match fs::symlink_metadata(target) {
            Ok(found) if found.is_file() && found.len() == size => Ok(Some(found)),
            Ok(found) => {
                let moved = self.quarantine(target)?;
                self.notice(format!(
                    "blob {} has {} bytes instead of {size}; moved to {}",
                    target.display(),
                    found.len(),
                    moved.display()
                ));
                Ok(None)
            }
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(fault("read", target, 0, error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        ffi::CString,
        os::unix::{
            ffi::OsStrExt,
            fs::{MetadataExt, PermissionsExt, symlink},
            net::UnixListener,
        },
    };

    use super::*;
    use crate::cache::blob::{Content, Form};

    fn cache() -> (tempfile::TempDir, Cache) {
        let place = tempfile::tempdir().unwrap();
        let cache = Cache::open(&place.path().join("cache")).unwrap();
        (place, cache)
    }

    #[test]
    fn a_file_is_copied_under_its_digest() {
        let (place, cache) = cache();
        let source = place.path().join("source");
        fs::write(&source, "hello").unwrap();
        let (digest, size) = cache.put_file(&source).unwrap();
        assert_eq!((digest, size), (Digest::of(b"hello"), 5));
        let path = cache.blob_path(&digest);
        fs::write(&source, "other").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"hello");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o444);
        assert_eq!(fs::metadata(&path).unwrap().nlink(), 1);
        assert_eq!(cache.put_bytes(b"hello").unwrap(), (digest, size));
        let content = Content {
            digest,
            size,
            form: Form::File,
        };
        assert!(cache.has(&content));
        assert!(!cache.has(&Content { size: 6, ..content }));
        assert!(cache.remove_blob(&digest).unwrap());
        assert!(!cache.has(&content));
        assert!(!cache.remove_blob(&digest).unwrap());
    }

    #[test]
    fn a_tree_depends_on_names_and_bytes_alone() {
        let (place, cache) = cache();
        let folder = place.path().join("out");
        fs::create_dir_all(folder.join("a b/ü")).unwrap();
        fs::create_dir_all(folder.join("empty/folder")).unwrap();
        fs::write(folder.join("a b/ü/e\u{301}"), "nfd").unwrap();
        fs::write(folder.join("a b/ü/é"), "nfc").unwrap();
        fs::write(folder.join("new\nline"), "n").unwrap();
        fs::write(folder.join("none"), "").unwrap();
        fs::write(folder.join(".hidden"), "h").unwrap();
        fs::hard_link(folder.join("none"), folder.join("none too")).unwrap();
        let (digest, size) = cache.put_tree(&folder).unwrap();
        let tree = cache.tree(&digest).unwrap();
        let names: Vec<&str> = tree.files.keys().map(String::as_str).collect();
        let expected = [
            ".hidden",
            "a b/ü/e\u{301}",
            "a b/ü/é",
            "new\nline",
            "none",
            "none too",
        ];
        assert_eq!(names, expected);
        assert_eq!((tree.size(), size), (8, 8));
        assert_eq!(tree.digest(), digest);
        assert_eq!(tree.files["none"].digest, Digest::of(b""));
        // Empty folders are not kept: without them the tree is the same.
        fs::remove_dir_all(folder.join("empty")).unwrap();
        assert_eq!(cache.put_tree(&folder).unwrap(), (digest, size));
        let content = Content {
            digest,
            size,
            form: Form::Tree,
        };
        assert!(cache.has(&content));
        assert!(!cache.has(&Content { size: 9, ..content }));
        cache.remove_blob(&Digest::of(b"nfc")).unwrap();
        assert!(!cache.has(&content));
        cache.put_tree(&folder).unwrap();
        assert!(cache.has(&content));
        cache.remove_blob(&digest).unwrap();
        assert!(!cache.has(&content));
    }

    #[test]
    fn an_empty_folder_is_an_empty_tree() {
        let (place, cache) = cache();
        fs::create_dir(place.path().join("out")).unwrap();
        let (digest, size) = cache.put_tree(&place.path().join("out")).unwrap();
        assert_eq!((digest, size), (Tree::default().digest(), 0));
        assert!(cache.has(&Content {
            digest,
            size,
            form: Form::Tree
        }));
    }

    #[test]
    fn what_is_not_a_plain_file_is_refused_by_name() {
        let (place, cache) = cache();
        let folder = place.path().join("out");
        fs::create_dir(&folder).unwrap();
        let odd = folder.join("odd");
        let refused = |expected: &str| {
            for error in [
                cache.put_tree(&folder).unwrap_err(),
                cache.put_file(&odd).unwrap_err(),
            ] {
                let text = format!("{error:#}");
                assert!(
                    text.contains("out/odd") && text.contains(expected),
                    "{text}"
                );
            }
            fs::remove_file(&odd).unwrap();
        };
        symlink("/etc/passwd", &odd).unwrap();
        refused("a symbolic link");
        symlink("../x", &odd).unwrap();
        refused("a symbolic link");
        let name = CString::new(odd.as_os_str().as_bytes()).unwrap();
        // SAFETY: `name` ends in NUL.
        assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
        refused("a named pipe");
        drop(UnixListener::bind(&odd).unwrap());
        refused("a socket");
        fs::write(&odd, "x").unwrap();
        fs::set_permissions(&odd, fs::Permissions::from_mode(0o4755)).unwrap();
        refused("set-user-id");
        assert!(
            format!("{:#}", cache.put_file(Path::new("/dev/null")).unwrap_err())
                .contains("a device")
        );
        assert!(format!("{:#}", cache.put_file(&folder).unwrap_err()).contains("a folder"));
        symlink(&folder, place.path().join("link")).unwrap();
        assert!(cache.put_tree(&place.path().join("link")).is_err());
        assert!(cache.put_tree(&place.path().join("absent")).is_err());
    }

    #[test]
    fn a_name_that_is_not_utf8_is_refused() {
        let (place, cache) = cache();
        let folder = place.path().join("out");
        fs::create_dir(&folder).unwrap();
        let name = std::ffi::OsStr::from_bytes(b"bad\xff");
        if fs::write(folder.join(name), "x").is_ok() {
            let text = cache.put_tree(&folder).unwrap_err().to_string();
            assert!(text.contains("not UTF-8"), "{text}");
        }
    }

    #[test]
    fn a_truncated_blob_is_replaced() {
        let (_place, cache) = cache();
        let (digest, size) = cache.put_bytes(b"hello").unwrap();
        let path = cache.blob_path(&digest);
        fs::remove_file(&path).unwrap();
        fs::write(&path, "hel").unwrap();
        assert!(!cache.has(&Content {
            digest,
            size,
            form: Form::File
        }));
        cache.put_bytes(b"hello").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"hello");
        let notices = cache.take_notices();
        assert_eq!(notices.len(), 1);
        assert!(
            notices[0].contains("has 3 bytes instead of 5"),
            "{notices:?}"
        );
        assert!(cache.take_notices().is_empty());
    }

    #[test]
    fn sixteen_publishers_make_one_of_each() {
        let (place, cache) = cache();
        let inodes = |cache: &Cache| -> Vec<u64> {
            (0..50_u32)
                .map(|i| Digest::of(&content(i)))
                .map(|digest| fs::metadata(cache.blob_path(&digest)).unwrap().ino())
                .collect()
        };
        let seen: Vec<Vec<u64>> = std::thread::scope(|scope| {
            let running: Vec<_> = (0..16)
                .map(|_| {
                    scope.spawn(|| {
                        let cache = Cache::open(&place.path().join("cache")).unwrap();
                        for i in 0..50 {
                            cache.put_bytes(&content(i)).unwrap();
                        }
                        inodes(&cache)
                    })
                })
                .collect();
            running.into_iter().map(|run| run.join().unwrap()).collect()
        });
        // One winner each: nobody ever saw another inode under a name.
        assert!(seen.iter().all(|one| *one == inodes(&cache)));
        for i in 0..50 {
            let expected = content(i);
            let path = cache.blob_path(&Digest::of(&expected));
            assert_eq!(fs::read(&path).unwrap(), expected);
            assert_eq!(fs::metadata(&path).unwrap().nlink(), 1);
        }
    }

    fn content(i: u32) -> Vec<u8> {
        i.to_le_bytes().repeat(100 + i as usize)
    }
}
