//! The file form of the remembered digests: a header with the digest of the
//! rest, then one line a file. Damage anywhere empties it.
use std::{
    collections::HashMap,
    fmt::Write,
    path::{Path, PathBuf},
};

use crate::{cache::stat_entry::Entry, digest::Digest};

const HEADER: &str = "vgh stat 1 ";

/// Paths that are not UTF-8 or hold a line feed are left out: they are hashed
/// at every run.
pub(super) fn encode(entries: &HashMap<PathBuf, Entry>) -> Vec<u8> {
    let mut sorted: Vec<(&str, &Entry)> = entries
        .iter()
        .filter_map(|(path, entry)| Some((path.to_str()?, entry)))
        .filter(|(path, _)| !path.contains('\n'))
        .collect();
    sorted.sort_unstable_by_key(|(path, _)| *path);
    let mut body = String::new();
    for (path, entry) in sorted {
        let Entry {
            digest,
            size,
            modified_ns,
            changed_ns,
            inode,
            hashed_ns,
        } = entry;
        writeln!(
            body,
            "{digest} {size} {modified_ns} {changed_ns} {inode} {hashed_ns} {path}"
        )
        .expect("writing to a string does not fail");
    }
    format!("{HEADER}{}\n{body}", Digest::of(body.as_bytes())).into_bytes()
}

/// The entries of a file that is whole.
pub(super) fn decode(bytes: &[u8]) -> Option<HashMap<PathBuf, Entry>> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (check, body) = text.strip_prefix(HEADER)?.split_once('\n')?;
    if check != Digest::of(body.as_bytes()).to_string() {
        return None;
    }
    body.split_terminator('\n').map(line).collect()
}

fn line(line: &str) -> Option<(PathBuf, Entry)> {
    let mut fields = line.splitn(7, ' ');
    let entry = Entry {
        digest: fields.next()?.parse().ok()?,
        size: fields.next()?.parse().ok()?,
        modified_ns: fields.next()?.parse().ok()?,
        changed_ns: fields.next()?.parse().ok()?,
        inode: fields.next()?.parse().ok()?,
        hashed_ns: fields.next()?.parse().ok()?,
    };
    Some((Path::new(fields.next()?).to_owned(), entry))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_with_blanks_return_and_those_with_line_feeds_are_left_out() {
        let entry = Entry {
            digest: Digest::of(b"x"),
            size: u64::MAX,
            modified_ns: -5,
            changed_ns: 7,
            inode: 9,
            hashed_ns: 11,
        };
        let mut entries: HashMap<PathBuf, Entry> = ["/a b/ü  ", "/c\r", "/d"]
            .into_iter()
            .map(|path| (PathBuf::from(path), entry))
            .collect();
        entries.insert(PathBuf::from("/new\nline"), entry);
        let found = decode(&encode(&entries)).unwrap();
        entries.remove(Path::new("/new\nline"));
        assert_eq!(found, entries);
    }
}
