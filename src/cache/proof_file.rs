//! The file form of a proof: a head of fixed length, the body that every look
//! reads (note, paths, stamps), and details that only some looks read.
use std::{borrow::Cow, fs::File, io::Read, ops::Range};

use crate::{
    cache::grounds::{Grounds, Told},
    digest::Checksum,
};

const NAME: &str = "vgh proof 4";
/// Digits of a length.
const WIDTH: usize = 12;
/// The name, three checksums and five lengths, a blank before each, a line feed.
pub(super) const LENGTH: usize = CHECKED + 2 * (1 + Checksum::DIGITS) + 5 * (1 + WIDTH) + 1;
/// What lies from here to the end of the body is under the first checksum.
pub(super) const CHECKED: usize = NAME.len() + 1 + Checksum::DIGITS;

/// What stands at the beginning of the file. Lengths in bytes.
pub(super) struct Head {
    /// Of the rest of the head, and the body.
    pub(super) check: Checksum,
    pub(super) details_check: Checksum,
    /// Of what `stat` said of all files of the cache and all copies.
    pub(super) stamps: Checksum,
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
        let mut sum = || fields.next()?.parse().ok();
        let (check, details_check, stamps) = (sum()?, sum()?, sum()?);
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

/// A text in pieces that follow each other.
pub type Pieces<'a> = [Cow<'a, str>];

/// The bytes of the file, in pieces; the first is the head.
pub(super) fn encode<'a>(
    grounds: &'a Grounds<'a>,
    note: &'a Pieces<'a>,
    details: &'a Pieces<'a>,
) -> (Vec<u8>, Vec<&'a [u8]>) {
    let bytes = |text: &'a Pieces<'a>| text.iter().map(|piece| piece.as_bytes());
    let length = |text: &Pieces<'_>| text.iter().map(|piece| piece.len()).sum::<usize>();
    let stamps = |told: &'a [Cow<'a, [Told]>]| told.iter().map(|piece| piece.as_flattened());
    let told = stamps(&grounds.told_outside);
    let told_length = told.clone().map(<[u8]>::len).sum();
    let stamps = Checksum::of_pieces(stamps(&grounds.told));
    let details_check = Checksum::of_pieces(bytes(details));
    let mut rest = format!(" {details_check} {stamps}");
    let [note_length, files, outside, details_length] =
        [note, &grounds.files, &grounds.outside, details].map(length);
    for length in [note_length, files, outside, told_length, details_length] {
        rest.push_str(&format!(" {length:0WIDTH$}"));
    }
    rest.push('\n');
    let texts = [note, &grounds.files, &grounds.outside];
    let mut pieces: Vec<&[u8]> = texts.into_iter().flat_map(bytes).chain(told).collect();
    let checked = [rest.as_bytes()].into_iter().chain(pieces.iter().copied());
    let check = Checksum::of_pieces(checked);
    pieces.extend(bytes(details));
    (format!("{NAME} {check}{rest}").into_bytes(), pieces)
}
