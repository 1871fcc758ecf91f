//! Publishing and retiring records. The first one committed is canonical; a
//! later one that differs is kept beside it as evidence. Never changes a byte
//! of a record that stands.
use std::{collections::HashSet, ffi::OsString, fs};

use anyhow::{Context, Result, bail, ensure};

use crate::{
    cache::{
        index_file,
        name::Placed,
        record::{Record, names, parse},
        sealed,
        store::{Cache, FORMAT_VERSION, is_absent},
    },
    digest::Key,
    disk::fault,
};

/// How often a commit looks again when others change the place under it.
const ROUNDS: usize = 8;

/// What became of a commit.
#[derive(Debug, Clone, PartialEq)]
pub enum Committed {
    New,
    /// The canonical record has the same outputs.
    Same,
    /// The canonical record has other outputs and stays; ours lies beside it.
    Differs {
        canonical: Box<Record>,
    },
}

impl Cache {
    /// Publishes a record whose outputs are all in the cache. Everybody sees it
    /// at once; it is durable, with its outputs, after the next [`Cache::sync`].
    ///
    /// # Errors
    /// An output that is not there; a key that is not the manifest's.
    pub fn commit(&self, record: &Record) -> Result<Committed> {
        for (name, content) in &record.outputs {
            ensure!(
                self.has(content),
                "record {}: output `{name}` ({}) is not in the cache",
                record.key,
                content.digest
            );
        }
        self.owe_result(&record.key, &record.outputs);
        self.adopt(record)
    }

    /// As [`Cache::commit`], for a record that may outlive its bytes (an import).
    pub fn adopt(&self, record: &Record) -> Result<Committed> {
        let bytes = sealed_record(record)?;
        let path = self.record_path(&record.key);
        // Also one that is there: its writer may have died before it synced.
        self.owe(path.clone());
        for _ in 0..ROUNDS {
            if let Some(canonical) = self.record(&record.key)? {
                if canonical.outputs == record.outputs {
                    return Ok(Committed::Same);
                }
                self.keep_beside(record, &bytes)?;
                return Ok(Committed::Differs {
                    canonical: Box::new(canonical),
                });
            }
            let draft = self.draft(bytes.as_slice(), bytes.len() as u64)?;
            if draft.place(&path)? == Placed::New {
                index_file::append(self, record);
                return Ok(Committed::New);
            }
        }
        bail!(
            "{} holds something that is no record and cannot be moved",
            path.display()
        )
    }

    /// Makes `record` canonical in the place of `lost`, whose bytes are gone
    /// and could not be made again; `lost` is kept beside it.
    ///
    /// Where another one became canonical meanwhile, that one stays.
    pub fn supersede(&self, record: &Record, lost: &Record) -> Result<Committed> {
        let lock = index_file::lock(self)?;
        let Some(canonical) = self.record(&record.key)? else {
            drop(lock);
            return self.commit(record);
        };
        if canonical.outputs == record.outputs {
            return Ok(Committed::Same);
        }
        let bytes = sealed_record(record)?;
        if canonical.outputs != lost.outputs {
            self.keep_beside(record, &bytes)?;
            return Ok(Committed::Differs {
                canonical: Box::new(canonical),
            });
        }
        self.keep_beside(&canonical, &sealed_record(&canonical)?)?;
        let draft = self.draft(bytes.as_slice(), bytes.len() as u64)?;
        draft.replace(&self.record_path(&record.key))?;
        drop(lock);
        index_file::append(self, record);
        Ok(Committed::New)
    }

    /// Retires a distrusted record and those beside it; whether there was one.
    /// The files go to quarantine, so that nothing is lost for good.
    pub fn drop_record(&self, key: &Key) -> Result<bool> {
        // First: a record must not come back from the index if we die between.
        index_file::bury(self, key)?;
        let mut found = false;
        let beside = (1..)
            .map(|n| self.beside_path(key, n))
            .take_while(|path| path.exists());
        for path in std::iter::once(self.record_path(key)).chain(beside) {
            if path.exists() {
                self.quarantine(&path)?;
                found = true;
            }
        }
        Ok(found)
    }

