//! Reading contents back: size always, the whole hash at the first use by this
//! process and whenever the file's stamp changed. What does not match its name
//! is moved to quarantine and said. Never maps a file: a truncated one kills.
use std::{
    fmt,
    fs::{self, File, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    cache::store::{Cache, is_absent},
    digest::{self, Digest, Tree},
};

/// Why a content cannot be used.
#[derive(Debug)]
pub enum Broken {
    /// No blob of this name: made again if needed.
    Missing(Digest),
    /// The blob's bytes are not those of its name; out of the way now.
    Corrupt { digest: Digest, why: String },
    /// The blob is there but cannot be read.
    Unreadable { path: PathBuf, error: io::Error },
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Broken::Missing(digest) => write!(f, "blob {digest} is missing from the cache"),
            Broken::Corrupt { digest, why } => write!(f, "blob {digest} is corrupt: {why}"),
            Broken::Unreadable { path, .. } => write!(f, "cannot read {}", path.display()),
        }
    }
}

impl std::error::Error for Broken {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Broken::Unreadable { error, .. } => Some(error),
            Broken::Missing(_) | Broken::Corrupt { .. } => None,
        }
    }
}

/// What changes when a file does. Times in nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) device: u64,
    pub(super) inode: u64,
    pub(super) size: u64,
    pub(super) modified_ns: i64,
    pub(super) changed_ns: i64,
}

impl Stamp {
    pub(super) fn of(found: &Metadata) -> Stamp {
        Stamp {
            device: found.dev(),
            inode: found.ino(),
            size: found.len(),
            modified_ns: ns(found.mtime(), found.mtime_nsec()),
            changed_ns: ns(found.ctime(), found.ctime_nsec()),
        }
    }

    #[cfg_attr(
        target_os = "linux",
        expect(clippy::unnecessary_cast, reason = "others number devices in 32 bits")
    )]
    pub(super) fn of_stat(found: &libc::stat) -> Stamp {
        Stamp {
            device: found.st_dev as u64,
            inode: found.st_ino,
            size: found.st_size as u64,
            modified_ns: ns(found.st_mtime, found.st_mtime_nsec),
            changed_ns: ns(found.st_ctime, found.st_ctime_nsec),
        }
    }
}

fn ns(seconds: i64, rest: i64) -> i64 {
    seconds.saturating_mul(1_000_000_000) + rest
}

impl Cache {
    /// The path of a blob whose bytes were found to be those of `digest`.
    pub fn verified(&self, digest: &Digest, size: u64) -> Result<PathBuf, Broken> {
        self.check(digest, Some(size), Trust::Stamps)
    }

    /// As [`Cache::verified`], reading every byte whatever was checked before.
    pub fn verified_anew(&self, digest: &Digest, size: u64) -> Result<PathBuf, Broken> {
        self.check(digest, Some(size), Trust::Nothing)
    }

    /// The listing of a tree. Its files are not looked at.
    pub fn tree(&self, digest: &Digest) -> Result<Tree, Broken> {
        self.tree_shared(digest).map(|tree| (*tree).clone())
    }

    pub(super) fn tree_shared(&self, digest: &Digest) -> Result<Arc<Tree>, Broken> {
        if let Some(tree) = self.trees().get(digest) {
            return Ok(Arc::clone(tree));
        }
        let path = self.check(digest, None, Trust::Stamps)?;
        let bytes = fs::read(&path).map_err(|error| unreadable(&path, digest, error))?;
        let tree: Tree = serde_json::from_slice(&bytes).map_err(|error| Broken::Corrupt {
            digest: *digest,
            why: format!("it is no listing of files ({error})"),
        })?;
        let tree = Arc::new(tree);
        self.trees().insert(*digest, Arc::clone(&tree));
        Ok(tree)
    }

    fn check(&self, digest: &Digest, size: Option<u64>, trust: Trust) -> Result<PathBuf, Broken> {
        let path = self.blob_path(digest);
        let file = File::open(&path).map_err(|error| unreadable(&path, digest, error))?;
        let read = |file: &File| {
            file.metadata()
                .map(|found| (found.is_file(), Stamp::of(&found)))
                .map_err(|error| unreadable(&path, digest, error))
        };
        let (is_file, stamp) = read(&file)?;
        if !is_file {
            return Err(self.corrupt(&path, digest, stamp, "it is not a regular file"));
        }
        if let Some(size) = size.filter(|size| *size != stamp.size) {
            let why = format!("it has {} bytes instead of {size}", stamp.size);
            return Err(self.corrupt(&path, digest, stamp, &why));
        }
        if trust == Trust::Stamps && self.checked().get(digest) == Some(&stamp) {
            return Ok(path);
        }
        let (found, _) =
            digest::of_reader(&file).map_err(|error| unreadable(&path, digest, error))?;
        if found != *digest {
            let why = format!("its bytes have the digest {found}");
            return Err(self.corrupt(&path, digest, stamp, &why));
        }
        // A file that changed under the hash is hashed again at its next use.
        if read(&file)?.1 == stamp {
            self.checked().insert(*digest, stamp);
        }
        Ok(path)
    }

