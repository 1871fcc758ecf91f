//! The derived index of records: one file to open instead of one a record.
//!
//! Never the truth. A line counts only when its check holds, its record's file
//! stands there, and that file has the size and time it had when the line was
//! written; whatever the index does not know is read from the records. So it
//! may be lost, torn, stale or garbage at any time.
use std::{
    collections::{BTreeMap, HashMap},
    fs,
    os::unix::fs::MetadataExt,
    sync::{Arc, OnceLock, atomic::AtomicUsize},
};

use anyhow::Result;

use crate::{
    cache::{
        blob::Content,
        index_file::{Stored, append_text},
        index_text::Hold,
        index_whole::{Whole, most_lines, read_entry},
        read::Stamp,
        record::Record,
        store::Cache,
    },
    digest::{AsItIs, Digest, Key},
};

/// The outputs of a result by name.
pub type Outputs = BTreeMap<String, Content>;

/// What a run that executes nothing needs to know of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexEntry {
    pub key: Key,
    pub shape: Digest,
    pub family: Digest,
    pub kind: String,
    pub duration_ms: u64,
    pub outputs: Arc<Outputs>,
    /// Size in bytes and time of change (ns) of the record's file.
    pub(super) file: (u64, i64),
    /// When a run last used it, in seconds since 1970; 0 where nobody looked.
    pub(super) used_s: i64,
}

impl IndexEntry {
    /// When the record was written, in nanoseconds since 1970, by the file's time.
    pub fn written_ns(&self) -> i64 {
        self.file.1
    }

    /// The entry of a record that lies in the cache; none if its file is gone.
    pub(super) fn of(cache: &Cache, record: &Record) -> Option<IndexEntry> {
        let kind = record.kind();
        Some(IndexEntry {
            key: record.key,
            shape: record.shape,
            family: record.family,
            kind: if kind.contains(char::is_control) {
                String::new()
            } else {
                kind.to_owned()
            },
            duration_ms: record.provenance.duration_ms,
            outputs: Arc::new(record.outputs.clone()),
            file: stamp(cache, &record.key)?.0,
            used_s: 0,
        })
    }
}

/// The records of a cache. What a run asks for by key is read by key; the whole
/// is read when something asks for all of it.
#[derive(Debug)]
pub struct RecordIndex {
    cache: Cache,
    pub(super) stored: Stored,
    /// Committed since loading.
    pub(super) noted: HashMap<Key, IndexEntry>,
    pub(super) whole: OnceLock<Whole>,
    /// A key of each shape that the file names.
    pub(super) shapes: OnceLock<HashMap<Digest, Key, AsItIs>>,
    /// How often a shape was looked for in the file.
    pub(super) glances: AtomicUsize,
}

impl RecordIndex {
    /// Reads the file of the index; mends it where that is needed and possible.
    ///
    /// # Errors
    /// The folder of records cannot be listed.
    pub fn load(cache: &Cache) -> Result<RecordIndex> {
        let index = RecordIndex::of(cache, Stored::read(cache, Hold::All));
        let stored = &index.stored;
        if !stored.is_sound() || stored.count() > most_lines(stored.len()) {
            let whole = Whole::read(cache, stored)?;
            let _ = index.whole.set(whole);
        }
        Ok(index)
    }

    /// The same for whoever asks for a few records: reads nothing before, and
    /// mends nothing.
    pub fn glance(cache: &Cache) -> RecordIndex {
        RecordIndex::of(cache, Stored::read(cache, Hold::Nothing))
    }

    fn of(cache: &Cache, stored: Stored) -> RecordIndex {
        RecordIndex {
            cache: cache.clone(),
            noted: HashMap::new(),
            whole: OnceLock::new(),
            shapes: OnceLock::new(),
            glances: AtomicUsize::new(0),
            stored,
        }
    }

    /// Reads what the whole needs: records that the file does not know.
    fn whole(&self) -> &Whole {
        self.whole.get_or_init(|| {
            let mut whole = Whole::read(&self.cache, &Stored::read(&self.cache, Hold::All))
                .unwrap_or_else(|error| {
                    self.cache
                        .notice(format!("the records cannot be listed: {error:#}"));
                    Whole::default()
                });
            for entry in self.noted.values() {
                whole.add(entry.clone());
            }
            whole
        })
    }

