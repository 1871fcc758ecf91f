//! What is remembered of the copies that lie in a folder of results: which is of
//! what, and how its file looked then. A list that is lost or garbage costs the
//! copies being made again.
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs::{self, Metadata},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use anyhow::Result;

use crate::digest::Digest;

const NAME: &str = ".published";

/// Path below the folder to the copy that lies there.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) copies: BTreeMap<String, Told>,
}

/// A copy as it was when it was made: digest of what it is of, size, time of
/// change. Only ever compared, so it stays text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Told(String);

impl Told {
    pub(super) fn of(digest: &Digest, found: &Metadata) -> Told {
        let (size, time, ns) = (found.len(), found.mtime(), found.mtime_nsec());
        Told(format!("{digest}\t{size}\t{time}.{ns:09}"))
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
        let text = fs::read_to_string(path).unwrap_or_default();
        let copy = |line: &str| {
            let name = line.find("\t\"")?;
            let told = Told(line[..name].to_owned());
            Some((serde_json::from_str(&line[name + 1..]).ok()?, told))
        };
        Ledger {
            copies: text.lines().filter_map(copy).collect(),
        }
    }

    /// A line for each copy, by name.
    pub(super) fn text(&self) -> Result<String> {
        let mut text = String::new();
        for (name, Told(told)) in &self.copies {
            let name = serde_json::to_string(name)?;
            writeln!(text, "{told}\t{name}")?;
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_returns_as_it_was_and_garbage_is_left_out() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("file");
        fs::write(&file, "x").unwrap();
        let digest = Digest::of(b"x");
        let told = Told::of(&digest, &fs::metadata(&file).unwrap());
        let names = ["a/b=1/t.parquet", "odd\n\"\t\"name", "\u{e9}"];
        let copies = names.map(|name| (name.to_owned(), told.clone()));
        let ledger = Ledger {
            copies: BTreeMap::from(copies),
        };
        let path = Ledger::of(place.path());
        let text = ledger.text().unwrap();
        fs::write(&path, format!("garbage\n{text}{{\"old\": 1}}\n")).unwrap();
        assert_eq!(Ledger::read(&path).copies, ledger.copies);
        assert!(Ledger::read(&file).copies.is_empty());
    }

    #[test]
    fn a_copy_stands_until_it_is_touched() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("file");
        fs::write(&file, "x").unwrap();
        let digest = Digest::of(b"x");
        let told = Told::of(&digest, &fs::metadata(&file).unwrap());
        assert!(told.is_of(&digest) && !told.is_of(&Digest::of(b"y")));
        assert!(told.stands(&file));
        fs::write(&file, "xy").unwrap();
        assert!(!told.stands(&file));
        fs::remove_file(&file).unwrap();
        assert!(!told.stands(&file));
        assert!(!Told(String::new()).stands(&file));
    }
}
