//! `stat` of thousands of files below a few folders: each is named from a folder
//! that is open, so that the system does not walk the whole path each time.
use std::{
    ffi::c_int,
    fs::File,
    os::fd::{AsRawFd, RawFd},
    path::Path,
};

use crate::cache::read::Stamp;

/// Looks at files; see the header.
pub(super) struct Near {
    /// How paths below it begin, the slash included, and the folder.
    folders: Vec<(String, File)>,
    /// Where a path that is not absolute begins.
    root: String,
    /// The name that is asked for, with a zero behind it.
    name: Vec<u8>,
}

impl Near {
    /// Below `root`, in which paths that are not absolute begin, and below the
    /// folder around it. What cannot be opened is walked to.
    pub(super) fn to(root: &Path) -> Near {
        let around = root.parent().filter(|around| *around != Path::new("/"));
        let open = |folder: &Path| {
            let path = folder.to_str()?;
            Some((format!("{path}/"), File::open(folder).ok()?))
        };
        Near {
            folders: [Some(root), around]
                .into_iter()
                .flatten()
                .filter_map(open)
                .collect(),
            root: format!("{}/", root.to_str().unwrap_or_default()),
            name: Vec::new(),
        }
    }

    /// What is said of a file, or of what a link leads to; none where it is not
    /// there or cannot be looked at.
    pub(super) fn stat(&mut self, path: &str) -> Option<Stamp> {
        self.look(path, 0)
    }

    /// The same, of a link itself.
    pub(super) fn lstat(&mut self, path: &str) -> Option<Stamp> {
        self.look(path, libc::AT_SYMLINK_NOFOLLOW)
    }

    fn look(&mut self, path: &str, flags: c_int) -> Option<Stamp> {
        let is_absolute = path.starts_with('/');
        let found = self.folders.iter().find_map(|(begins, folder)| {
            let name = if is_absolute {
                path.strip_prefix(begins.as_str())
            } else {
                (*begins == self.root).then_some(path)
            };
            Some((folder.as_raw_fd(), "", name?))
        });
        let before = if is_absolute { "" } else { &self.root };
        let (folder, before, name) = found.unwrap_or((libc::AT_FDCWD, before, path));
        self.name.clear();
        self.name.extend(before.as_bytes());
        self.name.extend(name.as_bytes());
        self.name.push(0);
        stat(folder, &self.name, flags)
    }
}

/// `name` ends with a zero; behind one in its midst nothing is read.
fn stat(folder: RawFd, name: &[u8], flags: c_int) -> Option<Stamp> {
    debug_assert_eq!(name.last(), Some(&0));
    // SAFETY: the name ends with a zero, and the call fills in a structure that is
    // ours, of which zeros are a valid one.
    let (done, found) = unsafe {
        let mut found: libc::stat = std::mem::zeroed();
        let done = libc::fstatat(folder, name.as_ptr().cast(), &raw mut found, flags);
        (done, found)
    };
    (done == 0).then(|| Stamp::of_stat(&found))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn files_are_told_as_by_their_paths() {
        let place = tempfile::tempdir().unwrap();
        let project = fs::canonicalize(place.path()).unwrap().join("project");
        let root = project.join("cache");
        fs::create_dir_all(root.join("blobs")).unwrap();
        for (name, text) in [("cache/blobs/one", "1"), ("two", "22"), ("cachet", "333")] {
            fs::write(project.join(name), text).unwrap();
        }
        fs::write(project.with_file_name("three"), "3333").unwrap();
        symlink("../two", root.join("link")).unwrap();
        symlink("nowhere", root.join("broken")).unwrap();
        let absolute = |name: &str| project.join(name).to_str().unwrap().to_owned();
        let names = [
            "blobs/one",
            "link",
            "broken",
            "missing",
            &absolute("cache/blobs/one"),
            &absolute("two"),
            &absolute("cachet"),
            &absolute("../three"),
            &absolute("cache"),
            &absolute("missing"),
            "/",
        ];
        let missing = Near {
            folders: Vec::new(),
            ..Near::to(&root)
        };
        for mut near in [Near::to(&root), missing] {
            for name in names {
                let path = root.join(name);
                let told = [near.lstat(name), near.stat(name)];
                let expected = [fs::symlink_metadata(&path), fs::metadata(&path)];
                let expected = expected.map(|found| Some(Stamp::of(&found.ok()?)));
                assert_eq!(told, expected, "{name}");
            }
        }
    }
}
