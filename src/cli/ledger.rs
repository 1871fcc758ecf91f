//! What is remembered of the copies that lie in a folder of results: which is of
//! what, and how its file looked then. A list that is lost or garbage costs the
//! copies being made again, and those of what the pipeline no longer has stay.
//!
//! A line for each copy, sorted by name, so that one is found without reading the
//! others; then lines that were added, which count instead of earlier ones of
//! their name.
use std::{
    borrow::Cow,
    cmp::Reverse,
    collections::BTreeMap,
    fmt::Write as _,
    fs::{self, File, Metadata},
    io::Write as _,
    ops::Range,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use anyhow::Result;
use memchr::memchr_iter;

use crate::{
    digest::Digest,
    disk::{ends_whole, fault},
};

const NAME: &str = ".published";
/// Bytes that may be added to any list.
const MOST: u64 = 1 << 20;
/// How often lines are added to a list that others write anew.
const ROUNDS: usize = 3;
/// About the bytes of a line, without the name.
const LINE: usize = 128;

/// The copies by their paths below the folder.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    text: String,
    lines: Vec<Range<usize>>,
    /// The file is another text: not sorted, or with lines that count no more.
    differs: bool,
}

/// A copy as it was when it was made: digest of what it is of, size, time of
/// change. Only ever compared, so it stays text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Told<'a>(Cow<'a, str>);

impl Told<'_> {
    pub(super) fn of(digest: &Digest, found: &Metadata) -> Told<'static> {
        let (size, time, ns) = (found.len(), found.mtime(), found.mtime_nsec());
        Told(format!("{digest}\t{size}\t{time}.{ns:09}").into())
    }

    pub(super) fn is_of(&self, digest: &Digest) -> bool {
        self.digest() == Some(*digest)
    }

    /// Whether the file there is still the one that was made.
    pub(super) fn stands(&self, path: &Path) -> bool {
        let found = fs::symlink_metadata(path).ok();
        let now = found.filter(Metadata::is_file);
        let now = now.and_then(|found| Some(Told::of(&self.digest()?, &found)));
        now.as_ref() == Some(self)
    }

    fn digest(&self) -> Option<Digest> {
        self.0.split('\t').next()?.parse().ok()
    }
}

impl Ledger {
    /// Where the list of a folder lies.
    pub(super) fn of(folder: &Path) -> PathBuf {
        folder.join(NAME)
    }

    pub(super) fn read(path: &Path) -> Ledger {
        let bytes = fs::read(path).unwrap_or_default();
        let ledger = Ledger::of_text(String::from_utf8_lossy(&bytes).into_owned());
        let names = ledger.lines.iter().map(|line| ledger.halves(line).1);
        let is_name = |name: &str| name.starts_with('"') && name.ends_with('"');
        let whole = ledger.text.is_empty() || ledger.text.ends_with('\n');
        if whole && names.clone().all(is_name) && names.is_sorted_by(|a, b| a < b) {
            return ledger;
        }
        let mut sound: Vec<(&str, Reverse<usize>, &str)> = (ledger.lines.iter())
            .filter(|line| is_name(ledger.halves(line).1))
            .map(|line| {
                let (name, text) = (ledger.halves(line).1, &ledger.text[line.clone()]);
                (name, Reverse(line.start), text)
            })
            .collect();
        sound.sort_unstable();
        sound.dedup_by_key(|(name, ..)| *name);
        let lines: Vec<&str> = sound.iter().flat_map(|(.., line)| [line, "\n"]).collect();
        Ledger {
            differs: true,
            ..Ledger::of_text(lines.concat())
        }
    }

    fn of_text(text: String) -> Ledger {
        let mut start = 0;
        let lines = memchr_iter(b'\n', text.as_bytes()).map(|end| {
            let line = start..end;
            start = end + 1;
            line
        });
        Ledger {
            lines: lines.collect(),
            text,
            differs: false,
        }
    }

    /// Whether the file should be written anew.
    pub(super) fn differs(&self) -> bool {
        self.differs
    }

