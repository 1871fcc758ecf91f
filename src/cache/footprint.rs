//! What the file system says of a file or folder outside the cache at one
//! moment, without reading it: enough to tell whether anybody wrote to it.
use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Result;

use crate::{
    cache::{
        read::Stamp,
        walk::{self, Links},
    },
    digest::{Digest, Hashing},
    disk::fault,
};

/// The stamps of a file, or of every file below a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Footprint {
    /// Names, places, sizes and times of writing.
    written: Digest,
    /// The same with the times of any change.
    changed: Digest,
    youngest: PathBuf,
}

impl Footprint {
    /// Looks at `path` now, through links.
    ///
    /// # Errors
    /// When it, or a file below it, cannot be looked at.
    pub fn of(path: &Path) -> Result<Footprint> {
        let look = |place: &Path| {
            fs::metadata(place)
                .map(|found| (found.is_dir(), Stamp::of(&found)))
                .map_err(|error| fault("read", place, 0, error))
        };
        let (is_folder, stamp) = look(path)?;
        let mut files = vec![(String::new(), path.to_owned(), stamp)];
        if is_folder {
            files.clear();
            for found in walk::files(path, Links::Follow)? {
                let (_, stamp) = look(&found.path)?;
                files.push((found.name, found.path, stamp));
            }
        }
        let (mut written, mut changed) = (Hashing::default(), Hashing::default());
        for (name, _, stamp) in &files {
            let line = format!(
                "{name}\0{} {} {} {}\n",
                stamp.device, stamp.inode, stamp.size, stamp.modified_ns
            );
            written.update(line.as_bytes());
            changed.update(line.as_bytes());
            changed.update(format!("{}\n", stamp.changed_ns).as_bytes());
        }
        let youngest = files.iter().max_by_key(|(_, _, stamp)| stamp.changed_ns);
        Ok(Footprint {
            written: written.finish().0,
            changed: changed.finish().0,
            youngest: youngest.map_or_else(|| path.to_owned(), |(_, place, _)| place.clone()),
        })
    }

    /// Whether nothing at all happened between the two looks.
    pub fn same(&self, other: &Footprint) -> bool {
        self.changed == other.changed
    }

    /// Whether nothing shows that a file was written, added or removed between
    /// the two looks. A forged time hides a write here, not from [`Footprint::same`].
    pub fn written_as(&self, other: &Footprint) -> bool {
        self.written == other.written
    }

    /// The file that changed last: the one to name.
    pub fn youngest(&self) -> &Path {
        &self.youngest
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn writing_shows_and_other_changes_are_told_apart() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("a/data");
        fs::create_dir(place.path().join("a")).unwrap();
        fs::write(&file, "one").unwrap();
        let folder = place.path().join("a");
        let first = Footprint::of(&folder).unwrap();
        assert!(Footprint::of(&folder).unwrap().same(&first));
        // Longer than a tick of this machine's clock, so that a change shows.
        std::thread::sleep(std::time::Duration::from_millis(20));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        let moded = Footprint::of(&folder).unwrap();
        assert!(!moded.same(&first) && moded.written_as(&first));
        fs::write(&file, "two").unwrap();
        let edited = Footprint::of(&folder).unwrap();
        assert!(!edited.written_as(&first));
        assert_eq!(edited.youngest(), file);
        fs::write(folder.join("more"), "").unwrap();
        assert!(!Footprint::of(&folder).unwrap().written_as(&edited));
        assert!(Footprint::of(&place.path().join("none")).is_err());
    }
}
