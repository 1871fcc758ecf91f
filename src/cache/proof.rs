//! Proofs that nothing moved: the files that a finished run rested on, one
//! digest over what `stat` said of them all, and a note to hand back while it
//! still says the same.
//!
//! Derived and never the truth: a proof that is lost, torn, stale or garbage
//! costs the next run a longer look, nothing else. One file a name; the name
//! must say everything that is not a file (arguments, program, folder, text).
use std::{
    fs::{self, Metadata},
    path::{Path, PathBuf},
    time::SystemTime,
};

use anyhow::Result;

use crate::{
    cache::{
        blob::{Content, Form},
        publish::ensure_dir,
        read::Stamp,
        stat::StatIndex,
        store::Cache,
        used::USED_EVERY,
    },
    digest::{Digest, Hashing},
    disk::fault,
};

const HEADER: &str = "vgh proof 1 ";
/// Proofs kept; each way of calling the program has its own.
const KEPT: usize = 64;

/// The files that a result rests on, and what `stat` said of each.
#[derive(Default)]
pub struct Grounds {
    /// A line each: `=` for the file itself, `>` for where links lead, the path.
    lines: String,
    stamps: Hashing,
    /// Something cannot be told by stamps, so nothing can be proved.
    doubtful: bool,
}

impl Grounds {
    /// A file of the cache, or a copy that was made of one: as it is now.
    pub fn file(&mut self, root: &Path, path: &Path) {
        match fs::symlink_metadata(path) {
            Ok(found) => self.add('=', path.strip_prefix(root).unwrap_or(path), &stamp(&found)),
            Err(_) => self.doubtful = true,
        }
    }

    /// The bytes of a content: its blob, and for a tree those of its files.
    pub fn content(&mut self, cache: &Cache, content: &Content) {
        self.file(cache.root(), &cache.blob_path(&content.digest));
        if content.form == Form::Tree {
            match cache.tree_shared(&content.digest) {
                Ok(tree) => tree.files.values().for_each(|entry| {
                    self.file(cache.root(), &cache.blob_path(&entry.digest));
                }),
                Err(_) => self.doubtful = true,
            }
        }
    }

    /// A file outside, as it was when it was hashed. A folder is not told by
    /// stamps, nor a file that changed shortly before.
    pub fn external(&mut self, path: &Path, stat: &StatIndex) {
        match stat.believed(path) {
            Some(stamp) => self.add('>', path, &told(&stamp)),
            None => self.doubtful = true,
        }
    }

    /// Nothing will be proved.
    pub fn doubt(&mut self) {
        self.doubtful = true;
    }

    fn add(&mut self, how: char, path: &Path, stamp: &[u8]) {
        match path.to_str().filter(|path| !path.contains('\n')) {
            Some(path) => {
                self.lines.push(how);
                self.lines.push_str(path);
                self.lines.push('\n');
                self.stamps.update(stamp);
            }
            None => self.doubtful = true,
        }
    }
}

impl Cache {
    /// The note of the proof `name`, if every file in it is as it was.
    pub fn proof(&self, name: &Digest) -> Option<String> {
        let path = self.proof_path(name);
        let age = fs::metadata(&path).ok()?.modified().ok()?.elapsed().ok()?;
        // The uses of the records must be noted from time to time.
        if age > USED_EVERY {
            return None;
        }
        let text = fs::read_to_string(&path).ok()?;
        let (check, body) = text.strip_prefix(HEADER)?.split_once('\n')?;
        if check != Digest::of(body.as_bytes()).to_string() {
            return None;
        }
        let (head, body) = body.split_once('\n')?;
        let (stamps, length) = head.split_once(' ')?;
        let (note, lines) = body.split_at_checked(length.parse().ok()?)?;
        let mut now = Hashing::default();
        for line in lines.split_terminator('\n') {
            let found = match line.split_at_checked(1)? {
                ("=", place) => fs::symlink_metadata(self.root().join(place)),
                (">", place) => fs::metadata(place),
                _ => return None,
            };
            now.update(&stamp(&found.ok()?));
        }
        (now.finish().0.to_string() == stamps).then(|| note.to_owned())
    }

