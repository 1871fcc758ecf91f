//! Proofs of what moved since a run finished: the files that it rested on and
//! what `stat` said of them, and a note to hand back while the files of the
//! cache and the copies still say the same. Of the files outside it is told
//! which ones moved.
//!
//! Derived and never the truth: a proof that is lost, torn, stale or garbage
//! costs the next run a longer look, nothing else. One file a name; the name
//! must say everything that is not a file (arguments, program, folder, text).
use std::{
    fs::{self, File},
    io::Read,
    ops::Range,
    path::{Path, PathBuf},
    time::SystemTime,
};

use anyhow::Result;

use crate::{
    cache::{
        grounds::{Grounds, TOLD, Told, stamp},
        proof_file::{CHECKED, Head, LENGTH, encode},
        publish::ensure_dir,
        store::Cache,
        used::USED_EVERY,
    },
    digest::Digest,
    disk::fault,
};

/// Proofs kept; each way of calling the program has its own.
const KEPT: usize = 64;

/// A proof of which all files of the cache and all copies are as they were.
pub struct Proof {
    head: Head,
    /// The head and the text of the body.
    text: String,
    /// Places in `text`.
    note: Range<usize>,
    files: Vec<Range<usize>>,
    told: Vec<Told>,
    outside: Vec<Outside>,
    moved: Vec<usize>,
    /// Open behind the body: the details follow.
    rest: File,
    /// When the records were last looked at.
    since: SystemTime,
}

struct Outside {
    readers: Range<usize>,
    path: Range<usize>,
    told: Told,
}

impl Proof {
    /// What was left to hand back.
    pub fn note(&self) -> &str {
        self.part(&self.note)
    }

    /// The files outside that moved, by position.
    pub fn moved(&self) -> &[usize] {
        &self.moved
    }

    /// How many files outside it names.
    pub fn outside(&self) -> usize {
        self.outside.len()
    }

    /// Where a file outside lies.
    pub fn place(&self, outside: usize) -> &str {
        self.part(&self.outside[outside].path)
    }

    /// Who reads a file outside.
    pub fn readers(&self, outside: usize) -> &str {
        self.part(&self.outside[outside].readers)
    }

    /// How many files of the cache and copies it names.
    pub fn files(&self) -> usize {
        self.files.len()
    }

    /// One of them, as it was named.
    pub fn file(&self, place: usize) -> &str {
        self.part(&self.files[place])
    }

    /// What was left for whoever does a part again; none where it is not whole.
    pub fn details(&self) -> Option<String> {
        let mut bytes = Vec::with_capacity(self.head.details);
        (&self.rest).read_to_end(&mut bytes).ok()?;
        let whole = Digest::of(&bytes) == self.head.details_check;
        String::from_utf8(bytes).ok().filter(|_| whole)
    }

    pub(super) fn told(&self, place: usize) -> Told {
        self.told[place]
    }

    pub(super) fn told_outside(&self, outside: usize) -> Told {
        self.outside[outside].told
    }

    fn part(&self, place: &Range<usize>) -> &str {
        &self.text[place.clone()]
    }

    fn read(path: &Path) -> Option<Proof> {
        let mut file = File::open(path).ok()?;
        let found = file.metadata().ok()?;
        let since = found.modified().ok()?;
        // The uses of the records must be noted from time to time.
        if since.elapsed().ok()? > USED_EVERY {
            return None;
        }
        let (head, line) = Head::read(&mut file, found.len())?;
        let mut text = line.to_vec();
        text.resize(LENGTH + head.body(), 0);
        file.read_exact(&mut text[LENGTH..]).ok()?;
        if Digest::of(&text[CHECKED..]) != head.check {
            return None;
        }
        let [note, files, outside] = head.texts();
        let stamps = text.split_off(outside.end);
        let text = String::from_utf8(text).ok()?;
        let mut stamps = stamps.chunks_exact(TOLD);
        let outside = lines(&text, outside).into_iter().map(|line| {
            let tab = line.start + text[line.clone()].find('\t')?;
            Some(Outside {
                readers: line.start..tab,
                path: tab + 1..line.end,
                told: stamps.next()?.try_into().ok()?,
            })
        });
        Some(Proof {
            outside: outside.collect::<Option<_>>()?,
            files: lines(&text, files),
            told: Vec::new(),
            moved: Vec::new(),
            rest: file,
            note,
            since,
            text,
            head,
        })
    }

