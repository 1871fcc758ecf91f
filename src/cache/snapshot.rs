//! Snapshots: resume state of a family of results, the last one only. Never an
//! artifact and never needed for a hit.
//!
//! A snapshot is a folder that is renamed into place after every byte in it is
//! safe; its manifest says what belongs to it, and nothing less is handed out.
//! Whoever reads or replaces one holds the lease of its family.
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    time::SystemTime,
};

use anyhow::{Context, Result, ensure};
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use serde::{Deserialize, Serialize};

use crate::{
    cache::{
        attempt::{nonce, remove_all},
        lease::Leased,
        publish::{copy_synced, ensure_dir, sync_dir},
        record::names,
        sealed,
        store::Cache,
        walk::{self, Links},
    },
    digest::{self, Digest, Tree, TreeEntry},
    disk::fault,
};

const MANIFEST: &str = "manifest.json";
const DATA: &str = "data";

/// Resume state that was found whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// How far the progressive parameter had come.
    pub mark: u64,
    /// The files, to be read only.
    pub dir: PathBuf,
}

/// What the snapshots of a family take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kept {
    pub(super) family: Digest,
    pub(super) bytes: u64,
    /// When the last one came.
    pub(super) written: SystemTime,
}

#[derive(Serialize, Deserialize)]
struct Manifest {
    family: Digest,
    mark: u64,
    tree: Tree,
}

impl Cache {
    /// The furthest snapshot of a family whose every byte is as it was
    /// written. A broken one is moved to quarantine, with a notice.
    pub fn snapshot(&self, family: &Digest) -> Result<Option<Snapshot>> {
        let mut found: Vec<(u64, PathBuf)> = self.snapshots_of(family)?;
        found.sort_unstable_by(|a, b| b.cmp(a));
        for (mark, place) in found {
            match check(&place, family, mark) {
                Ok(()) => {
                    return Ok(Some(Snapshot {
                        mark,
                        dir: place.join(DATA),
                    }));
                }
                Err(why) => {
                    let moved = self.quarantine(&place).map_or_else(
                        |error| format!("left in place ({error:#})"),
                        |target| format!("moved to {}", target.display()),
                    );
                    let place = place.display();
                    self.notice(format!("snapshot {place} cannot be used: {why:#}; {moved}"));
                }
            }
        }
        Ok(None)
    }

    /// The mark that [`Cache::snapshot`] would find if every file is still as it
    /// was written: reads the manifest alone, so it may promise what turns out broken.
    pub fn snapshot_mark(&self, family: &Digest) -> Result<Option<u64>> {
        let found = self.snapshots_of(family)?.into_iter();
        let filed = found.filter(|(mark, place)| manifest(place, family, *mark).is_ok());
        Ok(filed.map(|(mark, _)| mark).max())
    }

    /// Stores a copy of the files below `folder` as the snapshot of a family,
    /// in the place of the one before.
    pub fn put_snapshot(&self, family: &Digest, mark: u64, folder: &Path) -> Result<()> {
        let before = self.snapshots_of(family)?;
        let attempt = self.attempt_dir()?;
        let place = attempt.path().join("snapshot");
        let tree = copy_tree(folder, &place.join(DATA))
            .with_context(|| format!("keep the snapshot {}", folder.display()))?;
        let manifest = sealed::seal(&Manifest {
            family: *family,
            mark,
            tree,
        })?;
        copy_synced(
            manifest.as_slice(),
            &place.join(MANIFEST),
            manifest.len() as u64,
        )?;
        sync_dir(&place)?;
        let home = self.snapshot_home(family);
        ensure_dir(&home)?;
        let target = home.join(format!("{mark}.{}", nonce()));
        fs::rename(&place, &target).map_err(|error| fault("write", &target, 0, error))?;
        sync_dir(&home)?;
        for (_, old) in before {
            remove_all(&old).map_err(|error| fault("remove", &old, 0, error))?;
        }
        Ok(())
    }

