//! Removing the bytes of results that may go while their run is still live.
use std::{
    collections::{HashMap, HashSet},
    fs,
    time::{Duration, SystemTime},
};

use anyhow::Result;

use crate::{
    cache::{
        blob::{Content, Form},
        index::RecordIndex,
        pin::Pin,
        store::Cache,
    },
    digest::{Digest, Key},
};

/// File systems tell time in steps, and not all times are told by one clock.
const STEP: Duration = Duration::from_millis(50);

/// A result whose bytes may go.
#[derive(Debug)]
pub struct Doomed {
    pub key: Key,
    pub contents: Vec<Content>,
    /// When its bytes were there, by [`Cache::published_at`]: what is published
    /// once more after that is on its way into another result.
    pub published: SystemTime,
}

impl Cache {
    /// When the last of these contents was published whole. Of a tree the listing
    /// tells: it comes after all files, and nobody else has the same.
    pub fn published_at<'c>(&self, contents: impl Iterator<Item = &'c Content>) -> SystemTime {
        let times = contents.filter_map(|content| self.blob_time(&content.digest));
        times.max().unwrap_or(SystemTime::UNIX_EPOCH)
    }

    /// Removes the bytes of the `doomed` results, and leaves their records; the
    /// number of bytes removed. Bytes that another record names, or that were
    /// published since, stay, and so does everything while a run other than that
    /// of `own` is live.
    pub fn discard(&self, doomed: &[Doomed], own: &Pin) -> Result<u64> {
        let mut parts: Vec<(Digest, u64)> = Vec::new();
        let mut published: HashMap<Digest, SystemTime> = HashMap::new();
        for result in doomed {
            for part in result
                .contents
                .iter()
                .flat_map(|content| self.present_parts(content))
            {
                let known = published.entry(part.0).or_insert(result.published);
                *known = result.published.max(*known);
                parts.push(part);
            }
        }
        if parts.is_empty() {
            return Ok(0);
        }
        let Some(gate) = self.shut_gate()? else {
            return Ok(0);
        };
        if !self.live_runs(&gate, Some(own))?.runs.is_empty() {
            return Ok(0);
        }
        let keys: HashSet<Key> = doomed.iter().map(|doomed| doomed.key).collect();
        let mut shared = HashSet::new();
        // Anew each time: runs that came and went may have named the same bytes.
        for (key, contents) in RecordIndex::load(self)?.contents() {
            if !keys.contains(key) {
                for content in contents {
                    let parts = self.present_parts(content);
                    shared.extend(parts.into_iter().map(|(digest, _)| digest));
                }
            }
        }
        let mut freed = 0;
        for (digest, size) in parts {
            let again = self.blob_time(&digest) > Some(published[&digest] + STEP);
            if !again && !shared.contains(&digest) && self.remove_blob(&digest)? {
                freed += size;
            }
        }
        Ok(freed)
    }

    /// The blobs of a content that are there, with their sizes; a tree's files
    /// come before its listing, so that whoever dies between can still find them.
    pub(super) fn present_parts(&self, content: &Content) -> Vec<(Digest, u64)> {
        let mut parts = Vec::new();
        let listing = self.blob_size(&content.digest);
        if content.form == Form::Tree
            && listing.is_some()
            && let Ok(tree) = self.tree_shared(&content.digest)
        {
            for entry in tree.files.values() {
                parts.extend(
                    self.blob_size(&entry.digest)
                        .map(|size| (entry.digest, size)),
                );
            }
        }
        parts.extend(listing.map(|size| (content.digest, size)));
        parts
    }

    fn blob_time(&self, digest: &Digest) -> Option<SystemTime> {
        let found = fs::symlink_metadata(self.blob_path(digest)).ok()?;
        found.modified().ok()
    }

    fn blob_size(&self, digest: &Digest) -> Option<u64> {
        let found = fs::symlink_metadata(self.blob_path(digest)).ok()?;
        found.is_file().then_some(found.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::{
        pin::Roots,
        record::tests::{cache, record},
    };

    #[test]
    fn bytes_go_unless_shared_or_another_run_lives() {
        let (place, cache) = cache();
        let folder = place.path().join("tree");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("own"), "own").unwrap();
        fs::write(folder.join("shared"), "shared").unwrap();
        let (digest, size) = cache.put_tree(&folder).unwrap();
        let mut doomed = record(&cache, 1, "text");
        let tree = Content {
            digest,
            size,
            form: Form::Tree,
        };
        doomed.outputs.insert("tree".to_owned(), tree);
        cache.commit(&doomed).unwrap();
        cache.commit(&record(&cache, 2, "shared")).unwrap();
        let contents: Vec<Content> = doomed.outputs.values().copied().collect();
        let doomed = [Doomed {
            key: doomed.key,
            published: cache.published_at(contents.iter()),
            contents,
        }];
        let own = cache.pin("own", &Roots::default()).unwrap();
        let other = cache.pin("other", &Roots::default()).unwrap();
        assert_eq!(cache.discard(&doomed, &own).unwrap(), 0);
        drop(other);
        let listing = cache.tree(&digest).unwrap().bytes().len() as u64;
        assert_eq!(cache.discard(&doomed, &own).unwrap(), 4 + 3 + listing);
        assert_eq!(cache.discard(&doomed, &own).unwrap(), 0);
        assert!(cache.verified(&Digest::of(b"shared"), 6).is_ok());
        assert!(!cache.has(&tree));
        assert!(cache.record(&doomed[0].key).unwrap().is_some());
    }

    #[test]
    fn what_is_on_its_way_into_another_result_stays() {
        let (place, cache) = cache();
        let doomed = record(&cache, 1, "text");
        cache.commit(&doomed).unwrap();
        let contents: Vec<Content> = doomed.outputs.values().copied().collect();
        let published = cache.published_at(contents.iter());
        let doomed = [Doomed {
            key: doomed.key,
            contents,
            published,
        }];
        // Somebody else publishes the same bytes, and has no record yet.
        let content = doomed[0].contents[0];
        let blob = fs::File::open(cache.blob_path(&content.digest)).unwrap();
        let again = published + 2 * STEP;
        blob.set_modified(again).unwrap();
        let own = cache.pin("own", &Roots::default()).unwrap();
        assert_eq!(cache.discard(&doomed, &own).unwrap(), 0);
        assert!(cache.has(&content));
        blob.set_modified(published).unwrap();
        assert_eq!(cache.discard(&doomed, &own).unwrap(), content.size);
        drop(place);
    }
}
