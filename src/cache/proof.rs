//! Proofs of what moved since a run finished: the files that it rested on and
//! what `stat` said of them, and a note to hand back while the files of the
//! cache and the copies still say the same. Of the files outside it is told
//! which ones moved.
//!
//! Derived and never the truth: a proof that is lost, torn, stale or garbage
//! costs the next run a longer look, nothing else. One file a name, and one of
//! lines beside it (see `proof_lines`), which the proof knows by its stamp; the
//! name must say everything that is not a file (arguments, program, folder, text).
use std::{
    borrow::Cow,
    fs::{self, File},
    io::{self, BufWriter, Read, Write},
    ops::Range,
    path::{Path, PathBuf},
    time::SystemTime,
};

use anyhow::Result;

use crate::{
    cache::{
        grounds::{Grounds, TOLD, Told, told},
        near::Near,
        proof_file::{CHECKED, Head, LENGTH, Pieces, encode},
        proof_lines::{Lines, is_lines, lines_of, stamped},
        publish::ensure_dir,
        store::Cache,
        used::USED_EVERY,
    },
    digest::{Checksum, Digest},
    disk::{fault, supersede},
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
    /// What was said of each then.
    told_outside: Vec<Told>,
    moved: Vec<usize>,
    /// Open behind the body: the details follow.
    rest: File,
    /// Where the lines should be.
    lines: PathBuf,
    /// When the records were last looked at.
    since: SystemTime,
}

/// What was left for whoever does a part again, but the lines.
pub struct Left {
    text: String,
    /// Where the stamp of the lines ends.
    stamp: usize,
}

impl Left {
    pub fn details(&self) -> &str {
        &self.text[self.stamp + 1..]
    }

    /// What tells the file of lines from others.
    pub fn stamp(&self) -> &str {
        &self.text[..self.stamp]
    }
}

/// The texts of a new proof.
pub struct Texts<'a> {
    /// What is handed back while nothing moved.
    pub note: &'a Pieces<'a>,
    /// For whoever does a part again.
    pub details: &'a Pieces<'a>,
    pub lines: &'a Lines<'a>,
}

struct Outside {
    readers: Range<usize>,
    path: Range<usize>,
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

    /// What was left for whoever does a part again, with the lines; none where it is
    /// not whole, or the lines are others.
    pub fn left(&self) -> Option<(Left, File)> {
        let mut bytes = Vec::with_capacity(self.head.details);
        (&self.rest).read_to_end(&mut bytes).ok()?;
        let whole = Checksum::of(&bytes) == self.head.details_check;
        let text = String::from_utf8(bytes).ok().filter(|_| whole)?;
        let stamp = text.find('\n')?;
        let left = Left { text, stamp };
        let lines = stamped(&self.lines, left.stamp())?;
        Some((left, lines))
    }

    /// The lines of files at `places`.
    pub(super) fn lines(&self, places: &Range<usize>) -> &str {
        match self.files[places.clone()] {
            [] => "",
            [ref first, ..] => &self.text[first.start..=self.files[places.end - 1].end],
        }
    }

    pub(super) fn told(&self, places: Range<usize>) -> &[Told] {
        &self.told[places]
    }

    /// The lines of files outside at `places`.
    pub(super) fn lines_outside(&self, places: &Range<usize>) -> &str {
        match self.outside[places.clone()] {
            [] => "",
            [ref first, ..] => {
                &self.text[first.readers.start..=self.outside[places.end - 1].path.end]
            }
        }
    }

    pub(super) fn told_outside(&self, places: Range<usize>) -> &[Told] {
        &self.told_outside[places]
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
        let mut text = Vec::with_capacity(LENGTH + head.body());
        text.extend(line);
        (&file)
            .take(head.body() as u64)
            .read_to_end(&mut text)
            .ok()?;
        if text.len() < LENGTH + head.body() {
            return None;
        }
        if Checksum::of(&text[CHECKED..]) != head.check {
            return None;
        }
        let [note, files, outside] = head.texts();
        let (told_outside, _) = text[outside.end..].as_chunks::<TOLD>();
        let told_outside = told_outside.to_vec();
        text.truncate(outside.end);
        let text = String::from_utf8(text).ok()?;
        let outside = lines(&text, outside).into_iter().map(|line| {
            let tab = line.start + text[line.clone()].find('\t')?;
            Some(Outside {
                readers: line.start..tab,
                path: tab + 1..line.end,
            })
        });
        let outside: Vec<Outside> = outside.collect::<Option<_>>()?;
        if outside.len() != told_outside.len() {
            return None;
        }
        Some(Proof {
            outside,
            told_outside,
            files: lines(&text, files),
            told: Vec::new(),
            moved: Vec::new(),
            rest: file,
            lines: lines_of(path),
            note,
            since,
            text,
            head,
        })
    }

