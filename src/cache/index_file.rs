//! The file of the derived index: appending to it under a lock, parsing it line
//! by line. A torn or altered line is no line.
use std::{
    collections::HashMap,
    fmt::Write as _,
    fs::{self, File, OpenOptions},
    io::{Read, Seek, SeekFrom, Write},
    ops::Range,
    sync::Arc,
};

use anyhow::Result;
use memchr::memchr_iter;

use crate::{
    cache::{
        attempt::open_lock,
        blob::{Content, Form},
        index::{IndexEntry, Outputs},
        record::Record,
        store::Cache,
    },
    digest::{AsItIs, Digest, Key},
    disk::fault,
};

pub(super) const HEADER: &str = "vgh index 1\n";
/// About the shortest line, in bytes.
const LINE: usize = 256;
/// Hexadecimal digits of a line's check.
const CHECK: usize = 16;
/// Where key, shape and family stand on a line: after the sign, with a tab before each.
const KEY: Range<usize> = 2..2 + Digest::DIGITS;
pub(super) const SHAPE: Range<usize> = KEY.end + 1..KEY.end + 1 + Digest::DIGITS;
pub(super) const FAMILY: Range<usize> = SHAPE.end + 1..SHAPE.end + 1 + Digest::DIGITS;

impl IndexEntry {
    pub(super) fn line(&self) -> String {
        let (size, time) = self.file;
        let mut line = format!(
            "+\t{}\t{}\t{}\t{}\t{size}\t{time}\t{}",
            self.key, self.shape, self.family, self.duration_ms, self.kind
        );
        for (name, content) in &*self.outputs {
            let form = match content.form {
                Form::File => "file",
                Form::Tree => "tree",
            };
            write!(
                line,
                "\t{name}\t{}\t{}\t{form}",
                content.digest, content.size
            )
            .expect("writing to a string does not fail");
        }
        closed(&line)
    }

    pub(super) fn parse<'a>(mut fields: impl Iterator<Item = &'a str>) -> Option<IndexEntry> {
        let mut entry = IndexEntry {
            key: Key(fields.next()?.parse().ok()?),
            shape: fields.next()?.parse().ok()?,
            family: fields.next()?.parse().ok()?,
            duration_ms: fields.next()?.parse().ok()?,
            file: (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?),
            kind: fields.next()?.to_owned(),
            outputs: Arc::default(),
            used_s: 0,
        };
        let mut outputs = Outputs::new();
        while let Some(name) = fields.next() {
            let digest = fields.next()?.parse().ok()?;
            let size = fields.next()?.parse().ok()?;
            let form = match fields.next()? {
                "file" => Form::File,
                "tree" => Form::Tree,
                _ => return None,
            };
            outputs.insert(name.to_owned(), Content { digest, size, form });
        }
        entry.outputs = Arc::new(outputs);
        Some(entry)
    }
}

/// What stands in the file. A line is believed, and read, when it is asked for.
#[derive(Debug)]
pub(super) struct Stored {
    bytes: Vec<u8>,
    /// In the order of the file; empty where a later line is about the same key.
    places: Vec<Range<usize>>,
    /// The last line about each key that is not retired.
    last: HashMap<Key, usize, AsItIs>,
    /// Whether the header is ours and all lines but a torn last one look like
    /// lines of an index.
    pub(super) sound: bool,
}

impl Stored {
    pub(super) fn read(cache: &Cache) -> Stored {
        let mut stored = Stored {
            bytes: fs::read(cache.root().join("index")).unwrap_or_default(),
            places: Vec::new(),
            last: HashMap::default(),
            sound: true,
        };
        stored.places.reserve(stored.bytes.len() / LINE);
        stored.last.reserve(stored.bytes.len() / LINE);
        let Some(body) = stored.bytes.strip_prefix(HEADER.as_bytes()) else {
            stored.sound = false;
            return stored;
        };
        let ends = memchr_iter(b'\n', body).map(|end| HEADER.len() + end + 1);
        let torn = (!body.is_empty() && !body.ends_with(b"\n")).then_some(stored.bytes.len());
        let mut start = HEADER.len();
        for end in ends.chain(torn) {
            let line = &stored.bytes[start..end];
            let (place, before) = match about(line) {
                Some((b'+', key)) => (start..end, stored.last.insert(key, stored.places.len())),
                Some((_, key)) => (end..end, stored.last.remove(&key)),
                None => {
                    stored.sound &= !line.ends_with(b"\n");
                    (end..end, None)
                }
            };
            if let Some(before) = before {
                stored.places[before].end = stored.places[before].start;
            }
            stored.places.push(place);
            start = end;
        }
        stored
    }