    fn corrupt(&self, path: &Path, digest: &Digest, seen: Stamp, why: &str) -> Broken {
        self.checked().remove(digest);
        self.trees().remove(digest);
        // Another process may have put a good blob in its place meanwhile.
        let same = fs::symlink_metadata(path).is_ok_and(|found| found.ino() == seen.inode);
        let moved = match same.then(|| self.quarantine(path)) {
            Some(Ok(target)) => format!("moved to {}", target.display()),
            Some(Err(error)) => format!("left in place ({error:#})"),
            None => "already gone".to_owned(),
        };
        self.notice(format!(
            "blob {} is corrupt: {why}; {moved}",
            path.display()
        ));
        Broken::Corrupt {
            digest: *digest,
            why: format!("{why}; {moved}"),
        }
    }
}

/// What a check may rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trust {
    Stamps,
    Nothing,
}

fn unreadable(path: &Path, digest: &Digest, error: io::Error) -> Broken {
    if is_absent(&error) {
        return Broken::Missing(*digest);
    }
    Broken::Unreadable {
        path: path.to_owned(),
        error,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn cache() -> (tempfile::TempDir, Cache) {
        let place = tempfile::tempdir().unwrap();
        let cache = Cache::open(place.path()).unwrap();
        (place, cache)
    }

    fn overwrite(path: &Path, bytes: &[u8]) {
        fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn quarantined(cache: &Cache) -> usize {
        fs::read_dir(cache.root().join("quarantine")).map_or(0, Iterator::count)
    }

    #[test]
    fn each_flipped_bit_is_found_and_quarantined() {
        let (_place, cache) = cache();
        let bytes: Vec<u8> = (0..64).collect();
        for bit in 0..bytes.len() * 8 {
            let (digest, size) = cache.put_bytes(&bytes).unwrap();
            let path = cache.verified(&digest, size).unwrap();
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            overwrite(&path, &bad);
            let broken = cache.verified_anew(&digest, size);
            assert!(matches!(broken, Err(Broken::Corrupt { .. })), "bit {bit}");
            assert!(!path.exists());
            assert!(matches!(
                cache.verified(&digest, size),
                Err(Broken::Missing(_))
            ));
        }
        assert_eq!(quarantined(&cache), bytes.len() * 8);
        assert_eq!(cache.take_notices().len(), bytes.len() * 8);
    }

    #[test]
    fn a_change_is_noticed_by_its_stamp() {
        let (_place, cache) = cache();
        let (digest, size) = cache.put_bytes(b"hello").unwrap();
        cache.verified(&digest, size).unwrap();
        let path = cache.blob_path(&digest);
        let before = fs::metadata(&path).unwrap().modified().unwrap();
        overwrite(&path, b"hallo");
        // A forged time does not hide it: the time of change gives it away.
        File::open(&path).unwrap().set_modified(before).unwrap();
        assert!(matches!(
            cache.verified(&digest, size),
            Err(Broken::Corrupt { .. })
        ));
    }

    #[test]
    fn another_process_checks_for_itself() {
        let (place, cache) = cache();
        let (digest, size) = cache.put_bytes(b"hello").unwrap();
        overwrite(&cache.blob_path(&digest), b"hallo");
        let other = Cache::open(place.path()).unwrap();
        assert!(matches!(
            other.verified(&digest, size),
            Err(Broken::Corrupt { .. })
        ));
        assert_eq!(other.take_notices().len(), 1);
    }

    #[test]
    fn wrong_size_is_corrupt_and_absence_is_missing() {
        let (_place, cache) = cache();
        let absent = Digest::of(b"nothing");
        assert!(matches!(cache.verified(&absent, 7), Err(Broken::Missing(d)) if d == absent));
        let (digest, _) = cache.put_bytes(b"hello").unwrap();
        let broken = cache.verified(&digest, 4).unwrap_err();
        assert!(
            broken.to_string().contains("5 bytes instead of 4"),
            "{broken}"
        );
    }

    #[test]
    fn a_blob_that_lists_nothing_is_no_tree() {
        let (_place, cache) = cache();
        let (digest, _) = cache.put_bytes(b"{\"files\": 3}").unwrap();
        assert!(matches!(cache.tree(&digest), Err(Broken::Corrupt { .. })));
        assert!(matches!(
            cache.tree(&Digest::of(b"-")),
            Err(Broken::Missing(_))
        ));
    }
}