    /// Removes the snapshots of a family.
    pub fn drop_snapshot(&self, family: &Digest) -> Result<()> {
        let home = self.snapshot_home(family);
        remove_all(&home).map_err(|error| fault("remove", &home, 0, error))
    }

    /// Reads every resume state that no run works on now; how many were broken.
    pub(super) fn check_snapshots(&self) -> Result<usize> {
        let mut broken = 0;
        for Kept { family, .. } in self.kept_snapshots()? {
            let lease = self.try_lease(&family);
            if matches!(lease, Ok(Leased::Busy { .. })) {
                continue;
            }
            let before = self.snapshots_of(&family)?.len();
            self.snapshot(&family)?;
            broken += before.saturating_sub(self.snapshots_of(&family)?.len());
        }
        Ok(broken)
    }

    /// What is kept as resume state, family by family.
    pub(super) fn kept_snapshots(&self) -> Result<Vec<Kept>> {
        let mut kept = Vec::new();
        for name in names(&self.root().join("snapshots"))? {
            let Ok(family) = name.to_string_lossy().parse::<Digest>() else {
                continue;
            };
            let home = self.snapshot_home(&family);
            // Replaced or dropped while we look: the next time counts it.
            let files = walk::files(&home, Links::Refuse).unwrap_or_default();
            let found = files
                .iter()
                .filter_map(|file| fs::metadata(&file.path).ok());
            let bytes = found.map(|found| found.len()).sum();
            if let Ok(written) = fs::metadata(&home).and_then(|found| found.modified()) {
                kept.push(Kept {
                    family,
                    bytes,
                    written,
                });
            }
        }
        Ok(kept)
    }

    fn snapshot_home(&self, family: &Digest) -> PathBuf {
        self.root().join("snapshots").join(family.to_string())
    }

    fn snapshots_of(&self, family: &Digest) -> Result<Vec<(u64, PathBuf)>> {
        let home = self.snapshot_home(family);
        let mut found = Vec::new();
        for name in names(&home)? {
            let mark = name
                .to_string_lossy()
                .split('.')
                .next()
                .and_then(|mark| mark.parse().ok());
            found.extend(mark.map(|mark| (mark, home.join(&name))));
        }
        Ok(found)
    }
}

/// The manifest of the snapshot at `place`, which says what it is filed as.
fn manifest(place: &Path, family: &Digest, mark: u64) -> Result<Manifest> {
    let path = place.join(MANIFEST);
    let bytes = fs::read(&path).map_err(|error| fault("read", &path, 0, error))?;
    let manifest: Manifest = sealed::unseal(&bytes)?;
    ensure!(
        manifest.family == *family && manifest.mark == mark,
        "it is filed wrongly"
    );
    Ok(manifest)
}

fn check(place: &Path, family: &Digest, mark: u64) -> Result<()> {
    let manifest = manifest(place, family, mark)?;
    let data = place.join(DATA);
    let files = walk::files(&data, Links::Refuse)?
        .par_iter()
        .map(|found| {
            let (digest, size) = digest::of_file(&found.path)
                .map_err(|error| fault("read", &found.path, 0, error))?;
            Ok((found.name.clone(), TreeEntry { digest, size }))
        })
        .collect::<Result<_>>()?;
    ensure!(
        Tree { files } == manifest.tree,
        "its files are not those it was written with"
    );
    Ok(())
}