    /// Looks at everything; false where a file of the cache or a copy moved, or
    /// a file outside is gone.
    fn look(&mut self, root: &Path) -> bool {
        let root = root.as_os_str().to_str().unwrap_or_default();
        let mut path = String::with_capacity(256);
        for file in &self.files {
            let file = &self.text[file.clone()];
            path.clear();
            if !file.starts_with('/') {
                path.push_str(root);
                path.push('/');
            }
            path.push_str(file);
            match fs::symlink_metadata(&path) {
                Ok(found) => self.told.push(stamp(&found)),
                Err(_) => return false,
            }
        }
        if Digest::of(self.told.as_flattened()) != self.head.stamps {
            return false;
        }
        for (i, outside) in self.outside.iter().enumerate() {
            match fs::metadata(&self.text[outside.path.clone()]) {
                Ok(found) if stamp(&found) == outside.told => {}
                Ok(_) => self.moved.push(i),
                Err(_) => return false,
            }
        }
        true
    }
}

/// The lines in a part of a text.
fn lines(text: &str, part: Range<usize>) -> Vec<Range<usize>> {
    let mut start = part.start;
    let line = |line: &str| {
        let place = start..start + line.len() - 1;
        start += line.len();
        place
    };
    text[part].split_inclusive('\n').map(line).collect()
}

impl Cache {
    /// The proof `name`, if every file of the cache and every copy in it is as
    /// it was and every file outside is there.
    pub fn proof(&self, name: &Digest) -> Option<Proof> {
        let mut proof = Proof::read(&self.proof_path(name))?;
        proof.look(self.root()).then_some(proof)
    }