    /// The keys of canonical records that lie in quarantine: dropped, or found
    /// damaged. Such a key may have a new record since.
    pub fn retired(&self) -> HashSet<Key> {
        let names = names(&self.root().join("quarantine")).unwrap_or_default();
        let key = |name: &OsString| {
            let (stem, _) = name.to_str()?.split_once(".json.")?;
            stem.parse().ok().map(Key)
        };
        names.iter().filter_map(key).collect()
    }

    /// Removes a record and those beside it for good, for whoever decides what
    /// may go; their bytes are not touched.
    pub(super) fn retire(&self, key: &Key) -> Result<()> {
        index_file::bury(self, key)?;
        let beside = (1..)
            .map(|n| self.beside_path(key, n))
            .take_while(|path| path.exists());
        let mut paths: Vec<_> = beside.collect();
        // The last first: what is left after a kill is still found by counting.
        paths.reverse();
        paths.push(self.record_path(key));
        for path in paths {
            match fs::remove_file(&path) {
                Err(error) if !is_absent(&error) => return Err(fault("remove", &path, 0, error)),
                _ => {}
            }
        }
        Ok(())
    }

    fn keep_beside(&self, record: &Record, bytes: &[u8]) -> Result<()> {
        for n in 1.. {
            let path = self.beside_path(&record.key, n);
            if let Ok(found) = fs::read(&path) {
                let same = |other: Record| other.outputs == record.outputs;
                if parse(&found, &record.key).is_ok_and(same) {
                    return Ok(());
                }
                continue;
            }
            let draft = self.draft(bytes, bytes.len() as u64)?;
            if draft.place(&path)? == Placed::New {
                self.owe(path);
                return Ok(());
            }
        }
        Ok(())
    }
}

fn sealed_record(record: &Record) -> Result<Vec<u8>> {
    let what = || format!("record {} cannot be committed", record.key);
    record.check().with_context(what)?;
    let format = record.format;
    ensure!(
        format == FORMAT_VERSION,
        "{}: it has format {format}",
        what()
    );
    sealed::seal(record).with_context(what)
}

#[cfg(test)]
mod tests {
    use std::slice;

    use super::*;
    use crate::{
        cache::record::tests::{cache, record},
        digest::Digest,
    };

    #[test]
    fn first_is_canonical_and_a_differing_one_is_kept_beside() {
        let (_place, cache) = cache();
        let first = record(&cache, 1, "one");
        assert_eq!(cache.record(&first.key).unwrap(), None);
        assert_eq!(cache.commit(&first).unwrap(), Committed::New);
        assert_eq!(cache.record(&first.key).unwrap(), Some(first.clone()));
        let mut again = first.clone();
        again.provenance.host = "elsewhere".to_owned();
        assert_eq!(cache.commit(&again).unwrap(), Committed::Same);
        let other = record(&cache, 1, "two");
        for _ in 0..2 {
            let differs = Committed::Differs {
                canonical: Box::new(first.clone()),
            };
            assert_eq!(cache.commit(&other).unwrap(), differs);
        }
        let third = record(&cache, 1, "three");
        cache.commit(&third).unwrap();
        assert_eq!(cache.records_beside(&first.key), [other, third]);
        assert_eq!(cache.record(&first.key).unwrap(), Some(first.clone()));
        assert_eq!(cache.records().unwrap().collect::<Vec<_>>(), [first]);
    }

    #[test]
    fn nothing_is_committed_whose_bytes_are_not_there() {
        let (_place, cache) = cache();
        let record = record(&cache, 1, "one");
        cache.remove_blob(&record.outputs["out"].digest).unwrap();
        let text = cache.commit(&record).unwrap_err().to_string();
        assert!(
            text.contains("output `out`") && text.contains("not in the cache"),
            "{text}"
        );
        assert_eq!(cache.record(&record.key).unwrap(), None);
        assert_eq!(cache.adopt(&record).unwrap(), Committed::New);
    }

