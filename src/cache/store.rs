//! The cache as a place: opening, its format, where things lie, what it has to
//! say to people. Owns the layout of the folder and no content.
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    io::{self, Read},
    path::{Path, PathBuf, absolute},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::{Result, bail};

use crate::{
    cache::{
        attempt::{AttemptDir, nonce},
        foreign::refuse_foreign,
        name::Placed,
        publish::{Draft, ensure_dir},
        read::Stamp,
    },
    digest::{Digest, Key, Tree},
    disk::{available, fault},
};

/// The version of everything on disk; another one is refused, never reinterpreted.
pub const FORMAT_VERSION: u32 = 1;

const TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55\n\
                   # This folder is the cache of vgh: everything in it can be made again.\n";

/// A content-addressed cache in one folder; cheap to clone. Any number of
/// processes share one folder.
#[derive(Debug, Clone)]
pub struct Cache {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    checked: Mutex<HashMap<Digest, Stamp>>,
    trees: Mutex<HashMap<Digest, Arc<Tree>>>,
    notices: Mutex<Vec<String>>,
    drafts: Mutex<Option<Arc<AttemptDir>>>,
    /// Scratch folders that nobody uses now.
    idle_scratch: Mutex<Vec<PathBuf>>,
    /// Files that are published and not yet synced.
    owed: Mutex<BTreeSet<PathBuf>>,
    /// Downloads whose result has a record, and their sizes in bytes.
    landed: Mutex<BTreeMap<PathBuf, u64>>,
}

impl Cache {
    /// Opens the cache at `root`, making what is missing of it.
    ///
    /// # Errors
    /// Another format version, a folder that holds something else, or a place
    /// that cannot be written; one line each, with what to do.
    pub fn open(root: &Path) -> Result<Cache> {
        let cache = Cache::at(root);
        if !cache.has_format()? {
            refuse_foreign(root)?;
            ensure_dir(root).map_err(|error| unwritable(root, &error))?;
            cache
                .make_skeleton()
                .map_err(|error| unwritable(root, &error))?;
            // Whoever came first decided the version.
            cache.has_format()?;
        }
        // The folder for drafts is the probe for writing.
        cache.drafts().map_err(|error| unwritable(root, &error))?;
        Ok(cache)
    }

    /// Opens the cache at `root` for reading; none if there is none. Writes nothing.
    ///
    /// # Errors
    /// Another format version.
    pub fn open_existing(root: &Path) -> Result<Option<Cache>> {
        let cache = Cache::at(root);
        Ok(cache.has_format()?.then_some(cache))
    }

    fn at(root: &Path) -> Cache {
        Cache {
            inner: Arc::new(Inner {
                // A child in another working folder must find the same place.
                root: absolute(root).unwrap_or_else(|_| root.to_owned()),
                checked: Mutex::default(),
                trees: Mutex::default(),
                notices: Mutex::default(),
                drafts: Mutex::default(),
                idle_scratch: Mutex::default(),
                owed: Mutex::default(),
                landed: Mutex::default(),
            }),
        }
    }

    pub fn root(&self) -> &Path {
        &self.inner.root
    }

