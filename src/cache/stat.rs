//! Digests of external files, remembered by what `stat` says of them, so that
//! an unchanged input is not read again.
//!
//! An entry is believed only if the file's times were older than the moment of
//! hashing, as the file system tells time: a file changed and hashed within
//! one tick could change again without its times showing it (git calls this
//! racily clean). A time in the future is therefore never believed. Works
//! without a cache, in memory.
use std::{
    collections::HashMap,
    fs::{self, File, Metadata},
    io::Read,
    path::{Path, PathBuf, absolute},
    sync::{Arc, OnceLock},
};

use anyhow::{Context, Result, bail};
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use crate::{
    cache::{
        read::Stamp,
        stat_entry::Entry,
        stat_file::Stored,
        store::{Cache, is_absent},
        walk::{self, Links},
    },
    digest::{self, Digest, Tree, TreeEntry},
    disk::{fault, supersede},
};

/// How often a file that changes under the hash is hashed again.
const ROUNDS: usize = 3;
/// Remembered files that a save looks at, at least, to forget those that are gone.
const LOOK: usize = 64;

/// Remembered digests of files outside the cache.
#[derive(Debug, Default)]
pub struct StatIndex {
    cache: Option<Cache>,
    stored: Arc<Stored>,
    /// The file that this was read from.
    file: Option<Stamp>,
    /// Those hashed by this process.
    fresh: HashMap<PathBuf, Entry>,
    unsaved: bool,
    hashed: usize,
    /// The file system's time before the first file was hashed.
    began_ns: OnceLock<i64>,
}

impl StatIndex {
    /// What earlier runs remembered; nothing where that cannot be read.
    pub fn load(cache: &Cache) -> StatIndex {
        let (stored, file) = stored(cache).unwrap_or_default();
        StatIndex {
            stored: stored.into(),
            file,
            cache: Some(cache.clone()),
            ..StatIndex::default()
        }
    }

    /// An index that is never written.
    pub fn in_memory() -> StatIndex {
        StatIndex::default()
    }

    /// What this one knows, for a look at a later moment.
    #[must_use]
    pub fn later(&self) -> StatIndex {
        StatIndex {
            cache: self.cache.clone(),
            stored: Arc::clone(&self.stored),
            fresh: self.fresh.clone(),
            ..StatIndex::default()
        }
    }

    /// The digest of a file's bytes, or of a folder's listing; links are followed.
    pub fn content_of(&mut self, path: &Path) -> Result<Digest> {
        let place = absolute(path).with_context(|| format!("cannot find {}", path.display()))?;
        let found = fs::metadata(&place).map_err(|error| fault("read", path, 0, error))?;
        if found.is_dir() {
            return Ok(self.tree_of(&place)?.digest());
        }
        let (entry, is_fresh) = self.believe(&place, &found)?;
        if is_fresh {
            self.remember(place, entry);
        }
        Ok(entry.digest)
    }

    /// The listing of a folder's files; links are followed, empty folders are
    /// not kept.
    pub fn tree_of(&mut self, folder: &Path) -> Result<Tree> {
        let place =
            absolute(folder).with_context(|| format!("cannot find {}", folder.display()))?;
        let found = walk::files(&place, Links::Follow)?;
        let looked: Vec<(Entry, bool)> = found
            .par_iter()
            .map(|found| self.look(&found.path))
            .collect::<Result<_>>()?;
        let mut tree = Tree::default();
        for (found, (entry, is_fresh)) in found.into_iter().zip(looked) {
            let Entry { digest, size, .. } = entry;
            tree.files.insert(found.name, TreeEntry { digest, size });
            if is_fresh {
                self.remember(found.path, entry);
            }
        }
        Ok(tree)
    }

    /// What `stat` said of a file when it was hashed, if a later change would
    /// show; none for a folder.
    pub(super) fn believed(&self, path: &Path) -> Option<Stamp> {
        self.entry(&absolute(path).ok()?)?.believed()
    }

    /// How many files were read so far.
    pub fn hashed(&self) -> usize {
        self.hashed
    }

    /// Writes what was learned and will be believed, together with what other
    /// processes wrote meanwhile; nothing if nothing was. Files that are gone are
    /// forgotten in the long run: each save looks at some.
    pub fn save(&mut self) -> Result<()> {
        let Some(cache) = self.cache.as_ref().filter(|_| self.unsaved) else {
            return Ok(());
        };
        let mut fresh = self.fresh.clone();
        fresh.retain(|_, entry| entry.believed().is_some());
        if fresh.is_empty() {
            return Ok(());
        }
        let stands = |path: &str| !fs::symlink_metadata(path).is_err_and(|error| is_absent(&error));
        let look = LOOK.max(2 * fresh.len());
        let target = cache.root().join("stat");
        let now = fs::metadata(&target).ok().map(|found| Stamp::of(&found));
        // Each is a new file, so what others wrote shows.
        let others = (now != self.file).then(|| stored(cache).unwrap_or_default().0);
        let known = others.as_ref().unwrap_or(&self.stored);
        let all = known.with(&fresh, look, &stands);
        let beside = cache.own_folder()?.path().join("stat");
        // Not synced: after a power loss its own checksum tells whether it is whole.
        let write = || {
            all.write(File::create(&beside)?)?;
            supersede(&beside, &target)
        };
        write().map_err(|error| fault("write", &target, all.size(), error))?;
        self.unsaved = false;
        Ok(())
    }

