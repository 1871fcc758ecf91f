//! The file form of the remembered digests: a header with the checksum of the
//! rest, then one line a file. Damage anywhere empties it.
use std::{
    cmp::Ordering,
    collections::HashMap,
    io::{self, Write},
    path::PathBuf,
};

use memchr::{memchr, memchr_iter, memrchr};

use crate::{cache::stat_entry::Entry, digest::Checksum};

const HEADER: &str = "vgh stat 2 ";

/// What stands in a file that is whole: a line is read when it is asked for.
#[derive(Debug, Default)]
pub(super) struct Stored {
    /// Lines, sorted by path.
    body: String,
}

impl Stored {
    pub(super) fn decode(bytes: Vec<u8>) -> Option<Stored> {
        let mut text = String::from_utf8(bytes).ok()?;
        let (check, body) = text.strip_prefix(HEADER)?.split_once('\n')?;
        if check.parse() != Ok(Checksum::of(body.as_bytes())) {
            return None;
        }
        let head = text.len() - body.len();
        text.drain(..head);
        Some(Stored { body: text })
    }

    pub(super) fn write(&self, mut out: impl Write) -> io::Result<()> {
        let check = Checksum::of(self.body.as_bytes());
        writeln!(out, "{HEADER}{check}")?;
        out.write_all(self.body.as_bytes())
    }

    /// About the bytes of the file.
    pub(super) fn size(&self) -> u64 {
        (HEADER.len() + self.body.len()) as u64
    }

    pub(super) fn get(&self, path: &str) -> Option<Entry> {
        let bytes = self.body.as_bytes();
        let (mut low, mut high) = (0, bytes.len());
        while low < high {
            let middle = usize::midpoint(low, high);
            let before = memrchr(b'\n', &bytes[low..middle]);
            let start = before.map_or(low, |at| low + at + 1);
            let behind = memchr(b'\n', &bytes[middle..])?;
            let line = &self.body[start..middle + behind];
            match path_of(line)?.cmp(path) {
                Ordering::Less => low = middle + behind + 1,
                Ordering::Greater => high = start,
                Ordering::Equal => return read(line),
            }
        }
        None
    }

    /// With these in addition, or in the place of those of the same path; of
    /// the others, beginning with one or another, `look` are kept only if `stands`.
    ///
    /// Paths that are not UTF-8 or hold a line feed are left out: they are
    /// hashed at every run.
    pub(super) fn with(
        &self,
        fresh: &HashMap<PathBuf, Entry>,
        look: usize,
        stands: &dyn Fn(&str) -> bool,
    ) -> Stored {
        let mut fresh: Vec<(&str, &Entry)> = (fresh.iter())
            .filter_map(|(path, entry)| Some((path.to_str()?, entry)))
            .filter(|(path, _)| !path.contains('\n'))
            .collect();
        fresh.sort_unstable_by_key(|(path, _)| *path);
        let count = memchr_iter(b'\n', self.body.as_bytes()).count();
        let turn = fresh
            .iter()
            .map(|(_, entry)| entry.hashed_ns.unsigned_abs());
        let first = turn.max().map_or(0, |turn| turn % count.max(1) as u64) as usize;
        let mut fresh = fresh.into_iter().peekable();
        let mut body = String::with_capacity(self.body.len() + 256 * fresh.len());
        for (i, line) in self.body.split_terminator('\n').enumerate() {
            let Some(path) = path_of(line) else { continue };
            while let Some((path, entry)) = fresh.next_if(|(fresh, _)| *fresh < path) {
                write_line(path, entry, &mut body);
            }
            let replaced = fresh.peek().is_some_and(|(fresh, _)| *fresh == path);
            let looked_at = (i + count - first) % count < look;
            if !replaced && (!looked_at || stands(path)) {
                body.push_str(line);
                body.push('\n');
            }
        }
        for (path, entry) in fresh {
            write_line(path, entry, &mut body);
        }
        Stored { body }
    }
}

fn write_line(path: &str, entry: &Entry, body: &mut String) {
    let Entry {
        digest,
        size,
        modified_ns,
        changed_ns,
        inode,
        hashed_ns,
    } = entry;
    body.push_str(&format!(
        "{digest} {size} {modified_ns} {changed_ns} {inode} {hashed_ns} {path}\n"
    ));
}

fn path_of(line: &str) -> Option<&str> {
    let blank = memchr_iter(b' ', line.as_bytes()).nth(5)?;
    Some(&line[blank + 1..])
}

fn read(line: &str) -> Option<Entry> {
    let mut fields = line.split(' ');
    Some(Entry {
        digest: fields.next()?.parse().ok()?,
        size: fields.next()?.parse().ok()?,
        modified_ns: fields.next()?.parse().ok()?,
        changed_ns: fields.next()?.parse().ok()?,
        inode: fields.next()?.parse().ok()?,
        hashed_ns: fields.next()?.parse().ok()?,
    })
}

#[cfg(test)]
impl Stored {
    /// How many files it knows.
    pub(super) fn len(&self) -> usize {
        self.body.lines().count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;

    fn entry(n: i64) -> Entry {
        Entry {
            digest: Digest::of(&n.to_le_bytes()),
            size: u64::MAX,
            modified_ns: -5,
            changed_ns: 7,
            inode: 9,
            hashed_ns: n,
        }
    }

    fn entries(of: &[(&str, i64)]) -> HashMap<PathBuf, Entry> {
        let entry = |(path, n): &(&str, i64)| (PathBuf::from(path), entry(*n));
        of.iter().map(entry).collect()
    }

    #[test]
    fn paths_with_blanks_return_and_those_with_line_feeds_are_left_out() {
        let paths = ["/a b/\u{fc}  ", "/c\r", "/d", "/new\nline"];
        let all = paths.map(|path| (path, 11));
        let stored = Stored::default().with(&entries(&all), 0, &|_| true);
        let mut bytes = Vec::new();
        stored.write(&mut bytes).unwrap();
        let stored = Stored::decode(bytes).unwrap();
        for path in &paths[..3] {
            assert_eq!(stored.get(path), Some(entry(11)), "{path}");
        }
        assert_eq!((stored.get(paths[3]), stored.len()), (None, 3));
    }

    #[test]
    fn every_file_is_found_whatever_their_number() {
        let mut stored = Stored::default();
        assert_eq!(stored.get("/1"), None);
        for n in 0..60 {
            let path = |n: i64| format!("/{}", n * 7 % 61);
            stored = stored.with(&entries(&[(&path(n), n)]), 0, &|_| false);
            for known in 0..60 {
                let expected = (known <= n).then(|| entry(known));
                assert_eq!(stored.get(&path(known)), expected, "{known} of {n}");
            }
            assert_eq!((stored.get(""), stored.get("/99")), (None, None));
        }
    }

    #[test]
    fn new_ones_replace_and_those_that_are_gone_are_forgotten_in_turn() {
        let before = [("/a", 1), ("/b", 2), ("/c", 3), ("/d", 4)];
        let stored = Stored::default().with(&entries(&before), 0, &|_| true);
        let next = stored.with(&entries(&[("/b", 5), ("/e", 6)]), 4, &|path| path != "/c");
        let left = ["/a", "/b", "/c", "/d", "/e"].map(|path| next.get(path));
        assert_eq!(
            left,
            [Some(1), Some(5), None, Some(4), Some(6)].map(|n| n.map(entry))
        );
        // One at a time, wherever it begins.
        let gone = |n| stored.with(&entries(&[("/b", n)]), 1, &|_| false).len();
        assert_eq!([0, 1, 2, 3, 4].map(gone), [3, 4, 3, 3, 3]);
    }
}
