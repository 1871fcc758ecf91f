//! Removing the bytes of results that may go while their run is still live.
use std::collections::HashSet;

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

impl Cache {
    /// Removes the bytes of the `doomed` results, and leaves their records; the
    /// number of bytes removed. Bytes that another record names stay, and so
    /// does everything while a run other than that of `own` is live.
    pub fn discard(&self, doomed: &[(Key, Vec<Content>)], own: &Pin) -> Result<u64> {
        let contents = doomed.iter().flat_map(|(_, contents)| contents);
        let parts: Vec<(Digest, u64)> = contents
            .flat_map(|content| self.present_parts(content))
            .collect();
        if parts.is_empty() {
            return Ok(0);
        }
        let Some(gate) = self.shut_gate()? else {
            return Ok(0);
        };
        if !self.live_runs(&gate, Some(own))?.runs.is_empty() {
            return Ok(0);
        }
        let keys: HashSet<Key> = doomed.iter().map(|(key, _)| *key).collect();
        let digests: HashSet<Digest> = parts.iter().map(|(digest, _)| *digest).collect();
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
        shared.retain(|digest| digests.contains(digest));
        let mut freed = 0;
        for (digest, size) in parts {
            if !shared.contains(&digest) && self.remove_blob(&digest)? {
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

    fn blob_size(&self, digest: &Digest) -> Option<u64> {
        let found = std::fs::symlink_metadata(self.blob_path(digest)).ok()?;
        found.is_file().then_some(found.len())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

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
        let doomed = [(doomed.key, doomed.outputs.values().copied().collect())];
        let own = cache.pin("own", &Roots::default()).unwrap();
        let other = cache.pin("other", &Roots::default()).unwrap();
        assert_eq!(cache.discard(&doomed, &own).unwrap(), 0);
        drop(other);
        let listing = cache.tree(&digest).unwrap().bytes().len() as u64;
        assert_eq!(cache.discard(&doomed, &own).unwrap(), 4 + 3 + listing);
        assert_eq!(cache.discard(&doomed, &own).unwrap(), 0);
        assert!(cache.verified(&Digest::of(b"shared"), 6).is_ok());
        assert!(!cache.has(&tree));
        assert!(cache.record(&doomed[0].0).unwrap().is_some());
    }
}