    /// Leaves a proof, unless it cannot hold.
    ///
    /// # Errors
    /// When the cache cannot be written.
    pub fn leave_proof(&self, name: &Digest, grounds: Grounds, note: &str) -> Result<()> {
        let target = self.proof_path(name);
        if grounds.doubtful {
            return match fs::remove_file(&target) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    Err(fault("remove", &target, 0, error))
                }
                _ => Ok(()),
            };
        }
        let (stamps, _) = grounds.stamps.finish();
        let body = format!("{stamps} {}\n{note}{}", note.len(), grounds.lines);
        let text = format!("{HEADER}{}\n{body}", Digest::of(body.as_bytes()));
        let folder = self.root().join("proofs");
        ensure_dir(&folder)?;
        let beside = self.own_folder()?.path().join("proof");
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

fn stamp(found: &Metadata) -> [u8; 32] {
    told(&Stamp::of(found))
}

/// Inode numbers and times of change tell a file that was put back from one
/// that was never touched. Not the device: its number may change with a boot.
fn told(stamp: &Stamp) -> [u8; 32] {
    let mut told = [0; 32];
    let parts = [
        stamp.inode.to_le_bytes(),
        stamp.size.to_le_bytes(),
        stamp.modified_ns.to_le_bytes(),
        stamp.changed_ns.to_le_bytes(),
    ];
    for (place, part) in told.chunks_exact_mut(8).zip(parts) {
        place.copy_from_slice(&part);
    }
    told
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
    use crate::cache::{holding, record::tests::cache};

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
            grounds.file(cache.root(), &outside);
            grounds.file(cache.root(), &inside);
            cache
                .leave_proof(&name(), grounds, "note\nof two lines")
                .unwrap();
            let found = cache.proof(&name());
            assert_eq!(found.as_deref(), Some("note\nof two lines"));
            assert_eq!(cache.proof(&Digest::of(b"other")), None);
            disturb();
            assert_eq!(cache.proof(&name()), None);
        }
    }

    #[test]
    fn an_external_is_proved_as_it_was_hashed() {
        let (place, cache) = cache();
        let path = place.path().join("data");
        fs::write(&path, "one").unwrap();
        let old = holding::now() - Duration::from_mins(1);
        let mut stat = StatIndex::in_memory();
        let proves = |stat: &StatIndex| {
            let mut grounds = Grounds::default();
            grounds.external(&path, stat);
            cache.leave_proof(&name(), grounds, "").unwrap();
            cache.proof(&name()).is_some()
        };
        assert!(!proves(&stat), "it was never hashed");
        stat.content_of(&path).unwrap();
        assert!(!proves(&stat), "it is too young to be believed");
        stat.age();
        assert!(proves(&stat));
        // Changed after the hash, before the proof.
        fs::write(&path, "two").unwrap();
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_modified(old)
            .unwrap();
        assert!(!proves(&stat));
    }

    #[test]
    fn what_is_in_doubt_or_gone_proves_nothing_and_ends_the_last_proof() {
        let (place, cache) = cache();
        let missing = || {
            let mut grounds = Grounds::default();
            grounds.file(cache.root(), &place.path().join("nothing"));
            grounds
        };
        let strange = || {
            let path = place.path().join("two\nlines");
            fs::write(&path, "").unwrap();
            let mut grounds = Grounds::default();
            grounds.file(cache.root(), &path);
            grounds
        };
        for grounds in [missing(), strange()] {
            let good = Grounds::default();
            cache.leave_proof(&name(), good, "note").unwrap();
            assert!(cache.proof(&name()).is_some());
            cache.leave_proof(&name(), grounds, "note").unwrap();
            assert_eq!(cache.proof(&name()), None);
        }
    }

    #[test]
    fn an_old_proof_makes_way_for_a_look_at_the_records() {
        let (_place, cache) = cache();
        cache
            .leave_proof(&name(), Grounds::default(), "note")
            .unwrap();
        let set = |time: SystemTime| {
            let path = cache.proof_path(&name());
            let file = File::options().write(true).open(path).unwrap();
            file.set_modified(time).unwrap();
        };
        for (time, holds) in [
            (holding::now() - USED_EVERY / 2, true),
            (holding::now() - USED_EVERY * 2, false),
            (holding::now() + USED_EVERY, false),
        ] {
            set(time);
            assert_eq!(cache.proof(&name()).is_some(), holds);
        }
    }

    #[test]
    fn a_torn_proof_is_none_and_the_oldest_go() {
        let (_place, cache) = cache();
        let path = cache.proof_path(&name());
        let leave = |name: &Digest| {
            cache.leave_proof(name, Grounds::default(), "note").unwrap();
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
