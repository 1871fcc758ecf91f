//! What a run ended with, as its folder keeps it: a line for each instance. A
//! line does not tell which run wrote it, so a later run takes over what stands.
use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write},
    ops::Range,
    os::unix::fs::FileExt,
    path::Path,
};

use anyhow::Result;
use memchr::memchr;
use serde::{Deserialize, Serialize};

use crate::{
    cache::Content,
    digest::Key,
    engine::Done,
    pipeline::{InstanceId, Pipeline},
    runs::journal::{BUFFER, write_pieces},
};

/// Behind each line but the last.
pub const LINE_END: &str = ",\n";
const HEAD: &str = "{\"instances\":[\n";
const TAIL: &str = "\n]}\n";

/// What a run ended with.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// In the order of the pipeline.
    pub instances: Vec<ResultLine>,
}

/// One instance that has a result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResultLine {
    pub instance: String,
    pub stage: String,
    pub kind: String,
    pub key: Key,
    pub duration_ms: u64,
    pub outputs: BTreeMap<String, Content>,
}

impl ResultLine {
    /// What a run that is over says of an instance.
    pub fn of(pipeline: &Pipeline, id: InstanceId, done: &Done) -> ResultLine {
        let stage = pipeline.stage_of(id);
        ResultLine {
            instance: pipeline.label(id),
            stage: stage.name.clone(),
            kind: stage.kind.name.to_owned(),
            key: done.key,
            duration_ms: done.duration_ms,
            outputs: (*done.outputs).clone(),
        }
    }
}

/// The lines that an earlier run left. Places are those of lines that all have
/// [`LINE_END`] behind them, the first one at 0.
#[derive(Debug)]
pub struct KeptLines(File);

impl KeptLines {
    /// None where the file is not as long as lines of so many bytes make it.
    pub fn new(file: File, length: u64) -> Option<KeptLines> {
        let ends = length.min(LINE_END.len() as u64);
        let around = (HEAD.len() + TAIL.len()) as u64;
        let size = file.metadata().ok()?.len();
        let whole = length.checked_sub(ends)?.checked_add(around);
        (whole == Some(size)).then_some(KeptLines(file))
    }

    /// The JSON of one line; none where it cannot be read.
    pub fn line(&self, place: Range<u64>) -> Option<String> {
        let end = LINE_END.len() as u64;
        let length = place.end.checked_sub(place.start)?.checked_sub(end)?;
        let mut bytes = vec![0; usize::try_from(length).ok()?];
        let start = HEAD.len() as u64 + place.start;
        self.0.read_exact_at(&mut bytes, start).ok()?;
        String::from_utf8(bytes).ok()
    }

    fn copy(&self, place: &Range<u64>, out: &mut dyn Write) -> io::Result<()> {
        let length = place.end.saturating_sub(place.start);
        (&self.0).seek(SeekFrom::Start(HEAD.len() as u64 + place.start))?;
        let mut part = BufReader::with_capacity(BUFFER, (&self.0).take(length));
        let mut left = length;
        loop {
            let window = part.fill_buf()?;
            let taken = window.len();
            if taken == 0 {
                break;
            }
            // A power loss may leave zeros in the place of bytes.
            if memchr(0, window).is_some() {
                return Err(io::ErrorKind::InvalidData.into());
            }
            out.write_all(window)?;
            part.consume(taken);
            left -= taken as u64;
        }
        match left {
            0 => Ok(()),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// Lines with [`LINE_END`] behind each.
#[derive(Debug, Clone)]
pub enum Piece<'a> {
    New(&'a str),
    Old(&'a KeptLines, Range<u64>),
}

impl Piece<'_> {
    fn length(&self) -> u64 {
        match self {
            Piece::New(text) => text.len() as u64,
            Piece::Old(_, place) => place.end - place.start,
        }
    }

    /// The first `most` bytes.
    fn write(&self, most: u64, out: &mut dyn Write) -> io::Result<()> {
        match self {
            Piece::New(text) => {
                let length = (text.len() as u64).min(most) as usize;
                out.write_all(&text.as_bytes()[..length])
            }
            Piece::Old(lines, place) => {
                lines.copy(&(place.start..place.end.min(place.start + most)), out)
            }
        }
    }
}

/// Writes what the pieces have together, in the order of the pipeline.
///
/// # Errors
/// When the file cannot be written, or an old one be read.
pub fn write_results(path: &Path, pieces: &[Piece<'_>]) -> Result<()> {
    let all: u64 = pieces.iter().map(Piece::length).sum();
    write_pieces(path, &|out| {
        out.write_all(HEAD.as_bytes())?;
        // The last line has no end.
        let mut left = all.saturating_sub(LINE_END.len() as u64);
        for piece in pieces {
            piece.write(left, out)?;
            left = left.saturating_sub(piece.length());
        }
        out.write_all(TAIL.as_bytes())
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn kept(path: &Path, length: u64) -> Option<KeptLines> {
        KeptLines::new(File::open(path).unwrap(), length)
    }

    fn text(path: &Path) -> String {
        fs::read_to_string(path).unwrap()
    }

    #[test]
    fn lines_are_taken_over_around_new_ones() {
        let place = tempfile::tempdir().unwrap();
        let [first, second] = ["first", "second"].map(|name| place.path().join(name));
        write_results(&first, &[Piece::New("1,\n"), Piece::New("22,\n333,\n")]).unwrap();
        assert_eq!(text(&first), "{\"instances\":[\n1,\n22,\n333\n]}\n");
        let old = kept(&first, 12).unwrap();
        let lines = [0..3, 3..7, 7..12].map(|place| old.line(place).unwrap());
        assert_eq!(lines, ["1", "22", "333"]);
        let all = |pieces: &[Piece<'_>]| {
            write_results(&second, pieces).unwrap();
            text(&second).replacen(HEAD, "", 1).replacen(TAIL, "", 1)
        };
        assert_eq!(all(&[Piece::Old(&old, 0..12)]), "1,\n22,\n333");
        let middle = [
            Piece::Old(&old, 0..3),
            Piece::New("two,\n"),
            Piece::Old(&old, 7..12),
        ];
        assert_eq!(all(&middle), "1,\ntwo,\n333");
        let ends = [
            Piece::New("one,\n"),
            Piece::Old(&old, 3..7),
            Piece::New("three,\n"),
            Piece::Old(&old, 12..12),
        ];
        assert_eq!(all(&ends), "one,\n22,\nthree");
        assert_eq!(all(&[]), "");
        assert!(kept(&second, 0).is_some());
    }

    #[test]
    fn a_file_of_another_length_is_not_taken() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("lines");
        write_results(&path, &[Piece::New("1,\n22,\n")]).unwrap();
        assert!(kept(&path, 7).is_some());
        for length in [0, 1, 6, 8, u64::MAX] {
            assert!(kept(&path, length).is_none(), "{length}");
        }
        let old = kept(&path, 7).unwrap();
        assert_eq!(old.line(3..20), None);
        let copy = place.path().join("copy");
        let file = File::options().write(true).open(&path).unwrap();
        file.write_all_at(b"\0", HEAD.len() as u64 + 3).unwrap();
        write_results(&copy, &[Piece::Old(&old, 0..7)]).unwrap_err();
        write_results(&copy, &[Piece::Old(&old, 0..3), Piece::New("3,\n")]).unwrap();
        fs::remove_file(&copy).unwrap();
        file.set_len(16).unwrap();
        write_results(&copy, &[Piece::Old(&old, 0..7), Piece::New("3,\n")]).unwrap_err();
        assert!(!copy.exists());
    }
}
