//! The file of the derived index: appending to it under a lock, parsing it line
//! by line. A torn or altered line is no line.
use std::{
    collections::HashMap,
    fmt::Write as _,
    fs::{File, OpenOptions},
    io::Write,
    ops::{ControlFlow, Range},
    sync::{Arc, OnceLock},
};

use anyhow::Result;

use crate::{
    cache::{
        attempt::open_lock,
        blob::{Content, Form},
        index::{IndexEntry, Outputs},
        index_text::{Hold, Text},
        record::Record,
        store::Cache,
    },
    digest::{AsItIs, Digest, Key},
    disk::{ends_whole, fault},
};

/// About the shortest line, in bytes.
const LINE: usize = 256;
pub(super) const HEADER: &str = "vgh index 1\n";
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
    text: Text,
    /// Found when it is asked for.
    places: OnceLock<Places>,
}

/// Where the lines are.
#[derive(Debug)]
struct Places {
    /// How many there are.
    count: usize,
    /// The last line about each key that is not retired.
    last: HashMap<Key, Range<usize>, AsItIs>,
    /// Whether the header is ours and all lines but a torn last one look like
    /// lines of an index.
    sound: bool,
}

impl Stored {
    pub(super) fn read(cache: &Cache, hold: Hold) -> Stored {
        // What cannot be read is told by the records.
        let text = Text::open(&cache.root().join("index"), hold).ok();
        let ours = |text: &Text| text.at(0..HEADER.len()).as_deref() == Some(HEADER.as_bytes());
        Stored {
            text: text.filter(ours).unwrap_or(Text::Held(Vec::new())),
            places: OnceLock::new(),
        }
    }

    fn places(&self) -> &Places {
        self.places.get_or_init(|| Places::of(&self.text))
    }

    /// How many lines it has, those that no longer count with them.
    pub(super) fn count(&self) -> usize {
        self.places().count
    }

    pub(super) fn len(&self) -> usize {
        self.places().last.len()
    }

    pub(super) fn is_sound(&self) -> bool {
        self.places().sound
    }

    /// What the file says of a key, if that line is whole.
    pub(super) fn entry(&self, key: &Key) -> Option<IndexEntry> {
        let place = self.places().last.get(key)?;
        checked(&self.text.at(place.clone())?)
    }

    /// Tells of records, unread and unchecked, the last one first. Some may be
    /// retired, and some told twice.
    pub(super) fn latest(&self, tell: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) -> ControlFlow<()> {
        self.text.latest(HEADER.len(), &mut |line| match line {
            [b'+', b'\t', ..] => tell(line),
            _ => ControlFlow::Continue(()),
        })
    }

    /// The shapes that it names, unchecked, each with the last key.
    pub(super) fn shapes(&self) -> HashMap<Digest, Key, AsItIs> {
        let mut shapes = HashMap::default();
        let _ = self.latest(&mut |line| {
            let shape = line.get(SHAPE).and_then(Digest::read);
            if let Some((shape, key)) = shape.zip(key_of(line)) {
                shapes.entry(shape).or_insert(key);
            }
            ControlFlow::Continue(())
        });
        shapes
    }

    /// Whether it names, unchecked, a key of a shape that is as wanted.
    pub(super) fn has_shape(&self, shape: &Digest, wanted: &dyn Fn(Key) -> bool) -> bool {
        let shape = shape.to_string();
        let found = self.latest(&mut |line| {
            let same = line.get(SHAPE) == Some(shape.as_bytes());
            if same && key_of(line).is_some_and(wanted) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        found.is_break()
    }

    /// All that it says, and whether every line that counts is whole.
    pub(super) fn entries(&self) -> (HashMap<Key, IndexEntry>, bool) {
        let read = self.places().last.keys().filter_map(|key| self.entry(key));
        let entries: HashMap<Key, IndexEntry> = read.map(|entry| (entry.key, entry)).collect();
        let sound = self.is_sound() && entries.len() == self.len();
        (entries, sound)
    }
}

impl Places {
    fn of(text: &Text) -> Places {
        let about = text.len() / LINE;
        let mut places = Places {
            count: 0,
            last: HashMap::with_capacity_and_hasher(about, AsItIs::default()),
            sound: text.len() > 0,
        };
        text.lines(&mut |start, line| {
            if start > 0 {
                places.take(start, line);
            }
        });
        places
    }

    fn take(&mut self, start: usize, line: &[u8]) {
        self.count += 1;
        match about(line) {
            Some((b'+', key)) => {
                self.last.insert(key, start..start + line.len());
            }
            Some((_, key)) => {
                self.last.remove(&key);
            }
            None => self.sound &= !line.ends_with(b"\n"),
        }
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
        let lead = match file.metadata()?.len() {
            0 => HEADER,
            _ if ends_whole(&mut file)? => "",
            // After a torn tail our line must still begin a line.
            _ => "\n",
        };
        file.write_all(format!("{lead}{text}").as_bytes())
    };
    write().map_err(|error| fault("write", &path, text.len() as u64, error))
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
