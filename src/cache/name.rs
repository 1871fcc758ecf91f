//! Giving a finished file its name: in one step, and never in the place of
//! another one.
use std::{fs, io, os::unix::fs::MetadataExt, path::Path};

use crate::disk::rename_new;

/// What became of a publication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Placed {
    New,
    /// Somebody else's file stands at the target; ours is gone.
    Existing,
}

/// Gives `draft` the name `target` unless something has it.
pub(super) fn put_new(draft: &Path, target: &Path) -> io::Result<Placed> {
    match rename_new(draft, target) {
        Ok(()) => Ok(Placed::New),
        Err(error) => match error.raw_os_error() {
            Some(libc::EEXIST) => Ok(Placed::Existing),
            Some(libc::EINVAL | libc::ENOSYS | libc::EOPNOTSUPP) => {
                link_new(draft, target, |from, to| fs::hard_link(from, to))
            }
            _ => Err(error),
        },
    }
}

/// Links `draft` to `target` without replacing, as NFS can. `link` is the
/// system call, which tests make fail.
fn link_new(
    draft: &Path,
    target: &Path,
    link: impl Fn(&Path, &Path) -> io::Result<()>,
) -> io::Result<Placed> {
    let error = match link(draft, target) {
        Ok(()) => return Ok(Placed::New),
        Err(error) => error,
    };
    // Over NFS the answer to a link that succeeded may be lost, and its repetition fails.
    let file = |path| fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()));
    if let (Ok(draft), Ok(placed)) = (file(draft), file(target))
        && draft == placed
    {
        return Ok(Placed::New);
    }
    match error.raw_os_error() {
        Some(libc::EEXIST) => Ok(Placed::Existing),
        Some(libc::EPERM | libc::ENOSYS | libc::EOPNOTSUPP | libc::EMLINK) => {
            Err(io::Error::other(
                "this file system has neither hard links nor a rename that does not replace; \
                 choose another place with --cache or VGH_CACHE",
            ))
        }
        _ => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn draft(folder: &Path, name: &str, text: &str) -> PathBuf {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        path
    }

    #[test]
    fn a_link_whose_answer_is_lost_counts() {
        let folder = tempfile::tempdir().unwrap();
        let draft = draft(folder.path(), "d", "x");
        let target = folder.path().join("t");
        let placed = link_new(&draft, &target, |from, to| {
            fs::hard_link(from, to).unwrap();
            Err(io::Error::from_raw_os_error(libc::EEXIST))
        });
        assert_eq!(placed.unwrap(), Placed::New);
    }

    #[test]
    fn a_rename_and_a_link_refuse_to_replace() {
        type Way = fn(&Path, &Path) -> io::Result<Placed>;
        let link: Way = |draft, target| link_new(draft, target, |from, to| fs::hard_link(from, to));
        for put in [put_new as Way, link] {
            let folder = tempfile::tempdir().unwrap();
            let target = folder.path().join("t");
            let first = draft(folder.path(), "1", "one");
            assert_eq!(put(&first, &target).unwrap(), Placed::New);
            let second = draft(folder.path(), "2", "two");
            assert_eq!(put(&second, &target).unwrap(), Placed::Existing);
            assert_eq!(fs::read(&target).unwrap(), b"one");
        }
    }

    #[test]
    fn faults_of_linking_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let draft = draft(folder.path(), "d", "x");
        let target = folder.path().join("t");
        let refused = |code| {
            let fails = |_: &Path, _: &Path| Err(io::Error::from_raw_os_error(code));
            link_new(&draft, &target, fails).unwrap_err()
        };
        for code in [
            libc::ENOSPC,
            libc::EDQUOT,
            libc::EACCES,
            libc::EROFS,
            libc::EIO,
        ] {
            assert_eq!(refused(code).raw_os_error(), Some(code));
        }
        let text = refused(libc::EPERM).to_string();
        assert!(text.ends_with("--cache or VGH_CACHE"), "{text}");
        assert!(!target.exists());
    }
}
