//! The bytes of the index's file: kept for whoever asks for many records, read
//! as far as needed for whoever asks for a few.
use std::{
    borrow::Cow,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    ops::{ControlFlow, Range},
    os::unix::fs::FileExt,
    path::Path,
    sync::{Mutex, PoisonError},
};

use memchr::{memchr, memchr_iter, memrchr};

/// Bytes read at once: one piece of memory, over and over.
const WINDOW: usize = 1 << 16;

/// What of the file is kept in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hold {
    All,
    Nothing,
}

/// Lines, of which the last may lack its end.
#[derive(Debug)]
pub(super) enum Text {
    Held(Vec<u8>),
    File(OpenText),
}

#[derive(Debug)]
pub(super) struct OpenText {
    file: File,
    /// When it was opened.
    length: usize,
    /// The last window: who looks again and again begins there.
    tail: Mutex<Window>,
}

impl Text {
    pub(super) fn open(path: &Path, hold: Hold) -> io::Result<Text> {
        let mut file = File::open(path)?;
        let length = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
        if hold == Hold::Nothing {
            let tail = Mutex::default();
            return Ok(Text::File(OpenText { file, length, tail }));
        }
        let mut bytes = Vec::with_capacity(length);
        file.read_to_end(&mut bytes)?;
        Ok(Text::Held(bytes))
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Text::Held(bytes) => bytes.len(),
            Text::File(open) => open.length,
        }
    }

    /// None where the file can no longer be read.
    pub(super) fn at(&self, place: Range<usize>) -> Option<Cow<'_, [u8]>> {
        match self {
            Text::Held(bytes) => bytes.get(place).map(Cow::Borrowed),
            Text::File(open) => {
                let mut window = Window::default();
                window.read(&open.file, place)?;
                Some(Cow::Owned(window.bytes))
            }
        }
    }

    /// Tells of all lines, with where each begins.
    pub(super) fn lines(&self, tell: &mut dyn FnMut(usize, &[u8])) {
        // What cannot be read is not there.
        let _ = match self {
            Text::Held(bytes) => windows(bytes.as_slice(), tell),
            Text::File(open) => {
                let file = At {
                    file: &open.file,
                    place: 0,
                };
                let file = file.take(open.length as u64);
                windows(BufReader::with_capacity(WINDOW, file), tell)
            }
        };
    }

    /// Tells of the lines from `start` on that have an end, the last one first.
    pub(super) fn latest(
        &self,
        start: usize,
        tell: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        match self {
            Text::Held(bytes) => latest(bytes.get(start..).unwrap_or_default(), tell),
            Text::File(open) => open.latest(start, tell),
        }
    }
}

impl OpenText {
    fn latest(
        &self,
        start: usize,
        tell: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let kept = || self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        // Not locked meanwhile: who is told may look here too.
        let mut tail = std::mem::take(&mut *kept());
        let flow = self.latest_by(&mut tail, start, tell);
        *kept() = tail;
        flow
    }

    fn latest_by(
        &self,
        tail: &mut Window,
        start: usize,
        tell: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let mut before = Window::default();
        let (mut end, mut size) = (self.length, WINDOW);
        while end > start {
            let begin = end.saturating_sub(size).max(start);
            let window = match end {
                end if end == self.length => &mut *tail,
                _ => &mut before,
            };
            let Some(bytes) = window.read(&self.file, begin..end) else {
                break;
            };
            let whole = match memchr(b'\n', bytes) {
                _ if begin == start => 0,
                Some(feed) if feed + 1 < bytes.len() => feed + 1,
                // A line longer than the window.
                _ => {
                    size *= 2;
                    continue;
                }
            };
            latest(&bytes[whole..], tell)?;
            (end, size) = (begin + whole, WINDOW);
        }
        ControlFlow::Continue(())
    }
}

/// What was read last, and where it begins.
#[derive(Debug, Default)]
struct Window {
    start: usize,
    bytes: Vec<u8>,
}

impl Window {
    /// None where the file can no longer be read.
    fn read(&mut self, file: &File, place: Range<usize>) -> Option<&[u8]> {
        if (self.start, self.bytes.len()) != (place.start, place.len()) {
            self.start = place.start;
            self.bytes.resize(place.len(), 0);
            if file
                .read_exact_at(&mut self.bytes, place.start as u64)
                .is_err()
            {
                self.bytes.clear();
                return None;
            }
        }
        Some(&self.bytes)
    }
}