    /// Looks at everything; false where a file of the cache or a copy moved, or
    /// a file outside is gone.
    fn look(&mut self, root: &Path) -> bool {
        let mut near = Near::to(root);
        for file in &self.files {
            match near.lstat(&self.text[file.clone()]) {
                Some(found) => self.told.push(told(&found)),
                None => return false,
            }
        }
        if Checksum::of(self.told.as_flattened()) != self.head.stamps {
            return false;
        }
        for (i, (outside, before)) in self.outside.iter().zip(&self.told_outside).enumerate() {
            match near.stat(&self.text[outside.path.clone()]) {
                Some(found) if told(&found) == *before => {}
                Some(_) => self.moved.push(i),
                None => return false,
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

    /// Leaves a proof in the place of one of that name; none where it cannot hold or
    /// cannot be left. After a part of `earlier` the uses of the other records are
    /// still those that were noted then.
    ///
    /// # Errors
    /// When the cache cannot be written.
    pub fn leave_proof(
        &self,
        name: &Digest,
        grounds: &Grounds<'_>,
        texts: &Texts<'_>,
        earlier: Option<&Proof>,
    ) -> Result<()> {
        let target = self.proof_path(name);
        let left = if grounds.doubtful {
            Ok(())
        } else {
            self.write_proof(&target, grounds, texts, earlier)
        };
        if grounds.doubtful || left.is_err() {
            forget(&target)?;
        } else {
            forget_oldest(&self.root().join("proofs"));
        }
        left
    }

    fn write_proof(
        &self,
        target: &Path,
        grounds: &Grounds<'_>,
        texts: &Texts<'_>,
        earlier: Option<&Proof>,
    ) -> Result<()> {
        ensure_dir(&self.root().join("proofs"))?;
        let stamp = texts.lines.put(self, &lines_of(target))? + "\n";
        let details = texts.details.iter().map(|piece| Cow::Borrowed(&**piece));
        let details: Vec<Cow<'_, str>> = [stamp.into()].into_iter().chain(details).collect();
        let (head, pieces) = encode(grounds, texts.note, &details);
        let size: usize = pieces.iter().map(|piece| piece.len()).sum();
        let beside = self.own_folder()?.path().join("proof");
        // Not synced: its own checksums tell whether it is whole.
        let write = || {
            let mut file = BufWriter::new(File::create(&beside)?);
            file.write_all(&head)?;
            for piece in &pieces {
                file.write_all(piece)?;
            }
            let file = file.into_inner()?;
            if let Some(earlier) = earlier {
                file.set_modified(earlier.since)?;
            }
            supersede(&beside, target)
        };
        write().map_err(|error| fault("write", target, size as u64, error))
    }

    fn proof_path(&self, name: &Digest) -> PathBuf {
        self.root().join("proofs").join(name.to_string())
    }
}

fn forget_oldest(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    let files = entries.filter_map(Result::ok);
    let aged =
        files.filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())));
    let (lines, mut proofs): (Vec<(SystemTime, PathBuf)>, Vec<_>) =
        aged.partition(|(_, path)| is_lines(path));
    proofs.sort();
    for (_, path) in proofs.iter().rev().skip(KEPT) {
        // Another process may have been first.
        let _ = forget(path);
    }
    // Of a run that was killed before it left a proof.
    let old = |time: &SystemTime| time.elapsed().is_ok_and(|age| age > USED_EVERY);
    for (_, path) in lines.iter().filter(|(time, _)| old(time)) {
        if !path.with_extension("").exists() {
            let _ = fs::remove_file(path);
        }
    }
}

fn forget(proof: &Path) -> Result<()> {
    for path in [proof, &lines_of(proof)] {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(fault("remove", path, 0, error));
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