    pub fn len(&self) -> usize {
        self.whole().entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All records, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &IndexEntry> {
        self.whole().entries.values()
    }

    /// What is known of a key; looks at no file of its own.
    pub fn loaded(&self, key: &Key) -> Option<&IndexEntry> {
        self.whole().entries.get(key)
    }

    /// What the record of a key says, if it has one now. One `stat`; a record
    /// whose file changed, or that came after loading, is read.
    pub fn lookup(&self, key: &Key) -> Option<IndexEntry> {
        let (now, used_s) = stamp(&self.cache, key)?;
        let holds = |entry: &IndexEntry| entry.file == now;
        let known = || {
            let noted = self.noted.get(key).cloned();
            noted.or_else(|| self.stored.entry(key)).filter(holds)
        };
        // Where one is missing others are: all are read at once.
        let read = || self.whole().entries.get(key).cloned().filter(holds);
        let entry = if let Some(entry) = known().or_else(read) {
            entry
        } else {
            let entry = read_entry(&self.cache, key)?;
            append_text(&self.cache, &entry.line());
            entry
        };
        Some(IndexEntry { used_s, ..entry })
    }

    /// Whether a record's file is there.
    pub(super) fn stands(&self, key: &Key) -> bool {
        stamp(&self.cache, key).is_some()
    }

    /// The outputs of every record.
    pub(super) fn contents(&self) -> impl Iterator<Item = (&Key, impl Iterator<Item = &Content>)> {
        let entries = self.whole().entries.iter();
        entries.map(|(key, entry)| (key, entry.outputs.values()))
    }

    /// Whether any record has this shape.
    pub fn known_shape(&self, shape: &Digest) -> bool {
        self.glance_shape(shape) || self.whole().shapes.contains(shape)
    }

    /// Takes in a record that was committed since loading.
    pub fn note(&mut self, record: &Record) {
        if let Some(entry) = IndexEntry::of(&self.cache, record) {
            if let Some(whole) = self.whole.get_mut() {
                whole.add(entry.clone());
            }
            self.noted.insert(entry.key, entry);
        }
    }
}

/// What an entry remembers of its file, and the time of access in seconds.
pub(super) fn stamp(cache: &Cache, key: &Key) -> Option<((u64, i64), i64)> {
    let found = fs::symlink_metadata(cache.record_path(key)).ok()?;
    let stamp = Stamp::of(&found);
    Some(((stamp.size, stamp.modified_ns), found.atime()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::record::tests::{cache, record};

    fn texts(index: &RecordIndex, records: &[Record]) -> bool {
        records.iter().all(|record| {
            index.lookup(&record.key).is_some_and(|entry| {
                *entry.outputs == record.outputs
                    && (entry.shape, entry.family) == (record.shape, record.family)
                    && (entry.duration_ms, entry.kind.as_str())
                        == (record.provenance.duration_ms, "toy")
            })
        })
    }

    fn filled(cache: &Cache, count: u32) -> Vec<Record> {
        let records: Vec<Record> = (0..count)
            .map(|x| record(cache, x, &format!("{x}")))
            .collect();
        for record in &records {
            cache.commit(record).unwrap();
        }
        records
    }

    /// How many whole entries the file has, and whether it is sound.
    fn whole(cache: &Cache) -> (usize, bool) {
        let (entries, sound) = Stored::read(cache, Hold::All).entries();
        (entries.len(), sound)
    }

    fn path(cache: &Cache) -> std::path::PathBuf {
        cache.root().join("index")
    }

    #[test]
    fn what_was_committed_is_found_without_reading_records() {
        let (_place, cache) = cache();
        let records = filled(&cache, 5);
        let stored = Stored::read(&cache, Hold::Nothing);
        assert_eq!((stored.count(), whole(&cache)), (5, (5, true)));
        let index = RecordIndex::load(&cache).unwrap();
        assert!(texts(&index, &records));
        assert!(index.known_shape(&records[3].shape));
        assert!(!index.known_shape(&Digest::of(b"none")));
    }

    #[test]
    fn missing_garbage_and_torn_indexes_are_mended() {
        let (_place, cache) = cache();
        let records = filled(&cache, 4);
        let good = fs::read(path(&cache)).unwrap();
        for cut in (0..good.len()).step_by(7) {
            fs::write(path(&cache), &good[..cut]).unwrap();
            assert!(
                texts(&RecordIndex::load(&cache).unwrap(), &records),
                "cut {cut}"
            );
            assert_eq!(whole(&cache).0, 4, "cut {cut}");
        }
        for at in (0..good.len()).step_by(5) {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(path(&cache), &bad).unwrap();
            assert!(
                texts(&RecordIndex::load(&cache).unwrap(), &records),
                "flip {at}"
            );
            assert!(whole(&cache).1, "flip {at}");
        }
        fs::remove_file(path(&cache)).unwrap();
        assert_eq!(RecordIndex::load(&cache).unwrap().len(), 4);
        assert_eq!(whole(&cache).0, 4);
        assert!(cache.take_notices().is_empty());
    }

    #[test]
    fn a_line_after_a_torn_tail_counts() {
        let (_place, cache) = cache();
        filled(&cache, 2);
        let mut bytes = fs::read(path(&cache)).unwrap();
        bytes.extend(b"+\ttorn");
        fs::write(path(&cache), &bytes).unwrap();
        cache.commit(&record(&cache, 7, "seven")).unwrap();
        assert_eq!(whole(&cache).0, 3);
    }

    #[test]
    fn a_dropped_record_does_not_come_back() {
        let (_place, cache) = cache();
        let records = filled(&cache, 3);
        let early = RecordIndex::load(&cache).unwrap();
        cache.drop_record(&records[1].key).unwrap();
        assert_eq!(early.lookup(&records[1].key), None);
        let index = RecordIndex::load(&cache).unwrap();
        assert_eq!(index.lookup(&records[1].key), None);
        assert!(!index.known_shape(&records[1].shape));
        assert_eq!(whole(&cache).0, 2);
        cache.commit(&records[1]).unwrap();
        assert!(texts(&RecordIndex::load(&cache).unwrap(), &records));
    }

    #[test]
    fn a_record_file_that_changed_is_read_not_believed() {
        let (_place, cache) = cache();
        let records = filled(&cache, 3);
        let index = RecordIndex::load(&cache).unwrap();
        fs::remove_file(cache.record_path(&records[0].key)).unwrap();
        let truncated = cache.record_path(&records[1].key);
        fs::remove_file(&truncated).unwrap();
        fs::write(&truncated, "{").unwrap();
        assert_eq!(index.lookup(&records[0].key), None);
        assert_eq!(index.lookup(&records[1].key), None);
        assert!(texts(&index, &records[2..]));
        assert_eq!(RecordIndex::load(&cache).unwrap().len(), 1);
    }

    #[test]
    fn later_records_and_generations_are_seen() {
        let (_place, cache) = cache();
        let records = filled(&cache, 2);
        let mut index = RecordIndex::load(&cache).unwrap();
        let later = record(&cache, 9, "nine");
        cache.commit(&later).unwrap();
        assert!(texts(&index, std::slice::from_ref(&later)));
        index.note(&later);
        assert!(index.known_shape(&later.shape));
        let next = record(&cache, 0, "other");
        cache.supersede(&next, &records[0]).unwrap();
        assert!(texts(&index, std::slice::from_ref(&next)));
        assert!(texts(&RecordIndex::load(&cache).unwrap(), &[next, later]));
    }

    #[test]
    fn concurrent_commits_leave_whole_lines() {
        let (_place, cache) = cache();
        std::thread::scope(|scope| {
            for start in 0..8 {
                let cache = &cache;
                scope.spawn(move || {
                    for x in 0..10 {
                        cache
                            .commit(&record(cache, start * 10 + x, "same"))
                            .unwrap();
                    }
                });
            }
        });
        let stored = Stored::read(&cache, Hold::Nothing);
        assert_eq!((stored.count(), whole(&cache)), (80, (80, true)));
    }

    #[test]
    fn an_index_of_dead_lines_is_rewritten() {
        let (_place, cache) = cache();
        let records = filled(&cache, 1);
        for _ in 0..70 {
            crate::cache::index_file::append(&cache, &records[0]);
        }
        assert_eq!(RecordIndex::load(&cache).unwrap().len(), 1);
        assert_eq!(Stored::read(&cache, Hold::Nothing).count(), 1);
    }
}
