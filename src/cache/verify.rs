//! The check of a whole cache: do the records parse, are the blobs they name
//! there, and, where asked, are their bytes right.
//!
//! Bytes that are gone are no damage: a record outlives them. What is corrupt
//! is moved to quarantine, so that the next run makes it again.
use std::{
    collections::{HashMap, HashSet},
    fs,
    path::PathBuf,
};

use anyhow::Result;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use crate::{
    cache::{
        blob::{Content, Form},
        read::Broken,
        record::{Record, names},
        store::Cache,
    },
    digest::{Digest, Key},
    disk::fault,
};

/// What a check found.
#[derive(Debug, Default)]
pub struct Report {
    /// Usable canonical records.
    pub records: usize,
    /// Record files that could not be used; each is in the notices.
    pub garbage_records: usize,
    pub blobs: usize,
    pub blob_bytes: u64,
    /// Bytes that records name and that are not there.
    pub missing: Vec<Missing>,
    pub corrupt: Vec<Corrupt>,
    /// Blobs that no record names; some may belong to a stage that runs now.
    pub orphans: usize,
    pub orphan_bytes: u64,
    /// What lies among the blobs and is none.
    pub strangers: Vec<PathBuf>,
    /// Resume states that were not whole; moved to quarantine.
    pub broken_snapshots: usize,
}

/// An output whose bytes are not all there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    pub key: Key,
    pub output: String,
    /// The blob: the output itself, or a file of its tree.
    pub digest: Digest,
}

/// A blob whose bytes are not those of its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Corrupt {
    pub digest: Digest,
    pub why: String,
}

impl Report {
    /// Whether nothing is damaged.
    pub fn is_sound(&self) -> bool {
        self.garbage_records == 0
            && self.corrupt.is_empty()
            && self.strangers.is_empty()
            && self.broken_snapshots == 0
    }
}

impl Cache {
    /// Checks the whole cache; with `read_data` every byte of every blob.
    ///
    /// # Errors
    /// A folder or a blob that cannot be read at all.
    pub fn verify(&self, read_data: bool) -> Result<Report> {
        let mut report = Report::default();
        let mut sizes = self.blob_sizes(&mut report)?;
        report.blobs = sizes.len();
        report.blob_bytes = sizes.values().sum();
        if read_data {
            let listed: Vec<(Digest, u64)> = sizes.iter().map(|(d, size)| (*d, *size)).collect();
            let broken: Vec<Broken> = listed
                .par_iter()
                .filter_map(|(digest, size)| self.verified_anew(digest, *size).err())
                .collect();
            for broken in broken {
                match broken {
                    // Evicted since it was listed.
                    Broken::Missing(digest) => drop(sizes.remove(&digest)),
                    Broken::Corrupt { digest, why } => {
                        sizes.remove(&digest);
                        report.corrupt.push(Corrupt { digest, why });
                    }
                    unreadable @ Broken::Unreadable { .. } => return Err(unreadable.into()),
                }
            }
        }
        if read_data {
            report.broken_snapshots = self.check_snapshots()?;
        }
        let named = self.check_records(&mut sizes, &mut report)?;
        for (_, size) in sizes.iter().filter(|(digest, _)| !named.contains(digest)) {
            report.orphans += 1;
            report.orphan_bytes += size;
        }
        report.corrupt.sort_by_key(|corrupt| corrupt.digest);
        Ok(report)
    }

    /// Looks at every blob that a record names; all those named.
    fn check_records(
        &self,
        sizes: &mut HashMap<Digest, u64>,
        report: &mut Report,
    ) -> Result<HashSet<Digest>> {
        let mut keys = self.record_keys()?;
        keys.sort_unstable();
        let found: Vec<Option<Record>> = keys
            .par_iter()
            .map(|key| self.record(key))
            .collect::<Result<_>>()?;
        let mut named = HashSet::new();
        for record in found {
            let Some(record) = record else {
                report.garbage_records += 1;
                continue;
            };
            report.records += 1;
            for (output, content) in &record.outputs {
                self.check_content(&record.key, output, content, sizes, report, &mut named);
            }
            // Kept as evidence: their bytes are no orphans, and may be gone.
            for other in self.records_beside(&record.key) {
                named.extend(
                    other
                        .outputs
                        .values()
                        .flat_map(|content| self.parts(content)),
                );
            }
        }
        Ok(named)
    }

    fn check_content(
        &self,
        key: &Key,
        output: &str,
        content: &Content,
        sizes: &mut HashMap<Digest, u64>,
        report: &mut Report,
        named: &mut HashSet<Digest>,
    ) {
        let mut wanted = vec![(content.digest, Some(content.size))];
        if content.form == Form::Tree {
            wanted = vec![(content.digest, None)];
            if sizes.contains_key(&content.digest) {
                match self.tree_shared(&content.digest) {
                    Ok(tree) => {
                        let files = tree.files.values();
                        wanted.extend(files.map(|entry| (entry.digest, Some(entry.size))));
                    }
                    Err(broken) => note_corrupt(broken, sizes, report),
                }
            }
        }
        for (digest, size) in wanted {
            named.insert(digest);
            match (sizes.get(&digest), size) {
                (None, _) => report.missing.push(Missing {
                    key: *key,
                    output: output.to_owned(),
                    digest,
                }),
                (Some(found), Some(size)) if *found != size => {
                    if let Err(broken) = self.verified(&digest, size) {
                        note_corrupt(broken, sizes, report);
                    }
                }
                _ => {}
            }
        }
    }

