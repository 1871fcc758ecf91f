//! Files on their way from a hub: below `tmp/downloads`, named by the hub's id,
//! until the result that they belong to has its record. A stage hands them over
//! by a second name, and the blob is then a third: one file all along, so that
//! a kill at any moment costs neither a download nor room for a copy.
use std::{
    fs::{self, File, Metadata},
    io::Seek,
    os::unix::fs::MetadataExt,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use anyhow::Result;

use crate::{
    cache::{
        attempt::GRACE, gc::GcOptions, holding::age, publish::Draft, record::names, store::Cache,
    },
    digest::{self, Digest, ObjectId},
    disk::{Held, LOCK, fault},
};

/// A file in the folder of downloads.
#[derive(Debug)]
pub(super) struct Download {
    path: PathBuf,
    /// What goes with it.
    pub(super) bytes: u64,
    written: SystemTime,
}

impl Download {
    /// The right to remove it; none while somebody works at it, or may do so
    /// where locks tell nothing.
    fn unheld(&self, untouched: Duration) -> Result<Option<Held>> {
        let held = Held::try_take(&self.path)?;
        Ok(held.filter(|held| held.is_sure() || untouched >= GRACE))
    }

    /// Removes it unless somebody went on with it; whether it went.
    pub(super) fn remove(&self) -> Result<bool> {
        let Some(_held) = self.unheld(GRACE)? else {
            return Ok(false);
        };
        match fs::symlink_metadata(&self.path).and_then(|found| found.modified()) {
            Ok(written) if written == self.written => {}
            _ => return Ok(false),
        }
        fs::remove_file(&self.path)
            .map(|()| true)
            .map_err(|error| fault("remove", &self.path, 0, error))
    }
}

impl Cache {
    /// Where downloads lie; outlives attempts.
    pub fn downloads(&self) -> PathBuf {
        self.root().join("tmp").join("downloads")
    }

    /// Bytes that a run may fill, where the system tells: what is free, and what
    /// lies here already of the files that it waits for, each once with its size.
    pub fn room_bytes(&self, awaited: impl Iterator<Item = (ObjectId, u64)>) -> Option<u64> {
        let there = |(id, size): (ObjectId, u64)| {
            let found = fs::symlink_metadata(self.downloads().join(id.file_name())).ok()?;
            found.is_file().then(|| found.len().min(size))
        };
        let there: u64 = awaited.filter_map(there).sum();
        Some(self.available_bytes()?.saturating_add(there))
    }

    /// Says that the result has its record for which this was downloaded: it goes
    /// with the next [`Cache::sync`]. What is not whole is another one on its way.
    pub fn download_landed(&self, id: &ObjectId, size: u64) {
        let path = self.downloads().join(id.file_name());
        self.landed().insert(path, size);
    }

    /// Removes the downloads that have landed, unless somebody works at them.
    pub(super) fn forget_landed(&self) {
        for (path, size) in std::mem::take(&mut *self.landed()) {
            if fs::symlink_metadata(&path).is_ok_and(|found| found.len() == size)
                && let Ok(Some(_held)) = Held::try_take(&path)
            {
                // One that stays is for `gc`.
                let _ = fs::remove_file(&path);
            }
        }
    }

    /// The downloads that may go, by the rules of `gc`.
    pub(super) fn old_downloads(
        &self,
        options: &GcOptions,
        before: SystemTime,
        now: SystemTime,
    ) -> Result<Vec<Download>> {
        let mut old = Vec::new();
        let rest = options.older_than.unwrap_or(GRACE);
        for name in names(&self.downloads())? {
            let path = self.downloads().join(&name);
            if let Some(part) = name.to_string_lossy().strip_suffix(LOCK) {
                if !options.dry_run {
                    // Left by a dead process, perhaps without its file: it goes, unless held.
                    drop(Held::try_take(&self.downloads().join(part))?);
                }
                continue;
            }
            let found = fs::symlink_metadata(&path).ok();
            let Some(found) = found.filter(Metadata::is_file) else {
                continue;
            };
            let written = found.modified().unwrap_or(now);
            let untouched = age(written, now);
            let download = Download {
                path,
                // With its other names they stay: of a result, or of one that a kill left
                // without its record, for which this is not to be fetched again.
                bytes: if found.nlink() > 1 { 0 } else { found.len() },
                written,
            };
            if written < before
                && untouched > rest
                && let Some(_held) = download.unheld(untouched)?
            {
                old.push(download);
            }
        }
        Ok(old)
    }

    /// How many names of a file are ours: one in a folder of ours, and those among
    /// the downloads. Those that it had in folders of dead processes go.
    pub(super) fn known_names(&self, found: &Metadata) -> u64 {
        if found.nlink() == 1 {
            return 1;
        }
        let names = 1 + self.names_as_download(found);
        if found.nlink() > names {
            // What cannot be cleared makes a copy, no more.
            let _ = self.clear_abandoned();
        }
        names
    }

    /// How many downloads are this very file.
    fn names_as_download(&self, found: &Metadata) -> u64 {
        let same = |other: Metadata| (other.dev(), other.ino()) == (found.dev(), found.ino());
        let entries = fs::read_dir(self.downloads()).into_iter().flatten();
        let names = entries.filter(|entry| {
            let entry = entry.as_ref().ok();
            entry.is_some_and(|entry| entry.metadata().is_ok_and(same))
        });
        names.count() as u64
    }

    /// Takes a file that has more names than we know for the blob that stands
    /// already, if there is one with its bytes: nothing is copied then.
    pub(super) fn kept(&self, mut file: &File, found: &Metadata) -> Result<Option<(Digest, u64)>> {
        if found.nlink() == 1 {
            return Ok(None);
        }
        let failed = |error| fault("read", self.root(), 0, error);
        let (digest, size) = digest::of_reader(file).map_err(failed)?;
        let target = self.blob_path(&digest);
        if let Some(standing) = self.standing(&target, size)?
            && Draft::renew(&target).unwrap_or(false)
        {
            self.trust_renewed(&digest, &standing, &target);
            return Ok(Some((digest, size)));
        }
        file.rewind().map_err(failed)?;
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::cache::{attempt::boot, record::tests::cache};

    const ID: ObjectId = ObjectId::Sha256([3; 32]);

    /// A download that a stage hands over; its two names.
    fn downloaded(cache: &Cache, text: &str) -> (PathBuf, PathBuf) {
        let part = cache.downloads().join(ID.file_name());
        let folder = cache.root().join("tmp/work");
        for folder in [&cache.downloads(), &folder] {
            fs::create_dir_all(folder).unwrap();
        }
        if !part.exists() {
            fs::write(&part, text).unwrap();
        }
        fs::hard_link(&part, folder.join("file")).unwrap();
        (part, folder)
    }

    fn inode(path: &Path) -> u64 {
        fs::metadata(path).unwrap().ino()
    }

    #[test]
    fn a_download_is_the_blob_and_goes_once_its_result_is_there() {
        let (_place, cache) = cache();
        let (part, folder) = downloaded(&cache, "weights");
        // As after a kill before that: a dead process has a name of it too.
        let dead = cache.root().join("tmp").join(format!("{}-1-1-1", boot()));
        fs::create_dir(&dead).unwrap();
        fs::hard_link(&part, dead.join("file")).unwrap();
        let blob = cache.blob_path(&Digest::of(b"weights"));
        cache.take_tree(&folder).unwrap();
        if !crate::cache::sole::is_sole(&File::open(&blob).unwrap(), 2).unwrap() {
            // This file system has no leases: everything is copied.
            return;
        }
        assert_eq!(inode(&blob), inode(&part));
        // As after a kill before the record: handed over again, it is no copy.
        fs::remove_dir_all(&folder).unwrap();
        let (_, folder) = downloaded(&cache, "");
        cache.take_tree(&folder).unwrap();
        assert_eq!(inode(&blob), inode(&part));
        cache.sync().unwrap();
        assert!(part.exists());
        cache.download_landed(&ID, 7);
        let held = Held::try_take(&part).unwrap();
        cache.sync().unwrap();
        assert!(part.exists());
        drop(held);
        cache.download_landed(&ID, 7);
        cache.sync().unwrap();
        assert!(!part.exists());
        assert_eq!(fs::read(&blob).unwrap(), b"weights");
        // What is on its way once more stays.
        fs::write(&part, "wei").unwrap();
        cache.download_landed(&ID, 7);
        cache.sync().unwrap();
        assert!(part.exists());
    }

    #[test]
    fn a_name_that_nobody_knows_makes_a_copy() {
        let (place, cache) = cache();
        let (part, folder) = downloaded(&cache, "weights");
        let foreign = place.path().join("foreign");
        fs::hard_link(&part, &foreign).unwrap();
        cache.take_tree(&folder).unwrap();
        let blob = cache.blob_path(&Digest::of(b"weights"));
        assert_ne!(inode(&blob), inode(&foreign));
        assert_eq!(fs::read(&blob).unwrap(), b"weights");
    }
}