/// A file read from a place of our own, whoever else reads it.
struct At<'a> {
    file: &'a File,
    place: u64,
}

impl Read for At<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(bytes, self.place)?;
        self.place += read as u64;
        Ok(read)
    }
}

fn windows(mut reader: impl BufRead, tell: &mut dyn FnMut(usize, &[u8])) -> io::Result<()> {
    let (mut start, mut over) = (0, Vec::new());
    loop {
        let window = reader.fill_buf()?;
        if window.is_empty() {
            return Ok(());
        }
        let whole = memrchr(b'\n', window).map_or(0, |end| end + 1);
        start = lines(&window[..whole], start, tell);
        reader.consume(whole);
        // The line that goes on in the next window.
        over.clear();
        reader.read_until(b'\n', &mut over)?;
        if !over.is_empty() {
            tell(start, &over);
            start += over.len();
        }
    }
}

/// Tells of the lines that have an end, of bytes that begin at `start` of a file;
/// gives where the last one ends.
fn lines(bytes: &[u8], start: usize, tell: &mut dyn FnMut(usize, &[u8])) -> usize {
    let mut next = 0;
    for end in memchr_iter(b'\n', bytes) {
        tell(start + next, &bytes[next..=end]);
        next = end + 1;
    }
    start + next
}

fn latest(mut bytes: &[u8], tell: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) -> ControlFlow<()> {
    while let [before @ .., last] = bytes {
        let start = memrchr(b'\n', before).map_or(0, |feed| feed + 1);
        if *last == b'\n' {
            tell(&bytes[start..])?;
        }
        bytes = &bytes[..start];
    }
    ControlFlow::Continue(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: usize = 5;

    type Line = Vec<u8>;

    /// All lines with where they begin, and what is told from the end.
    fn told(path: &Path, hold: Hold) -> (Vec<(usize, Line)>, Vec<Line>) {
        let text = Text::open(path, hold).unwrap();
        let (mut all, mut latest) = (Vec::new(), Vec::new());
        text.lines(&mut |start, line| all.push((start, line.to_vec())));
        let _ = text.latest(START, &mut |line| {
            latest.push(line.to_vec());
            ControlFlow::Continue(())
        });
        for (start, line) in &all {
            assert_eq!(*text.at(*start..start + line.len()).unwrap(), line[..]);
        }
        assert_eq!(text.at(0..text.len() + 1), None);
        // A second look is told the same, also while whoever is told looks by itself.
        let (mut again, mut nested) = (Vec::new(), Vec::new());
        let _ = text.latest(START, &mut |line| {
            again.push(line.to_vec());
            let _ = text.latest(START, &mut |line| {
                nested.push(line.to_vec());
                ControlFlow::Break(())
            });
            ControlFlow::Continue(())
        });
        assert_eq!(again, latest);
        assert!(nested.iter().all(|line| *line == latest[0]));
        let stopped = text.latest(START, &mut |_| ControlFlow::Break(()));
        assert_eq!(stopped.is_break(), !latest.is_empty());
        (all, latest)
    }

    #[test]
    fn lines_are_told_alike_forwards_and_backwards() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("index");
        let long = |length: usize| "x".repeat(length) + "\n";
        for text in [
            String::new(),
            "head\n".to_owned(),
            "head\n\n\na\nbc\ntorn".to_owned(),
            format!("head\n{}torn", long(WINDOW)),
            "head\n".to_owned() + &long(WINDOW - 1) + &long(WINDOW) + &long(3 * WINDOW) + &long(7),
            format!("head\n{}{}", long(100).repeat(2000), "y".repeat(WINDOW)),
            format!("head\n{}", long(WINDOW / 4 - 1).repeat(9)),
        ] {
            std::fs::write(&path, &text).unwrap();
            let (all, latest) = told(&path, Hold::All);
            assert_eq!(told(&path, Hold::Nothing), (all.clone(), latest.clone()));
            let joined: Vec<u8> = all.iter().flat_map(|(_, line)| line.clone()).collect();
            assert_eq!(joined, text.as_bytes());
            let mut ended: Vec<Vec<u8>> = all.into_iter().map(|(_, line)| line).skip(1).collect();
            ended.retain(|line| line.ends_with(b"\n"));
            ended.reverse();
            assert_eq!(latest, ended);
        }
    }
}