    /// Where the blob of a digest lies, there or not.
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.sharded("blobs", digest, "")
    }

    /// Where the canonical record of a key lies, there or not.
    pub fn record_path(&self, key: &Key) -> PathBuf {
        self.sharded("records", &key.0, ".json")
    }

    /// Where the `n`-th record that differs from the canonical one lies.
    pub(super) fn beside_path(&self, key: &Key, n: usize) -> PathBuf {
        self.sharded("records", &key.0, &format!(".{n}.json"))
    }

    fn sharded(&self, kind: &str, digest: &Digest, ending: &str) -> PathBuf {
        let name = digest.to_string();
        let file = format!("{kind}/{}/{name}{ending}", &name[..2]);
        self.inner.root.join(file)
    }

    /// The folder of one run, made if missing. `id` is a plain file name.
    pub fn run_dir(&self, id: &str) -> Result<PathBuf> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if id.is_empty() || id.starts_with('.') || !id.chars().all(plain) {
            bail!("`{id}` cannot name a run: letters, digits, `-`, `_` and `.` only");
        }
        let folder = self.inner.root.join("runs").join(id);
        ensure_dir(&folder)?;
        Ok(folder)
    }

    /// Bytes that can still be written, where the system tells.
    pub fn available_bytes(&self) -> Option<u64> {
        available(&self.inner.root)
    }

    /// What people should hear (a quarantined blob, a garbage record), once.
    pub fn take_notices(&self) -> Vec<String> {
        std::mem::take(&mut guard(&self.inner.notices))
    }

    pub(super) fn notice(&self, text: String) {
        guard(&self.inner.notices).push(text);
    }

    pub(super) fn checked(&self) -> MutexGuard<'_, HashMap<Digest, Stamp>> {
        guard(&self.inner.checked)
    }

    pub(super) fn idle_scratch(&self) -> MutexGuard<'_, Vec<PathBuf>> {
        guard(&self.inner.idle_scratch)
    }

    pub(super) fn owed(&self) -> MutexGuard<'_, BTreeSet<PathBuf>> {
        guard(&self.inner.owed)
    }

    pub(super) fn landed(&self) -> MutexGuard<'_, BTreeMap<PathBuf, u64>> {
        guard(&self.inner.landed)
    }

    pub(super) fn trees(&self) -> MutexGuard<'_, HashMap<Digest, Arc<Tree>>> {
        guard(&self.inner.trees)
    }

    /// Writes what `source` gives into this process's folder for drafts.
    pub(super) fn draft(&self, source: impl Read, needed: u64) -> Result<Draft> {
        Draft::write(self.own_folder()?.path().join(nonce()), source, needed)
    }

    /// This process's folder under `tmp/`.
    pub(super) fn own_folder(&self) -> Result<Arc<AttemptDir>> {
        let folder = self.drafts()?;
        if folder.path().is_dir() {
            return Ok(folder);
        }
        // Somebody emptied tmp/ by hand.
        *guard(&self.inner.drafts) = None;
        self.drafts()
    }

    fn drafts(&self) -> Result<Arc<AttemptDir>> {
        let mut drafts = guard(&self.inner.drafts);
        if let Some(folder) = &*drafts {
            return Ok(Arc::clone(folder));
        }
        let folder = Arc::new(self.attempt_dir()?);
        *drafts = Some(Arc::clone(&folder));
        Ok(folder)
    }

    /// Moves something that cannot be trusted out of the way; where it went.
    pub(super) fn quarantine(&self, path: &Path) -> Result<PathBuf> {
        let folder = self.inner.root.join("quarantine");
        ensure_dir(&folder)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let target = folder.join(format!("{name}.{}", nonce()));
        fs::rename(path, &target).map_err(|error| fault("move", path, 0, error))?;
        Ok(target)
    }

    /// Whether this is a cache of our format; an error if of another.
    fn has_format(&self) -> Result<bool> {
        let path = self.inner.root.join("format");
        let text = match fs::read(&path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).trim().to_owned(),
            Err(error) if is_absent(&error) => return Ok(false),
            Err(error) => return Err(fault("read", &path, 0, error)),
        };
        if text.parse() == Ok(FORMAT_VERSION) {
            return Ok(true);
        }
        let shown: String = text.chars().take(20).flat_map(char::escape_debug).collect();
        bail!(
            "cache at {} has format {shown}, this vgh reads format {FORMAT_VERSION}: use the vgh \
             that made it, or choose another place with --cache or VGH_CACHE",
            self.inner.root.display(),
        )
    }

    fn make_skeleton(&self) -> Result<()> {
        for folder in ["blobs", "records", "tmp"] {
            ensure_dir(&self.inner.root.join(folder))?;
        }
        let format = format!("{FORMAT_VERSION}\n");
        // `format` last: a folder without it is not yet a cache.
        for (name, text) in [
            ("CACHEDIR.TAG", TAG),
            (".gitignore", "*\n"),
            ("format", &format),
        ] {
            let path = self.inner.root.join(name);
            if !path.exists() {
                let draft = self.draft(text.as_bytes(), text.len() as u64)?;
                let (Placed::New | Placed::Existing) = draft.place(&path)?;
            }
        }
        Ok(())
    }
}

