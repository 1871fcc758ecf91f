//! Proofs that nothing moved: the files that a finished run rested on, each
//! with what `stat` said of it, and a note to hand back while all still hold.
//!
//! Derived and never the truth: a proof that is lost, torn, stale or garbage
//! costs the next run a longer look, nothing else. One file a name; a name
//! must say everything that is not a file (arguments, program, folder).
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use anyhow::Result;

use crate::{
    cache::{publish::ensure_dir, read::Stamp, store::Cache},
    digest::Digest,
    disk::fault,
};

const HEADER: &str = "vgh proof 1 ";
/// Proofs kept; each way of calling the program has its own.
const KEPT: usize = 64;

/// The files a result rests on, as they were when they were looked at.
#[derive(Debug, Default)]
pub struct Grounds {
    files: BTreeMap<PathBuf, Stamp>,
    /// Something cannot be told by stamps, so nothing can be proved.
    doubtful: bool,
}

impl Grounds {
    /// A file of this cache, or a copy that one wrote: as it is now.
    pub fn file(&mut self, path: &Path) {
        match fs::symlink_metadata(path) {
            Ok(found) => drop(self.files.insert(path.to_owned(), Stamp::of(&found))),
            Err(_) => self.doubtful = true,
        }
    }

    /// A file outside, as it was when it was hashed; `None` where its times
    /// were too young to be believed.
    pub(super) fn external(&mut self, path: PathBuf, believed: Option<Stamp>) {
        match believed {
            Some(stamp) => drop(self.files.insert(path, stamp)),
            None => self.doubt(),
        }
    }

    /// Nothing will be proved.
    pub fn doubt(&mut self) {
        self.doubtful = true;
    }
}

impl Cache {
    /// The note of the proof `name`, if every file in it is as it was.
    pub fn proof(&self, name: &Digest) -> Option<String> {
        let bytes = fs::read(self.proof_path(name)).ok()?;
        let text = std::str::from_utf8(&bytes).ok()?;
        let (check, body) = text.strip_prefix(HEADER)?.split_once('\n')?;
        if check != Digest::of(body.as_bytes()).to_string() {
            return None;
        }
        let (length, body) = body.split_once('\n')?;
        let (note, lines) = body.split_at_checked(length.parse().ok()?)?;
        let stands = |line: &str| {
            let (stamp, place) = line.split_once(' ')?;
            let found = fs::symlink_metadata(self.root().join(place)).ok()?;
            (told(&Stamp::of(&found)) == stamp).then_some(())
        };
        lines
            .split_terminator('\n')
            .map(stands)
            .collect::<Option<()>>()?;
        Some(note.to_owned())
    }

    /// Leaves a proof, unless it cannot hold. Best effort towards the reader,
    /// whole or not at all.
    ///
    /// # Errors
    /// When the cache cannot be written.
    pub fn leave_proof(&self, name: &Digest, grounds: &Grounds, note: &str) -> Result<()> {
        if grounds.doubtful {
            return Ok(());
        }
        let mut body = format!("{}\n{note}", note.len());
        for (path, stamp) in &grounds.files {
            let place = path.strip_prefix(self.root()).unwrap_or(path);
            let Some(place) = place.to_str().filter(|place| !place.contains('\n')) else {
                return Ok(());
            };
            writeln!(body, "{} {place}", told(stamp)).expect("writing to a string does not fail");
        }
        let text = format!("{HEADER}{}\n{body}", Digest::of(body.as_bytes()));
        let target = self.proof_path(name);
        if fs::read(&target).is_ok_and(|old| old == text.as_bytes()) {
            return Ok(());
        }
        let folder = self.root().join("proofs");
        ensure_dir(&folder)?;
        let draft = self.attempt_dir()?;
        let beside = draft.path().join("proofs");
        // Not synced: its own digest tells whether it is whole.
        fs::write(&beside, &text)
            .and_then(|()| fs::rename(&beside, &target))
            .map_err(|error| fault("write", &target, text.len() as u64, error))?;
        forget_oldest(&folder);
        Ok(())
    }