    /// The blobs of a content, as far as they are known.
    fn parts(&self, content: &Content) -> Vec<Digest> {
        let mut parts = vec![content.digest];
        if content.form == Form::Tree
            && let Ok(tree) = self.tree_shared(&content.digest)
        {
            parts.extend(tree.files.values().map(|entry| entry.digest));
        }
        parts
    }

    fn blob_sizes(&self, report: &mut Report) -> Result<HashMap<Digest, u64>> {
        let root = self.root().join("blobs");
        let mut sizes = HashMap::new();
        for folder in names(&root)? {
            let folder = root.join(folder);
            if !folder.is_dir() {
                report.strangers.push(folder);
                continue;
            }
            for name in names(&folder)? {
                let path = folder.join(&name);
                let found =
                    fs::symlink_metadata(&path).map_err(|error| fault("read", &path, 0, error))?;
                match name.to_string_lossy().parse() {
                    Ok(digest) if found.is_file() && self.blob_path(&digest) == path => {
                        sizes.insert(digest, found.len());
                    }
                    _ => report.strangers.push(path),
                }
            }
        }
        report.strangers.sort();
        Ok(sizes)
    }
}

fn note_corrupt(broken: Broken, sizes: &mut HashMap<Digest, u64>, report: &mut Report) {
    if let Broken::Corrupt { digest, why } = broken {
        sizes.remove(&digest);
        report.corrupt.push(Corrupt { digest, why });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::record::tests::{cache, record};

    fn overwrite(path: &std::path::Path, bytes: &[u8]) {
        fs::remove_file(path).unwrap();
        fs::write(path, bytes).unwrap();
    }

    #[test]
    fn a_sound_cache_is_counted() {
        let (place, cache) = cache();
        let mut one = record(&cache, 1, "one");
        fs::create_dir(place.path().join("tree")).unwrap();
        fs::write(place.path().join("tree/file"), "four").unwrap();
        let (digest, size) = cache.put_tree(&place.path().join("tree")).unwrap();
        one.outputs.insert(
            "all".to_owned(),
            Content {
                digest,
                size,
                form: Form::Tree,
            },
        );
        cache.commit(&one).unwrap();
        cache.commit(&record(&cache, 1, "beside")).unwrap();
        cache.put_bytes(b"orphan").unwrap();
        for read_data in [false, true] {
            let report = cache.verify(read_data).unwrap();
            assert!(report.is_sound());
            assert_eq!((report.records, report.blobs), (1, 5));
            assert_eq!((report.orphans, report.orphan_bytes), (1, 6));
            assert!(report.missing.is_empty());
        }
    }

    #[test]
    fn each_damage_has_its_place_in_the_report() {
        let (place, cache) = cache();
        fs::create_dir(place.path().join("tree")).unwrap();
        fs::write(place.path().join("tree/file"), "four").unwrap();
        let (digest, size) = cache.put_tree(&place.path().join("tree")).unwrap();
        let mut records: Vec<Record> = (0..5)
            .map(|x| record(&cache, x, &format!("text {x}")))
            .collect();
        records[0].outputs.insert(
            "all".to_owned(),
            Content {
                digest,
                size,
                form: Form::Tree,
            },
        );
        for record in &records {
            cache.commit(record).unwrap();
        }
        let blob = |i: usize| cache.blob_path(&records[i].outputs["out"].digest);
        cache.remove_blob(&Digest::of(b"four")).unwrap();
        overwrite(&blob(1), b"short");
        overwrite(&blob(2), b"text X");
        overwrite(&cache.record_path(&records[3].key), b"garbage");
        fs::write(cache.root().join("blobs/stray"), "").unwrap();
        let quick = cache.verify(false).unwrap();
        assert!(!quick.is_sound());
        assert_eq!((quick.records, quick.garbage_records), (4, 1));
        assert_eq!(quick.corrupt.len(), 1);
        assert_eq!(quick.corrupt[0].digest, records[1].outputs["out"].digest);
        let missing = Missing {
            key: records[0].key,
            output: "all".to_owned(),
            digest: Digest::of(b"four"),
        };
        assert_eq!(quick.missing, std::slice::from_ref(&missing));
        assert_eq!(quick.orphans, 1);
        assert_eq!(quick.strangers, [cache.root().join("blobs/stray")]);
        let full = cache.verify(true).unwrap();
        assert_eq!(full.corrupt.len(), 1);
        assert_eq!(full.corrupt[0].digest, records[2].outputs["out"].digest);
        fs::remove_file(cache.root().join("blobs/stray")).unwrap();
        let after = cache.verify(true).unwrap();
        assert!(after.is_sound());
        assert_eq!(after.missing.len(), 3);
    }
}