/// No such file, or no such folder above it.
pub(super) fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// A panic elsewhere leaves these maps whole, so a poisoned lock is as good.
fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unwritable(root: &Path, error: &anyhow::Error) -> anyhow::Error {
    anyhow::anyhow!(
        "cache at {} cannot be written ({error:#}); choose another place with --cache or VGH_CACHE",
        root.display(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opening_makes_the_skeleton_and_reopening_keeps_it() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("deep/cache");
        assert!(Cache::open_existing(&root).unwrap().is_none());
        assert!(!root.exists());
        let cache = Cache::open(&root).unwrap();
        assert_eq!(fs::read_to_string(root.join("format")).unwrap(), "1\n");
        assert_eq!(fs::read_to_string(root.join(".gitignore")).unwrap(), "*\n");
        let tag = fs::read_to_string(root.join("CACHEDIR.TAG")).unwrap();
        assert!(tag.starts_with("Signature: 8a477f597d28d172789f06886806bc55\n"));
        assert_eq!(cache.root(), root);
        assert!(Cache::open_existing(&root).unwrap().is_some());
        Cache::open(&root).unwrap();
    }

    #[test]
    fn another_format_is_refused_with_a_remedy() {
        let place = tempfile::tempdir().unwrap();
        Cache::open(place.path()).unwrap();
        fs::remove_file(place.path().join("format")).unwrap();
        fs::write(place.path().join("format"), "7\n").unwrap();
        let expected = format!(
            "cache at {} has format 7, this vgh reads format 1: use the vgh that made it, or \
             choose another place with --cache or VGH_CACHE",
            place.path().display()
        );
        assert_eq!(Cache::open(place.path()).unwrap_err().to_string(), expected);
        assert_eq!(
            Cache::open_existing(place.path()).unwrap_err().to_string(),
            expected
        );
        assert_eq!(
            fs::read_to_string(place.path().join("format")).unwrap(),
            "7\n"
        );
        fs::write(place.path().join("format"), b"\xff\x1b[31m").unwrap();
        let text = Cache::open(place.path()).unwrap_err().to_string();
        assert!(!text.contains('\x1b'), "{text}");
    }

    #[test]
    fn a_folder_with_other_things_is_left_alone() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("thesis.tex"), "x").unwrap();
        let text = Cache::open(place.path()).unwrap_err().to_string();
        assert!(
            text.contains("is not a cache: it holds `thesis.tex`"),
            "{text}"
        );
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
        assert!(Cache::open_existing(place.path()).unwrap().is_none());
    }

    #[test]
    fn an_unwritable_place_is_one_line() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("file"), "x").unwrap();
        let text = Cache::open(&place.path().join("file/cache"))
            .unwrap_err()
            .to_string();
        assert!(text.contains("cannot") && !text.contains('\n'), "{text}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_place_that_takes_no_folders_is_one_line() {
        let text = Cache::open(Path::new("/proc/vgh/cache"))
            .unwrap_err()
            .to_string();
        assert!(text.contains("cannot create /proc/vgh"), "{text}");
    }

    #[test]
    fn many_openers_at_once_agree() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("cache");
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| Cache::open(&root).unwrap());
            }
        });
        assert_eq!(fs::read_to_string(root.join("format")).unwrap(), "1\n");
    }

    #[test]
    fn a_run_has_its_folder_and_no_other() {
        let place = tempfile::tempdir().unwrap();
        let cache = Cache::open(place.path()).unwrap();
        let folder = cache.run_dir("20260101T000000-a").unwrap();
        assert_eq!(folder, place.path().join("runs/20260101T000000-a"));
        assert!(folder.is_dir());
        for bad in ["", "..", "a/b", "/abs", ".x", "a\nb"] {
            assert!(cache.run_dir(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn drafts_survive_an_emptied_tmp() {
        let place = tempfile::tempdir().unwrap();
        let cache = Cache::open(place.path()).unwrap();
        fs::remove_dir_all(place.path().join("tmp")).unwrap();
        let (digest, _) = cache.put_bytes(b"x").unwrap();
        assert!(cache.blob_path(&digest).exists());
    }
}