    fn proof_path(&self, name: &Digest) -> PathBuf {
        self.root().join("proofs").join(name.to_string())
    }
}

/// A stamp as one word. Inode numbers and times of change tell a file that was
/// put back from one that was never touched.
fn told(stamp: &Stamp) -> String {
    format!(
        "{}:{}:{}:{}",
        stamp.size, stamp.modified_ns, stamp.changed_ns, stamp.inode
    )
}

fn forget_oldest(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    let mut aged: Vec<(SystemTime, PathBuf)> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    aged.sort();
    for (_, path) in aged.iter().rev().skip(KEPT) {
        // Another process may have been first.
        let _ = fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, time::Duration};

    use super::*;
    use crate::cache::record::tests::cache;

    fn name() -> Digest {
        Digest::of(b"run")
    }

    #[test]
    fn a_proof_holds_until_any_file_moves() {
        let (place, cache) = cache();
        let outside = place.path().join("a b\u{fc}");
        let inside = cache.root().join("tmp/x");
        let disturb: [&dyn Fn(); 5] = [
            &|| fs::write(&outside, "two").unwrap(),
            &|| fs::remove_file(&inside).unwrap(),
            &|| {
                let times = fs::metadata(&outside).unwrap().modified().unwrap();
                let file = File::options().write(true).open(&outside).unwrap();
                file.set_modified(times + Duration::from_secs(1)).unwrap();
            },
            // The same bytes and times in another file.
            &|| {
                let times = fs::metadata(&inside).unwrap().modified().unwrap();
                fs::rename(&inside, place.path().join("old")).unwrap();
                fs::write(&inside, "in").unwrap();
                let file = File::options().write(true).open(&inside).unwrap();
                file.set_modified(times).unwrap();
            },
            &|| fs::write(cache.proof_path(&name()), "garbage").unwrap(),
        ];
        for disturb in disturb {
            fs::write(&outside, "one").unwrap();
            fs::write(&inside, "in").unwrap();
            let mut grounds = Grounds::default();
            grounds.file(&outside);
            grounds.file(&inside);
            cache
                .leave_proof(&name(), &grounds, "note\nof two lines")
                .unwrap();
            let found = cache.proof(&name());
            assert_eq!(found.as_deref(), Some("note\nof two lines"));
            assert_eq!(cache.proof(&Digest::of(b"other")), None);
            disturb();
            assert_eq!(cache.proof(&name()), None);
        }
    }

    #[test]
    fn what_is_in_doubt_or_gone_proves_nothing() {
        let (place, cache) = cache();
        let mut missing = Grounds::default();
        missing.file(&place.path().join("nothing"));
        let mut young = Grounds::default();
        young.external(place.path().to_owned(), None);
        let mut doubted = Grounds::default();
        doubted.doubt();
        for grounds in [missing, young, doubted] {
            cache.leave_proof(&name(), &grounds, "note").unwrap();
            assert_eq!(cache.proof(&name()), None);
        }
    }

    #[test]
    fn a_torn_proof_is_none_and_the_oldest_go() {
        let (_place, cache) = cache();
        let path = cache.proof_path(&name());
        let leave = |name: &Digest| {
            cache
                .leave_proof(name, &Grounds::default(), "note")
                .unwrap();
        };
        leave(&name());
        let whole = fs::read(&path).unwrap();
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            assert_eq!(cache.proof(&name()), None, "{length}");
        }
        fs::remove_file(&path).unwrap();
        for i in 0..KEPT + 5 {
            leave(&Digest::of(i.to_string().as_bytes()));
        }
        let left = fs::read_dir(cache.root().join("proofs")).unwrap().count();
        assert_eq!(left, KEPT);
    }
}