/// Copies the regular files below `from` to the new folder `to`, every byte
/// and every name synced.
fn copy_tree(from: &Path, to: &Path) -> Result<Tree> {
    let found = walk::files(from, Links::Refuse)?;
    let opened = File::open(from).map_err(|error| fault("read", from, 0, error))?;
    ensure_dir(to)?;
    let mut tree = Tree::default();
    let mut folders = vec![to.to_owned()];
    for found in &found {
        let (file, about) = walk::open_beneath(&opened, found)?;
        let target = to.join(&found.name);
        let folder = target.parent().unwrap_or(to).to_owned();
        ensure_dir(&folder)?;
        let (digest, size) = copy_synced(file, &target, about.len())?;
        tree.files
            .insert(found.name.clone(), TreeEntry { digest, size });
        folders.push(folder);
    }
    folders.sort_unstable();
    folders.dedup();
    for folder in &folders {
        sync_dir(folder)?;
    }
    Ok(tree)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::record::tests::cache;

    fn state(place: &Path, text: &str) -> PathBuf {
        let folder = place.join("state");
        fs::create_dir_all(folder.join("optimizer")).unwrap();
        fs::write(folder.join("weights"), text).unwrap();
        fs::write(folder.join("optimizer/moments"), text.repeat(2)).unwrap();
        folder
    }

    #[test]
    fn the_last_snapshot_replaces_the_one_before() {
        let (place, cache) = cache();
        let family = Digest::of(b"f");
        assert_eq!(cache.snapshot(&family).unwrap(), None);
        for mark in [10, 20, 20, 5] {
            let folder = state(place.path(), &mark.to_string());
            cache.put_snapshot(&family, mark, &folder).unwrap();
            let found = cache.snapshot(&family).unwrap().unwrap();
            assert_eq!(found.mark, mark);
            assert_eq!(cache.snapshot_mark(&family).unwrap(), Some(mark));
            assert_eq!(
                fs::read_to_string(found.dir.join("weights")).unwrap(),
                mark.to_string()
            );
            assert!(found.dir.join("optimizer/moments").exists());
            assert_eq!(cache.snapshots_of(&family).unwrap().len(), 1);
        }
        assert_eq!(cache.snapshot(&Digest::of(b"g")).unwrap(), None);
        cache.drop_snapshot(&family).unwrap();
        cache.drop_snapshot(&family).unwrap();
        assert_eq!(cache.snapshot(&family).unwrap(), None);
        assert_eq!(cache.snapshot_mark(&family).unwrap(), None);
    }

    #[test]
    fn broken_is_none_and_an_older_whole_one_is_taken() {
        let (place, cache) = cache();
        let family = Digest::of(b"f");
        let damages: [fn(&Path); 6] = [
            |home| fs::write(home.join("data/weights"), "3!").unwrap(),
            |home| fs::write(home.join("data/weights"), "").unwrap(),
            |home| fs::remove_file(home.join("data/optimizer/moments")).unwrap(),
            |home| fs::write(home.join("data/more"), "").unwrap(),
            |home| fs::write(home.join(MANIFEST), "{}").unwrap(),
            |home| fs::remove_file(home.join(MANIFEST)).unwrap(),
        ];
        for (i, damage) in damages.into_iter().enumerate() {
            cache
                .put_snapshot(&family, 30, &state(place.path(), "30"))
                .unwrap();
            let found = cache.snapshot(&family).unwrap().unwrap();
            damage(found.dir.parent().unwrap());
            // The mark is believed as long as the manifest stands.
            let filed = (i < 4).then_some(30);
            assert_eq!(cache.snapshot_mark(&family).unwrap(), filed, "damage {i}");
            assert!(cache.take_notices().is_empty(), "damage {i}");
            assert_eq!(cache.snapshot(&family).unwrap(), None, "damage {i}");
            assert_eq!(cache.take_notices().len(), 1, "damage {i}");
        }
        // As when killed after the rename and before the removal of the old one.
        cache
            .put_snapshot(&family, 10, &state(place.path(), "10"))
            .unwrap();
        let home = cache.snapshot_home(&family);
        fs::create_dir(home.join("20.x")).unwrap();
        assert_eq!(cache.snapshot_mark(&family).unwrap(), Some(10));
        assert_eq!(cache.snapshot(&family).unwrap().unwrap().mark, 10);
    }
}
