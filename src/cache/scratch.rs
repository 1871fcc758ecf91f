//! Folders for the tasks of one process, which come and go by the thousand.
//! Making and removing folders is slow, so those with the same layout are used
//! again: cleared, never shared.
use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Result;

use crate::{
    cache::{
        attempt::{AttemptDir, nonce, remove_all},
        publish::new_private_dir,
        store::Cache,
    },
    disk::fault,
};

/// A private folder, cleared on drop. Cheaper than an [`AttemptDir`] of its own.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    /// What lies in it beforehand: these folders, empty.
    folders: &'static [&'static str],
    /// What holds the lock.
    _home: Arc<AttemptDir>,
    cache: Cache,
}

impl Scratch {
    /// The folder to work in.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let again = !self.folders.is_empty() && cleared(&self.path, self.folders).is_ok();
        if again {
            self.cache
                .idle_scratch()
                .push(std::mem::take(&mut self.path));
        } else {
            // What cannot be removed now goes with the process's own folder.
            let _ = remove_all(&self.path);
        }
    }
}

impl Cache {
    /// A private folder for one task of this process, with empty `folders` in it
    /// and nothing else.
    pub fn scratch(&self, folders: &'static [&'static str]) -> Result<Scratch> {
        let home = self.own_folder()?;
        let idle = match folders {
            [] => None,
            _ => self.idle_scratch().pop(),
        };
        // Somebody may have emptied tmp/ by hand.
        let idle = idle.filter(|path| path.starts_with(home.path()) && path.is_dir());
        let path = if let Some(path) = idle {
            path
        } else {
            let path = home.path().join(nonce());
            new_private_dir(&path).map_err(|error| fault("create", &path, 0, error))?;
            path
        };
        for folder in folders {
            let folder = path.join(folder);
            match fs::create_dir(&folder) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => {}
                // Nothing here outlives the process, so nothing is synced.
                Err(error) => return Err(fault("create", &folder, 0, error)),
            }
        }
        Ok(Scratch {
            path,
            folders,
            _home: home,
            cache: self.clone(),
        })
    }
}

/// Removes all but the folders of these names, which are emptied.
fn cleared(scratch: &Path, folders: &[&str]) -> io::Result<()> {
    for entry in fs::read_dir(scratch)? {
        let entry = entry?;
        let named = folders.iter().any(|name| entry.file_name() == *name);
        let found = entry.metadata()?;
        // One that a stage shut or marked makes way for a new one, and so does
        // a link: what it leads to is not ours.
        if named && found.is_dir() && found.permissions().mode() & 0o7700 == 0o700 {
            for inside in fs::read_dir(entry.path())? {
                remove(&inside?)?;
            }
        } else {
            remove(&entry)?;
        }
    }
    Ok(())
}

fn remove(entry: &fs::DirEntry) -> io::Result<()> {
    if entry.file_type()?.is_dir() {
        remove_all(&entry.path())
    } else {
        fs::remove_file(entry.path())
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs::Permissions, os::unix::fs::symlink};

    use super::*;
    use crate::cache::record::tests::cache;

    fn listing(folder: &Path) -> BTreeSet<String> {
        let entries = fs::read_dir(folder).unwrap();
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name();
        entries
            .map(|entry| name(entry).into_string().unwrap())
            .collect()
    }

    #[test]
    fn a_scratch_folder_comes_back_as_it_was_first() {
        const FOLDERS: &[&str] = &["in", "work"];
        let (place, cache) = cache();
        let outside = place.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("kept"), "").unwrap();
        let first = cache.scratch(FOLDERS).unwrap();
        let path = first.path().to_owned();
        let mess: [&dyn Fn(); 5] = [
            &|| fs::write(path.join("work/file"), "x").unwrap(),
            &|| fs::create_dir_all(path.join("work/a/b")).unwrap(),
            &|| fs::create_dir_all(path.join("own/folder")).unwrap(),
            &|| {
                fs::remove_dir(path.join("work")).unwrap();
                symlink(&outside, path.join("work")).unwrap();
            },
            &|| fs::set_permissions(path.join("in"), Permissions::from_mode(0o500)).unwrap(),
        ];
        drop(first);
        for mess in mess {
            let scratch = cache.scratch(FOLDERS).unwrap();
            assert_eq!(scratch.path(), path);
            mess();
            let other = cache.scratch(FOLDERS).unwrap();
            assert_ne!(other.path(), path);
            drop(other);
            drop(scratch);
            let again = cache.scratch(FOLDERS).unwrap();
            assert_eq!(again.path(), path);
            assert_eq!(
                listing(&path),
                FOLDERS.iter().map(|f| (*f).to_owned()).collect()
            );
            for folder in FOLDERS {
                let found = fs::symlink_metadata(path.join(folder)).unwrap();
                assert!(found.is_dir() && found.permissions().mode() & 0o700 == 0o700);
                assert!(listing(&path.join(folder)).is_empty());
            }
        }
        assert!(outside.join("kept").exists());
    }

    #[test]
    fn without_folders_it_is_new_and_empty_each_time() {
        let (_place, cache) = cache();
        let first = cache.scratch(&[]).unwrap();
        let path = first.path().to_owned();
        assert!(listing(&path).is_empty());
        drop(first);
        assert!(!path.exists());
        assert_ne!(cache.scratch(&[]).unwrap().path(), path);
    }
}
