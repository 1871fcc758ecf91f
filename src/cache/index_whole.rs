//! Every record at one moment: what the index's file says, and the records that
//! it does not know, which are read. Mends the file where that is possible.
use std::{
    cmp::Reverse,
    collections::{HashMap, HashSet},
    fs,
};

use anyhow::Result;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use crate::{
    cache::{
        index::{IndexEntry, stamp},
        index_file::{HEADER, Stored, append_text, lock},
        store::Cache,
    },
    digest::{Digest, Key},
    disk::supersede,
};

#[derive(Debug, Default)]
pub(super) struct Whole {
    pub(super) entries: HashMap<Key, IndexEntry>,
    pub(super) shapes: HashSet<Digest>,
}

/// Lines that a file about so many records may have before it is written anew.
pub(super) fn most_lines(records: usize) -> usize {
    2 * records + 64
}

impl Whole {
    pub(super) fn read(cache: &Cache, stored: &Stored) -> Result<Whole> {
        let (mut known, sound) = stored.entries();
        let mut whole = Whole::default();
        let mut unknown = Vec::new();
        for key in cache.record_keys()? {
            match known.remove(&key) {
                Some(entry) => whole.add(entry),
                None => unknown.push(key),
            }
        }
        let read = |key: &Key| read_entry(cache, key);
        // Asking for the threads alone costs more than most lookups.
        let found: Vec<IndexEntry> = match unknown.as_slice() {
            [] => Vec::new(),
            unknown => unknown.par_iter().filter_map(read).collect(),
        };
        let fresh: String = found.iter().map(IndexEntry::line).collect();
        for entry in found {
            whole.add(entry);
        }
        if !sound || stored.count() > most_lines(whole.entries.len()) {
            whole.rewrite(cache);
        } else if !fresh.is_empty() {
            append_text(cache, &fresh);
        }
        Ok(whole)
    }

    pub(super) fn add(&mut self, entry: IndexEntry) {
        self.shapes.insert(entry.shape);
        self.entries.insert(entry.key, entry);
    }

    /// All records, the last one first.
    pub(super) fn latest(&self) -> Vec<&IndexEntry> {
        let mut entries: Vec<&IndexEntry> = self.entries.values().collect();
        entries.sort_unstable_by_key(|entry| Reverse((entry.written_ns(), entry.key)));
        entries
    }

    /// In the order in which lines are added. Best effort: without it the next
    /// load reads more files.
    fn rewrite(&self, cache: &Cache) {
        let _lock = lock(cache);
        let entries = self.latest().into_iter().rev();
        let lines: Vec<String> = entries.map(IndexEntry::line).collect();
        let text = format!("{HEADER}{}", lines.concat());
        if let Ok(folder) = cache.attempt_dir() {
            let beside = folder.path().join("index");
            let written = fs::write(&beside, text);
            let _ = written.and_then(|()| supersede(&beside, &cache.root().join("index")));
        }
    }
}

/// Reads a record's own file.
pub(super) fn read_entry(cache: &Cache, key: &Key) -> Option<IndexEntry> {
    // The stamp is taken first: a file replaced between is then read again later.
    let (file, _) = stamp(cache, key)?;
    let record = cache.record(key).ok().flatten()?;
    Some(IndexEntry {
        file,
        ..IndexEntry::of(cache, &record)?
    })
}