    fn entry(&self, place: &Path) -> Option<Entry> {
        let fresh = self.fresh.get(place).copied();
        fresh.or_else(|| self.stored.get(place.to_str()?))
    }

    fn remember(&mut self, place: PathBuf, entry: Entry) {
        self.hashed += 1;
        self.fresh.insert(place, entry);
        self.unsaved = true;
    }

    /// The entry that holds for a file now, and whether it had to be hashed.
    fn look(&self, place: &Path) -> Result<(Entry, bool)> {
        let found = fs::metadata(place).map_err(|error| fault("read", place, 0, error))?;
        self.believe(place, &found)
    }

    /// As [`StatIndex::look`], for a file that `stat` was asked about.
    fn believe(&self, place: &Path, found: &Metadata) -> Result<(Entry, bool)> {
        let kind = found.file_type();
        if kind.is_dir() {
            bail!("{} is a folder, not a file", place.display());
        }
        if !kind.is_file() {
            bail!("{} is not a regular file", place.display());
        }
        let stamp = Stamp::of(found);
        if let Some(entry) = self.entry(place).filter(|entry| entry.holds(&stamp)) {
            return Ok((entry, false));
        }
        // One moment for all files: an earlier one believes less, never more.
        let began_ns = *self.began_ns.get_or_init(|| self.now_ns());
        let (digest, stamp) = hash_at_rest(place)?;
        Ok((Entry::new(digest, &stamp, began_ns), true))
    }

    /// The time as the file system tells it: that of a nameless new file.
    fn now_ns(&self) -> i64 {
        let beside = self
            .cache
            .as_ref()
            .and_then(|cache| tempfile::tempfile_in(cache.root().join("tmp")).ok());
        beside
            .or_else(|| tempfile::tempfile().ok())
            .and_then(|file| file.metadata().ok())
            // Where there is no telling, nothing is ever believed.
            .map_or(i64::MIN, |found| Stamp::of(&found).modified_ns)
    }
}

/// What the file says, and which file that was; none where it is not whole.
fn stored(cache: &Cache) -> Option<(Stored, Option<Stamp>)> {
    let mut file = File::open(cache.root().join("stat")).ok()?;
    let stamp = Stamp::of(&file.metadata().ok()?);
    let mut bytes = Vec::with_capacity(usize::try_from(stamp.size).ok()? + 1);
    file.read_to_end(&mut bytes).ok()?;
    Some((Stored::decode(bytes)?, Some(stamp)))
}

fn hash_at_rest(place: &Path) -> Result<(Digest, Stamp)> {
    let failed = |error| fault("read", place, 0, error);
    for _ in 0..ROUNDS {
        let file = File::open(place).map_err(failed)?;
        let before = Stamp::of(&file.metadata().map_err(failed)?);
        let (digest, size) = digest::of_reader(&file).map_err(failed)?;
        let after = Stamp::of(&fs::metadata(place).map_err(failed)?);
        if before == after && size == after.size {
            return Ok((digest, after));
        }
    }
    bail!("{} keeps changing while it is read", place.display())
}

#[cfg(test)]
impl StatIndex {
    /// The digest and size of a file; links are followed.
    fn digest_of(&mut self, path: &Path) -> Result<(Digest, u64)> {
        let place = absolute(path).with_context(|| format!("cannot find {}", path.display()))?;
        let (entry, is_fresh) = self.look(&place)?;
        if is_fresh {
            self.remember(place, entry);
        }
        Ok((entry.digest, entry.size))
    }

