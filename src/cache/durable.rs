//! What this process published and nobody has seen on the disk yet. A record and
//! the blobs it names are visible to all at once and are synced in one go with
//! those of its neighbours: a sync costs as much for a hundred files as for one.
//!
//! After a power cut a record may be there without its bytes, or not at all.
//! The first is a miss like any evicted result, and bytes that are not those of
//! their name are found when they are read; nobody was told of either.
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io,
    path::{Path, PathBuf},
};

use anyhow::Result;

use crate::{
    cache::{
        blob::{Content, Form},
        publish::sync_dir,
        store::{Cache, is_absent},
    },
    digest::Key,
    disk::fault,
};

/// With more files than these the whole file system is synced instead.
#[cfg(target_os = "linux")]
const ONE_BY_ONE: usize = 6;

impl Cache {
    /// Makes all that this process has committed durable, and then lets go of
    /// the downloads that it was made of.
    ///
    /// # Errors
    /// The disk could not take it. Nothing may then be said to be finished.
    pub fn sync(&self) -> Result<()> {
        self.sync_owed()?;
        self.forget_landed();
        Ok(())
    }

    fn sync_owed(&self) -> Result<()> {
        let owed = std::mem::take(&mut *self.owed());
        if owed.is_empty() {
            return Ok(());
        }
        #[cfg(target_os = "linux")]
        if owed.len() > ONE_BY_ONE {
            return sync_all(self.root());
        }
        let folders: BTreeSet<&Path> = owed.iter().filter_map(|path| path.parent()).collect();
        for path in &owed {
            match File::open(path).and_then(|file| file.sync_all()) {
                // Removed meanwhile, by whoever decides what may go.
                Err(error) if is_absent(&error) => {}
                Err(error) => return Err(fault("sync", path, 0, error)),
                Ok(()) => {}
            }
        }
        let mut there = folders.into_iter().filter(|folder| folder.is_dir());
        there.try_for_each(sync_dir)
    }

    /// Remembers that a file is to be synced.
    pub(super) fn owe(&self, path: PathBuf) {
        self.owed().insert(path);
    }

    /// The same for a record and all that it names.
    pub fn owe_result(&self, key: &Key, outputs: &BTreeMap<String, Content>) {
        self.owe(self.record_path(key));
        for content in outputs.values() {
            self.owe(self.blob_path(&content.digest));
            if content.form == Form::Tree
                && let Ok(tree) = self.tree_shared(&content.digest)
            {
                for entry in tree.files.values() {
                    self.owe(self.blob_path(&entry.digest));
                }
            }
        }
    }
}

/// Syncs the file system that a folder lies on.
#[cfg(target_os = "linux")]
fn sync_all(folder: &Path) -> Result<()> {
    use std::os::fd::AsRawFd;

    let synced = File::open(folder).and_then(|open| {
        // SAFETY: the descriptor is open.
        match unsafe { libc::syncfs(open.as_raw_fd()) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    });
    synced.map_err(|error| fault("sync", folder, 0, error))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{
        cache::record::tests::{cache, record},
        digest::Digest,
    };

    #[test]
    fn what_is_committed_is_owed_until_it_is_synced() {
        let (_place, cache) = cache();
        let first = record(&cache, 1, "one");
        cache.commit(&first).unwrap();
        let mut expected: BTreeSet<PathBuf> = (first.outputs.values())
            .map(|content| cache.blob_path(&content.digest))
            .collect();
        expected.insert(cache.record_path(&first.key));
        assert_eq!(*cache.owed(), expected);
        // One that is gone is no fault.
        fs::remove_file(cache.record_path(&first.key)).unwrap();
        cache.sync().unwrap();
        assert!(cache.owed().is_empty());
        for x in 2..10 {
            cache.commit(&record(&cache, x, &format!("{x}"))).unwrap();
        }
        assert!(cache.owed().len() > ONE_BY_ONE);
        cache.sync().unwrap();
        assert!(cache.owed().is_empty());
    }

    #[test]
    fn the_files_of_a_tree_are_owed_too() {
        let (place, cache) = cache();
        let folder = place.path().join("tree");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("a"), "a").unwrap();
        fs::write(folder.join("b"), "b").unwrap();
        let (digest, size) = cache.put_tree(&folder).unwrap();
        let form = Form::Tree;
        let content = Content { digest, size, form };
        let outputs = BTreeMap::from([("out".to_owned(), content)]);
        cache.owe_result(&Key(Digest::of(b"key")), &outputs);
        assert_eq!(cache.owed().len(), 4);
        cache.sync().unwrap();
    }
}