    #[test]
    fn what_would_not_be_read_back_is_refused() {
        let (_place, cache) = cache();
        let mut bad = record(&cache, 1, "one");
        bad.key = Key(Digest::of(b"other"));
        assert!(cache.commit(&bad).is_err());
        let mut bad = record(&cache, 1, "one");
        let content = bad.outputs["out"];
        bad.outputs.insert("a\tb".to_owned(), content);
        assert!(cache.commit(&bad).is_err());
        let mut bad = record(&cache, 1, "one");
        bad.format = 2;
        assert!(cache.commit(&bad).is_err());
    }

    #[test]
    fn truncated_at_any_length_is_a_miss_and_can_be_committed_again() {
        let (_place, cache) = cache();
        let record = record(&cache, 1, "one");
        cache.commit(&record).unwrap();
        let path = cache.record_path(&record.key);
        let bytes = fs::read(&path).unwrap();
        for length in 0..bytes.len() {
            fs::remove_file(&path).unwrap();
            fs::write(&path, &bytes[..length]).unwrap();
            assert_eq!(cache.record(&record.key).unwrap(), None, "{length}");
            assert_eq!(cache.take_notices().len(), 1);
            assert_eq!(cache.commit(&record).unwrap(), Committed::New);
        }
        assert_eq!(cache.record(&record.key).unwrap(), Some(record));
    }

    #[test]
    fn a_dropped_record_is_gone_and_can_come_anew() {
        let (_place, cache) = cache();
        let first = record(&cache, 1, "one");
        cache.commit(&first).unwrap();
        let second = record(&cache, 1, "two");
        cache.commit(&second).unwrap();
        assert!(cache.drop_record(&first.key).unwrap());
        assert!(!cache.drop_record(&first.key).unwrap());
        assert_eq!(cache.retired(), HashSet::from([first.key]));
        assert_eq!(cache.record(&first.key).unwrap(), None);
        assert!(cache.records_beside(&first.key).is_empty());
        assert_eq!(cache.commit(&second).unwrap(), Committed::New);
    }

    #[test]
    fn a_lost_result_gives_way_to_the_next_generation() {
        let (_place, cache) = cache();
        let lost = record(&cache, 1, "one");
        cache.commit(&lost).unwrap();
        cache.remove_blob(&lost.outputs["out"].digest).unwrap();
        let next = record(&cache, 1, "two");
        assert_eq!(cache.supersede(&next, &lost).unwrap(), Committed::New);
        assert_eq!(cache.record(&lost.key).unwrap(), Some(next.clone()));
        assert_eq!(cache.records_beside(&lost.key), slice::from_ref(&lost));
        // A second one that also missed the old bytes comes too late.
        let late = record(&cache, 1, "three");
        let differs = Committed::Differs {
            canonical: Box::new(next),
        };
        assert_eq!(cache.supersede(&late, &lost).unwrap(), differs);
    }

    #[test]
    fn many_committers_have_one_winner() {
        let (_place, cache) = cache();
        let records: Vec<Record> = (0..16).map(|i| record(&cache, 1, &i.to_string())).collect();
        let outcomes: Vec<Committed> = std::thread::scope(|scope| {
            let running: Vec<_> = records
                .iter()
                .map(|record| scope.spawn(|| cache.commit(record).unwrap()))
                .collect();
            running.into_iter().map(|run| run.join().unwrap()).collect()
        });
        let canonical = cache.record(&records[0].key).unwrap().unwrap();
        for (record, outcome) in records.iter().zip(&outcomes) {
            if record.outputs == canonical.outputs {
                assert_eq!(*outcome, Committed::New);
            } else {
                let expected = Committed::Differs {
                    canonical: Box::new(canonical.clone()),
                };
                assert_eq!(*outcome, expected);
            }
        }
        assert_eq!(cache.records_beside(&canonical.key).len(), 15);
    }
}