    /// As if every entry so far had been hashed ten seconds later than it was.
    pub(super) fn age(&mut self) {
        for entry in self.fresh.values_mut() {
            entry.hashed_ns += 10_000_000_000;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::cache::record::tests::cache;

    fn set_modified(path: &Path, time: SystemTime) {
        File::open(path).unwrap().set_modified(time).unwrap();
    }

    #[test]
    fn an_unchanged_file_is_read_once_also_over_runs() {
        let (place, cache) = cache();
        let path = place.path().join("data");
        fs::write(&path, "hello").unwrap();
        let expected = (Digest::of(b"hello"), 5);
        let mut index = StatIndex::load(&cache);
        assert_eq!(index.digest_of(&path).unwrap(), expected);
        index.age();
        assert_eq!(index.digest_of(&path).unwrap(), expected);
        assert_eq!(index.hashed(), 1);
        index.save().unwrap();
        let mut index = StatIndex::load(&cache);
        assert_eq!(index.digest_of(&path).unwrap(), expected);
        assert_eq!(index.hashed(), 0);
        let found = || fs::metadata(cache.root().join("stat")).unwrap();
        let before = found().modified().unwrap();
        index.save().unwrap();
        assert_eq!(found().modified().unwrap(), before);
    }

    #[test]
    fn an_edit_of_the_same_size_at_the_same_time_is_seen() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("data");
        let mut index = StatIndex::in_memory();
        for round in 0..50_u8 {
            fs::write(&path, [round; 8]).unwrap();
            assert_eq!(
                index.digest_of(&path).unwrap(),
                (Digest::of(&[round; 8]), 8)
            );
        }
        assert_eq!(index.hashed(), 50);
    }

    #[test]
    fn forged_and_future_times_hide_nothing() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("data");
        let mut index = StatIndex::in_memory();
        fs::write(&path, "hello").unwrap();
        let then = fs::metadata(&path).unwrap().modified().unwrap();
        index.digest_of(&path).unwrap();
        index.age();
        // Longer than a tick of this machine's clock, so that the change shows.
        std::thread::sleep(Duration::from_millis(20));
        fs::write(&path, "hallo").unwrap();
        set_modified(&path, then);
        assert_eq!(index.digest_of(&path).unwrap().0, Digest::of(b"hallo"));
        let future = then + Duration::from_hours(24);
        set_modified(&path, future);
        for _ in 0..2 {
            assert_eq!(index.digest_of(&path).unwrap().0, Digest::of(b"hallo"));
        }
        fs::write(&path, "hullo").unwrap();
        set_modified(&path, future);
        assert_eq!(index.digest_of(&path).unwrap().0, Digest::of(b"hullo"));
        assert_eq!(index.hashed(), 5);
    }

    #[test]
    fn a_folder_is_listed_and_only_changed_files_are_read() {
        let (place, cache) = cache();
        let folder = place.path().join("data");
        fs::create_dir_all(folder.join("sub/empty")).unwrap();
        for i in 0..20 {
            fs::write(folder.join(format!("sub/{i}")), i.to_string()).unwrap();
        }
        fs::write(place.path().join("shared"), "shared").unwrap();
        std::os::unix::fs::symlink("../shared", folder.join("link")).unwrap();
        let mut index = StatIndex::load(&cache);
        let tree = index.tree_of(&folder).unwrap();
        assert_eq!(tree.files.len(), 21);
        assert_eq!(tree.files["link"].digest, Digest::of(b"shared"));
        assert_eq!(tree.files["sub/7"].digest, Digest::of(b"7"));
        index.age();
        index.save().unwrap();
        fs::write(folder.join("sub/7"), "seven").unwrap();
        let mut index = StatIndex::load(&cache);
        let changed = index.tree_of(&folder).unwrap();
        assert_eq!(changed.files["sub/7"].digest, Digest::of(b"seven"));
        assert_ne!(changed.digest(), tree.digest());
        assert_eq!(index.hashed(), 1);
    }

    fn known(cache: &Cache) -> Stored {
        stored(cache).unwrap_or_default().0
    }

    #[test]
    fn a_damaged_file_is_empty_and_two_writers_both_count() {
        let (place, cache) = cache();
        let path = |name: &str| place.path().join(name);
        for name in ["one", "two", "gone"] {
            fs::write(path(name), name).unwrap();
        }
        let mut first = StatIndex::load(&cache);
        let mut second = StatIndex::load(&cache);
        first.digest_of(&path("one")).unwrap();
        first.digest_of(&path("gone")).unwrap();
        second.digest_of(&path("two")).unwrap();
        first.save().unwrap();
        // Nobody would believe what was hashed right after it changed.
        assert_eq!(known(&cache).len(), 0);
        first.age();
        second.age();
        first.save().unwrap();
        fs::remove_file(path("gone")).unwrap();
        second.save().unwrap();
        let left = |name: &str| known(&cache).get(path(name).to_str().unwrap()).is_some();
        assert_eq!(["one", "two", "gone"].map(left), [true, true, false]);
        let file = cache.root().join("stat");
        let good = fs::read(&file).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(&file, &bad).unwrap();
            assert_eq!(known(&cache).len(), 0, "flip {at}");
            fs::write(&file, &good[..at]).unwrap();
            assert_eq!(known(&cache).len(), 0, "cut {at}");
        }
    }

    #[test]
    fn what_is_no_file_is_told() {
        let place = tempfile::tempdir().unwrap();
        let mut index = StatIndex::in_memory();
        let text = |outcome: Result<(Digest, u64)>| format!("{:#}", outcome.unwrap_err());
        assert!(text(index.digest_of(place.path())).contains("is a folder"));
        assert!(text(index.digest_of(Path::new("/dev/null"))).contains("not a regular file"));
        assert!(text(index.digest_of(&place.path().join("x"))).contains("/x: No such file"));
        assert!(index.tree_of(&place.path().join("x")).is_err());
    }
}