    /// Whether so many lines were added to the list of `copies`, paths, that it
    /// should be written anew.
    pub(super) fn has_grown<'p>(folder: &Path, copies: impl Iterator<Item = &'p str>) -> bool {
        let lines: usize = copies.map(|copy| copy.len() + LINE).sum();
        let found = fs::metadata(Ledger::of(folder));
        found.is_ok_and(|found| found.len() > MOST + 2 * lines as u64)
    }

    pub(super) fn len(&self) -> usize {
        self.lines.len()
    }

    /// The place of a copy in the list.
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        let spelled = spelled(name);
        let found = (self.lines).binary_search_by(|line| self.halves(line).1.cmp(&spelled));
        found.ok()
    }

    pub(super) fn told(&self, place: usize) -> Told<'_> {
        Told(self.halves(&self.lines[place]).0.into())
    }

    /// The name of a copy; none for garbage.
    pub(super) fn name(&self, place: usize) -> Option<String> {
        serde_json::from_str(self.halves(&self.lines[place]).1).ok()
    }

    /// A list of those that are kept, by place, and of `others`, by name.
    pub(super) fn with(&self, kept: &[bool], others: &BTreeMap<String, Told<'_>>) -> Ledger {
        let others = others.iter().map(|(name, told)| (spelled(name), told));
        let mut others: Vec<(String, &Told<'_>)> = others.collect();
        others.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        let mut text = String::with_capacity(self.text.len() + 256 * others.len());
        let mut others = others.into_iter().peekable();
        // Lines that stand are taken over together.
        let mut next = 0;
        for (line, kept) in self.lines.iter().zip(kept) {
            let name = self.halves(line).1;
            let is_before = |(other, _): &(String, &Told<'_>)| other.as_str() < name;
            if !kept || others.peek().is_some_and(is_before) {
                text.push_str(&self.text[next..line.start]);
                next = line.start;
            }
            while let Some((name, told)) = others.next_if(is_before) {
                writeln!(text, "{}\t{name}", told.0).expect("a string takes all");
            }
            if !kept {
                next = line.end + 1;
            }
        }
        let end = self.lines.last().map_or(0, |line| line.end + 1);
        text.push_str(&self.text[next..end]);
        for (name, told) in others {
            writeln!(text, "{}\t{name}", told.0).expect("a string takes all");
        }
        Ledger::of_text(text)
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Adds these to a list that lies there.
    pub(super) fn add_to(&self, path: &Path) -> Result<()> {
        let add = || {
            let mut file = File::options()
                .read(true)
                .append(true)
                .create(true)
                .open(path)?;
            // After a torn tail ours must still begin a line.
            let lead = if ends_whole(&mut file)? { "" } else { "\n" };
            file.write_all(format!("{lead}{}", self.text).as_bytes())?;
            Ok(file.metadata()?.ino() == fs::metadata(path)?.ino())
        };
        let fault = |error| fault("write", path, self.text.len() as u64, error);
        // Who writes the list anew meanwhile has not seen them.
        for _ in 0..ROUNDS {
            if add().map_err(fault)? {
                break;
            }
        }
        Ok(())
    }

    /// What is told of a copy, and its name as JSON has it.
    fn halves(&self, line: &Range<usize>) -> (&str, &str) {
        let line = &self.text[line.clone()];
        // The third tab: a name as JSON has it holds none.
        let tab = memchr_iter(b'\t', line.as_bytes()).nth(2);
        tab.map_or((line, ""), |tab| (&line[..tab], &line[tab + 1..]))
    }
}

/// A name as JSON has it: without tabs and line feeds.
fn spelled(name: &str) -> String {
    serde_json::Value::from(name).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file and what is told of it.
    fn file() -> (tempfile::TempDir, PathBuf, Told<'static>) {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("file");
        fs::write(&file, "x").unwrap();
        let told = Told::of(&Digest::of(b"x"), &fs::metadata(&file).unwrap());
        (place, file, told)
    }

    fn names(ledger: &Ledger) -> Vec<String> {
        let places = 0..ledger.len();
        places.map(|place| ledger.name(place).unwrap()).collect()
    }

    fn filled(names: &[&str], told: &Told<'_>) -> Ledger {
        let copies = names.iter().map(|name| ((*name).to_owned(), told.clone()));
        Ledger::default().with(&[], &copies.collect())
    }

    #[test]
    fn a_list_returns_as_it_was_and_garbage_is_left_out() {
        let (place, file, told) = file();
        let odd = ["a/b=1/t.parquet", "odd\n\"\t\"name", "\u{e9}"];
        let ledger = filled(&odd, &told);
        let path = Ledger::of(place.path());
        for text in [
            ledger.text().to_owned(),
            format!(
                "garbage\n{}{{\"old\": 1}}\n{}torn",
                ledger.text(),
                ledger.text()
            ),
        ] {
            fs::write(&path, text).unwrap();
            let read = Ledger::read(&path);
            assert_eq!(names(&read), odd);
            for name in odd {
                let found = read.find(name).unwrap();
                assert_eq!(read.told(found), told);
            }
            assert_eq!(read.find("b"), None);
        }
        assert_eq!(Ledger::read(&file).len(), 0);
    }

    #[test]
    fn some_are_replaced_and_all_others_stand() {
        let (_place, _file, told) = file();
        let other = Told(Cow::Borrowed("other\t1\t2"));
        let ledger = filled(&["b", "d", "f", "h"], &told);
        let copy = |name: &str| (name.to_owned(), other.clone());
        for (left_out, added, expected) in [
            ("", "", "b d f h"),
            ("", "ace", "a b c d e f h"),
            ("d", "d", "b d f h"),
            ("bh", "", "d f"),
            ("bdfh", "xg", "g x"),
            ("h", "hi", "b d f h i"),
        ] {
            let places = 0..ledger.len();
            let kept = places.map(|place| !left_out.contains(&ledger.name(place).unwrap()));
            let kept: Vec<bool> = kept.collect();
            let added: BTreeMap<String, Told<'_>> = added
                .split("")
                .filter(|name| !name.is_empty())
                .map(copy)
                .collect();
            let now = ledger.with(&kept, &added);
            assert_eq!(names(&now).join(" "), expected);
            for name in names(&now) {
                let found = now.told(now.find(&name).unwrap());
                let expected = if added.contains_key(&name) {
                    &other
                } else {
                    &told
                };
                assert_eq!(&found, expected, "{name}");
            }
        }
    }

    #[test]
    fn what_was_added_counts_instead() {
        let (place, _file, told) = file();
        let path = Ledger::of(place.path());
        fs::write(&path, filled(&["a", "c", "e"], &told).text()).unwrap();
        for (name, text) in [("c", "one\t1\t2"), ("b", "two\t1\t2"), ("c", "three\t1\t2")] {
            let copy = (name.to_owned(), Told(Cow::Borrowed(text)));
            let added = Ledger::default().with(&[], &BTreeMap::from([copy]));
            added.add_to(&path).unwrap();
        }
        let read = Ledger::read(&path);
        assert!(read.differs());
        assert_eq!(names(&read), ["a", "b", "c", "e"]);
        let text = |name| read.told(read.find(name).unwrap()).0.into_owned();
        assert_eq!([text("b"), text("c")], ["two\t1\t2", "three\t1\t2"]);
        fs::write(&path, read.text()).unwrap();
        assert!(!Ledger::read(&path).differs());
        // Behind a torn tail, within a letter even.
        let torn = [read.text().as_bytes(), b"a\tb\tc\t\"\xc3"].concat();
        fs::write(&path, torn).unwrap();
        assert!(Ledger::read(&path).differs());
        filled(&["f"], &told).add_to(&path).unwrap();
        assert_eq!(names(&Ledger::read(&path)), ["a", "b", "c", "e", "f"]);
        let grown = |copies: &[&str]| Ledger::has_grown(place.path(), copies.iter().copied());
        assert!(!grown(&[]));
        fs::write(&path, " ".repeat(MOST as usize + 2 * (3 + LINE) + 1)).unwrap();
        assert!(grown(&["abc"]) && !grown(&["abcd"]));
    }

    #[test]
    fn a_copy_stands_until_it_is_touched() {
        let (_place, file, told) = file();
        assert!(told.is_of(&Digest::of(b"x")) && !told.is_of(&Digest::of(b"y")));
        assert!(told.stands(&file));
        fs::write(&file, "xy").unwrap();
        assert!(!told.stands(&file));
        fs::remove_file(&file).unwrap();
        assert!(!told.stands(&file));
        assert!(!Told(Cow::Borrowed("")).stands(&file));
    }
}
