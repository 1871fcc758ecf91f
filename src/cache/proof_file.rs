//! The file form of a proof: a head of fixed length, the body that every look
//! reads (note, paths, stamps), and details that only some looks read.
use std::{fs::File, io::Read, ops::Range};

use crate::{cache::grounds::Grounds, digest::Digest};

const NAME: &str = "vgh proof 2";
/// Digits of a length.
const WIDTH: usize = 12;
/// Hexadecimal digits of a digest.
const DIGITS: usize = 64;
/// The name, three digests and five lengths, a blank before each, a line feed.
pub(super) const LENGTH: usize = CHECKED + 2 * (1 + DIGITS) + 5 * (1 + WIDTH) + 1;
/// What lies from here to the end of the body is under the first digest.
pub(super) const CHECKED: usize = NAME.len() + 1 + DIGITS;

/// What stands at the beginning of the file. Lengths in bytes.
pub(super) struct Head {
    /// Of the rest of the head, and the body.
    pub(super) check: Digest,
    pub(super) details_check: Digest,
    /// Of what `stat` said of all files of the cache and all copies.
    pub(super) stamps: Digest,
    note: usize,
    files: usize,
    outside: usize,
    /// Stamps of the files outside.
    told: usize,
    pub(super) details: usize,
}

impl Head {
    /// Where note, files, and files outside stand in the file.
    pub(super) fn texts(&self) -> [Range<usize>; 3] {
        let note = LENGTH + self.note;
        let files = note + self.files;
        [LENGTH..note, note..files, files..files + self.outside]
    }

    pub(super) fn body(&self) -> usize {
        self.note + self.files + self.outside + self.told
    }

    /// The head of a file of `size` bytes, which must be as long as it says.
    pub(super) fn read(file: &mut File, size: u64) -> Option<(Head, [u8; LENGTH])> {
        let mut line = [0; LENGTH];
        file.read_exact(&mut line).ok()?;
        let text = std::str::from_utf8(&line).ok()?;
        let mut fields = text.strip_prefix(NAME)?.split_ascii_whitespace();
        let mut digest = || fields.next()?.parse().ok();
        let (check, details_check, stamps) = (digest()?, digest()?, digest()?);
        let mut length = || fields.next()?.parse().ok();
        let head = Head {
            check,
            details_check,
            stamps,
            note: length()?,
            files: length()?,
            outside: length()?,
            told: length()?,
            details: length()?,
        };
        let lengths = [head.note, head.files, head.outside, head.told, head.details];
        let sum = lengths.into_iter().try_fold(LENGTH, usize::checked_add);
        (sum? as u64 == size).then_some((head, line))
    }
}

pub(super) fn encode(grounds: &Grounds, note: &str, details: &str) -> Vec<u8> {
    let told = grounds.told_outside.as_flattened();
    let parts = [
        note.as_bytes(),
        grounds.files.as_bytes(),
        grounds.outside.as_bytes(),
        told,
        details.as_bytes(),
    ];
    let stamps = Digest::of(grounds.told.as_flattened());
    let details_check = Digest::of(details.as_bytes());
    let mut head = format!(" {details_check} {stamps}");
    for part in parts {
        head.push_str(&format!(" {:0WIDTH$}", part.len()));
    }
    head.push('\n');
    let sum: usize = parts.iter().map(|part| part.len()).sum();
    let mut bytes = Vec::with_capacity(LENGTH + sum);
    bytes.resize(CHECKED, b' ');
    bytes.extend(head.as_bytes());
    let [body @ .., details] = parts;
    for part in body {
        bytes.extend(part);
    }
    let check = Digest::of(&bytes[CHECKED..]);
    bytes[..CHECKED].copy_from_slice(format!("{NAME} {check}").as_bytes());
    bytes.extend(details);
    bytes
}