    /// Leaves a proof, unless it cannot hold. `details` are for whoever does a
    /// part again. After a part of `earlier` the uses of the other records are
    /// still those that were noted then.
    ///
    /// # Errors
    /// When the cache cannot be written.
    pub fn leave_proof(
        &self,
        name: &Digest,
        grounds: &Grounds,
        (note, details): (&str, &str),
        earlier: Option<&Proof>,
    ) -> Result<()> {
        let target = self.proof_path(name);
        if grounds.doubtful {
            return match fs::remove_file(&target) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    Err(fault("remove", &target, 0, error))
                }
                _ => Ok(()),
            };
        }
        let bytes = encode(grounds, note, details);
        let folder = self.root().join("proofs");
        ensure_dir(&folder)?;
        let beside = self.own_folder()?.path().join("proof");
        // Not synced: its own digests tell whether it is whole.
        let write = || {
            fs::write(&beside, &bytes)?;
            if let Some(earlier) = earlier {
                File::options()
                    .write(true)
                    .open(&beside)?
                    .set_modified(earlier.since)?;
            }
            fs::rename(&beside, &target)
        };
        write().map_err(|error| fault("write", &target, bytes.len() as u64, error))?;
        forget_oldest(&folder);
        Ok(())
    }

    fn proof_path(&self, name: &Digest) -> PathBuf {
        self.root().join("proofs").join(name.to_string())
    }
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
    use crate::cache::{holding, record::tests::cache, stat::StatIndex};

    fn name() -> Digest {
        Digest::of(b"run")
    }

    fn leave(cache: &Cache, grounds: &Grounds, note: &str) {
        let texts = (note, "details");
        cache.leave_proof(&name(), grounds, texts, None).unwrap();
    }

    /// The note of a proof that nothing moved.
    fn note(cache: &Cache) -> Option<String> {
        let proof = cache.proof(&name())?;
        assert_eq!(proof.details().unwrap(), "details");
        let still = proof.moved().is_empty();
        still.then(|| proof.note().to_owned())
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
            leave(&cache, &grounds, "note\nof two lines");
            assert_eq!(note(&cache).as_deref(), Some("note\nof two lines"));
            assert!(cache.proof(&Digest::of(b"other")).is_none());
            disturb();
            assert!(cache.proof(&name()).is_none());
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
            let told = grounds.external(&path, stat, "");
            leave(&cache, &grounds, "");
            assert!(told || note(&cache).is_none());
            note(&cache).is_some()
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
    fn of_the_files_outside_those_that_moved_are_named() {
        let (place, cache) = cache();
        let path = |i: usize| place.path().join(format!("data {i}"));
        let mut stat = StatIndex::in_memory();
        for i in 0..5 {
            fs::write(path(i), "one").unwrap();
            stat.content_of(&path(i)).unwrap();
        }
        stat.age();
        let mut grounds = Grounds::default();
        grounds.file(cache.root(), &cache.root().join("format"));
        for i in 0..5 {
            assert!(grounds.external(&path(i), &stat, &format!("{i},7")));
        }
        leave(&cache, &grounds, "note");
        for i in [1, 4] {
            fs::write(path(i), "other").unwrap();
        }
        let proof = cache.proof(&name()).unwrap();
        assert_eq!((proof.moved(), proof.outside()), ([1, 4].as_slice(), 5));
        assert_eq!(
            (proof.readers(4), Path::new(proof.place(4))),
            ("4,7", path(4).as_path())
        );
        // What it says of the others can go on standing in the next one.
        let mut next = Grounds::default();
        next.files_of(&proof, 0..proof.files());
        for i in 0..5 {
            if proof.moved().contains(&i) {
                stat.content_of(&path(i)).unwrap();
                stat.age();
                next.external(&path(i), &stat, proof.readers(i));
            } else {
                next.external_of(&proof, i);
            }
        }
        let texts = ("next", "details");
        let noted = fs::metadata(cache.proof_path(&name()))
            .unwrap()
            .modified()
            .unwrap();
        cache
            .leave_proof(&name(), &next, texts, Some(&proof))
            .unwrap();
        assert_eq!(note(&cache).as_deref(), Some("next"));
        let now = fs::metadata(cache.proof_path(&name()))
            .unwrap()
            .modified()
            .unwrap();
        assert_eq!(now, noted, "the records were last looked at then");
        fs::remove_file(path(0)).unwrap();
        assert!(cache.proof(&name()).is_none());
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
            leave(&cache, &Grounds::default(), "note");
            assert!(note(&cache).is_some());
            leave(&cache, &grounds, "note");
            assert!(cache.proof(&name()).is_none());
        }
    }

    #[test]
    fn an_old_proof_makes_way_for_a_look_at_the_records() {
        let (_place, cache) = cache();
        leave(&cache, &Grounds::default(), "note");
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
        leave(&cache, &Grounds::default(), "note");
        let whole = fs::read(&path).unwrap();
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            assert!(cache.proof(&name()).is_none(), "{length}");
        }
        let details = whole.len() - "details".len();
        for at in 0..whole.len() {
            let mut bad = whole.clone();
            bad[at] ^= 1;
            fs::write(&path, bad).unwrap();
            match cache.proof(&name()) {
                Some(proof) => assert!(at >= details && proof.details().is_none(), "{at}"),
                None => assert!(at < details, "{at}"),
            }
        }
        fs::remove_file(&path).unwrap();
        for i in 0..KEPT + 5 {
            let name = Digest::of(i.to_string().as_bytes());
            let grounds = Grounds::default();
            cache.leave_proof(&name, &grounds, ("", ""), None).unwrap();
        }
        let left = fs::read_dir(cache.root().join("proofs")).unwrap().count();
        assert_eq!(left, KEPT);
    }
}
