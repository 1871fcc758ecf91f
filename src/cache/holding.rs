//! What the cache holds: every record with the bytes that it keeps, for those
//! who list it or decide what may go. Reads all records.
use std::{
    collections::{HashMap, HashSet},
    fs,
    time::{Duration, SystemTime},
};

use anyhow::Result;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use crate::{
    cache::{
        record::{Record, names},
        store::{Cache, is_absent},
    },
    digest::{Digest, Key},
    disk::fault,
};

/// One record and its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    pub key: Key,
    pub shape: Digest,
    pub family: Digest,
    pub kind: String,
    /// Its bytes were meant to go once nothing needed them.
    pub temp: bool,
    /// When the record was written.
    pub made: SystemTime,
    /// When a run last took the result, to the hour.
    pub used: SystemTime,
    /// The blobs that are there, each once, with their sizes in bytes: of the
    /// canonical result and of those kept beside it.
    pub blobs: Vec<(Digest, u64)>,
}

impl Holding {
    /// The bytes that are there; some may belong to other records too.
    pub fn bytes(&self) -> u64 {
        self.blobs.iter().map(|(_, size)| size).sum()
    }
}

/// One blob as a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct BlobFile {
    pub(super) size: u64,
    /// When it was written, or last found to be what somebody wanted to write.
    pub(super) written: SystemTime,
}

impl Cache {
    /// Every usable canonical record with its bytes, sorted by key.
    ///
    /// # Errors
    /// The records cannot be listed.
    pub fn holdings(&self) -> Result<Vec<Holding>> {
        let mut keys = self.record_keys()?;
        keys.sort_unstable();
        let found = keys
            .par_iter()
            .map(|key| self.holding(key))
            .collect::<Result<Vec<_>>>()?;
        Ok(found.into_iter().flatten().collect())
    }

    fn holding(&self, key: &Key) -> Result<Option<Holding>> {
        // Times first: reading may move the second one.
        let Ok(found) = fs::symlink_metadata(self.record_path(key)) else {
            return Ok(None);
        };
        let Some(record) = self.record(key)? else {
            return Ok(None);
        };
        let made = found.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        let mut seen = HashSet::new();
        let mut blobs = Vec::new();
        let beside = self.records_beside(key);
        for Record { outputs, .. } in std::iter::once(&record).chain(&beside) {
            for content in outputs.values() {
                let parts = self.present_parts(content);
                blobs.extend(parts.into_iter().filter(|(digest, _)| seen.insert(*digest)));
            }
        }
        Ok(Some(Holding {
            key: *key,
            shape: record.shape,
            family: record.family,
            kind: record.kind().to_owned(),
            temp: record.provenance.temp,
            made,
            used: found.accessed().unwrap_or(made).max(made),
            blobs,
        }))
    }

    /// Every blob by its file.
    pub(super) fn blob_files(&self) -> Result<HashMap<Digest, BlobFile>> {
        let root = self.root().join("blobs");
        let mut blobs = HashMap::new();
        for folder in names(&root)? {
            let folder = root.join(folder);
            if !folder.is_dir() {
                continue;
            }
            for name in names(&folder)? {
                let path = folder.join(&name);
                let found = match fs::symlink_metadata(&path) {
                    Ok(found) => found,
                    Err(error) if is_absent(&error) => continue,
                    Err(error) => return Err(fault("read", &path, 0, error)),
                };
                if let Ok(digest) = name.to_string_lossy().parse::<Digest>()
                    && found.is_file()
                {
                    let written = found.modified().unwrap_or_else(|_| now());
                    let size = found.len();
                    blobs.insert(digest, BlobFile { size, written });
                }
            }
        }
        Ok(blobs)
    }
}

/// The time now.
#[expect(clippy::disallowed_methods, reason = "the cache tells the time")]
pub fn now() -> SystemTime {
    SystemTime::now()
}

/// How long ago a moment was; nothing for one in the future.
pub fn age(moment: SystemTime, now: SystemTime) -> Duration {
    now.duration_since(moment).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use crate::cache::record::tests::{cache, record};

    #[test]
    fn each_record_is_listed_with_the_bytes_it_keeps() {
        let (_place, cache) = cache();
        let one = record(&cache, 1, "one");
        let mut two = record(&cache, 2, "second");
        two.provenance.temp = true;
        cache.commit(&one).unwrap();
        cache.commit(&two).unwrap();
        cache.commit(&record(&cache, 1, "beside")).unwrap();
        cache.remove_blob(&two.outputs["out"].digest).unwrap();
        let mut held = cache.holdings().unwrap();
        held.sort_by_key(|holding| holding.temp);
        assert_eq!(held.len(), 2);
        assert_eq!((held[0].key, held[0].bytes()), (one.key, 3 + 6));
        assert_eq!((held[1].key, held[1].bytes()), (two.key, 0));
        assert_eq!(held[0].kind, "toy");
        assert!(held[0].used >= held[0].made);
        assert_eq!(cache.blob_files().unwrap().len(), 2);
    }
}