    /// How many lines it has, those that no longer count with them.
    pub(super) fn lines(&self) -> usize {
        self.places.len()
    }

    pub(super) fn len(&self) -> usize {
        self.last.len()
    }

    /// What the file says of a key, if that line is whole.
    pub(super) fn entry(&self, key: &Key) -> Option<IndexEntry> {
        checked(&self.bytes[self.places[*self.last.get(key)?].clone()])
    }

    /// The lines that count, unread and unchecked, the last one first.
    pub(super) fn latest(&self) -> impl Iterator<Item = &[u8]> {
        let places = self.places.iter().rev().filter(|place| !place.is_empty());
        places.map(|place| &self.bytes[place.clone()])
    }

    /// The shapes that it names, unchecked, each with a key.
    pub(super) fn shapes(&self) -> impl Iterator<Item = (Digest, Key)> {
        let shape = |line: &[u8]| Some((Digest::read(line.get(SHAPE)?)?, key_of(line)?));
        self.latest().filter_map(shape)
    }

    /// The keys that it names of a shape, unchecked.
    pub(super) fn of_shape(&self, shape: &Digest) -> impl Iterator<Item = Key> {
        let shape = shape.to_string();
        let lines = self.latest();
        let lines = lines.filter(move |line| line.get(SHAPE) == Some(shape.as_bytes()));
        lines.filter_map(key_of)
    }

    /// All that it says, and whether every line that counts is whole.
    pub(super) fn entries(&self) -> (HashMap<Key, IndexEntry>, bool) {
        let read = self.last.keys().filter_map(|key| self.entry(key));
        let entries: HashMap<Key, IndexEntry> = read.map(|entry| (entry.key, entry)).collect();
        let sound = self.sound && entries.len() == self.last.len();
        (entries, sound)
    }
}

/// What a line does (`+` or `-`), and to which key. Not checked.
fn about(line: &[u8]) -> Option<(u8, Key)> {
    match line {
        [sign @ (b'+' | b'-'), b'\t', ..] if line.ends_with(b"\n") => Some((*sign, key_of(line)?)),
        _ => None,
    }
}

fn key_of(line: &[u8]) -> Option<Key> {
    Digest::read(line.get(KEY)?).map(Key)
}

/// The entry on a line whose check holds.
fn checked(line: &[u8]) -> Option<IndexEntry> {
    let line = std::str::from_utf8(line).ok()?.strip_suffix('\n')?;
    let (text, check) = line.rsplit_once('\t')?;
    if check_of(text) != check {
        return None;
    }
    IndexEntry::parse(text.strip_prefix("+\t")?.split('\t'))
}

/// Adds a record just committed. A failure costs a later reading of the record.
pub(super) fn append(cache: &Cache, record: &Record) {
    if let Some(entry) = IndexEntry::of(cache, record) {
        append_text(cache, &entry.line());
    }
}

/// Says that a key's record is retired.
///
/// # Errors
/// The index exists and cannot be written: the record must then stay.
pub(super) fn bury(cache: &Cache, key: &Key) -> Result<()> {
    try_append(cache, &closed(&format!("-\t{key}")))
}

/// The lock under which the index is written and records are superseded.
pub(super) fn lock(cache: &Cache) -> Result<File> {
    let lock = open_lock(&cache.root().join("index.lock"))?;
    // Where locks do not work, appending is still one write to the end of the file.
    let _ = lock.lock();
    Ok(lock)
}

pub(super) fn append_text(cache: &Cache, text: &str) {
    if let Err(error) = try_append(cache, text) {
        cache.notice(format!("the index was not updated: {error:#}"));
    }
}

fn try_append(cache: &Cache, text: &str) -> Result<()> {
    let _lock = lock(cache)?;
    let path = cache.root().join("index");
    let write = || {
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(&path)?;
        let lead = match file.seek(SeekFrom::End(0))? {
            0 => HEADER,
            _ if ends_whole(&mut file)? => "",
            // After a torn tail our line must still begin a line.
            _ => "\n",
        };
        file.write_all(format!("{lead}{text}").as_bytes())
    };
    write().map_err(|error| fault("write", &path, text.len() as u64, error))
}

fn ends_whole(file: &mut File) -> std::io::Result<bool> {
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

fn closed(text: &str) -> String {
    let check = check_of(text);
    format!("{text}\t{check}\n")
}

fn check_of(text: &str) -> String {
    let mut check = Digest::of(text.as_bytes()).to_string();
    check.truncate(CHECK);
    check
}
