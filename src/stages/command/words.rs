//! What a command says, as lines of a log of bounded size. Bytes of any kind
//! and lines of any length take little memory; the end is never lost.
use std::{collections::VecDeque, mem};

/// Bytes of one line that are kept.
const LINE: usize = 4096;
/// Lines and bytes that are told as they come; of the rest only the last.
const LINES: usize = 5000;
const BYTES: usize = 1 << 20;
const LAST_LINES: usize = 100;
/// Characters of the last line that an error shows.
const SHOWN: usize = 300;

/// Takes bytes, tells lines.
pub(super) struct Words<'a> {
    tell: &'a dyn Fn(&str),
    /// Values that are not to be shown.
    secrets: Vec<String>,
    line: Vec<u8>,
    /// Bytes of the line beyond those kept.
    beyond: u64,
    /// After a carriage return: what follows overwrites the line.
    returned: bool,
    lines: usize,
    bytes: usize,
    end: VecDeque<String>,
    left_out: u64,
    last: String,
}

impl<'a> Words<'a> {
    pub(super) fn new(tell: &'a dyn Fn(&str), secrets: Vec<String>) -> Words<'a> {
        Words {
            tell,
            secrets,
            line: Vec::new(),
            beyond: 0,
            returned: false,
            lines: 0,
            bytes: 0,
            end: VecDeque::new(),
            left_out: 0,
            last: String::new(),
        }
    }

    pub(super) fn hear(&mut self, mut bytes: &[u8]) {
        while let Some(first) = bytes.first() {
            if mem::take(&mut self.returned) && *first != b'\n' {
                // As on a terminal, where a progress bar draws over itself.
                self.line.clear();
                self.beyond = 0;
            }
            let end = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            self.keep(&bytes[..end.unwrap_or(bytes.len())]);
            let Some(end) = end else { return };
            if bytes[end] == b'\n' {
                self.end_line();
            } else {
                self.returned = true;
            }
            bytes = &bytes[end + 1..];
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        let kept = bytes.len().min(LINE - self.line.len());
        self.line.extend_from_slice(&bytes[..kept]);
        self.beyond += (bytes.len() - kept) as u64;
    }

    fn end_line(&mut self) {
        let mut text = String::from_utf8_lossy(&self.line).into_owned();
        for secret in &self.secrets {
            text = text.replace(secret, "***");
        }
        if self.beyond > 0 {
            text.push_str(&format!(" ... ({} more bytes)", self.beyond));
        }
        self.line.clear();
        self.beyond = 0;
        if !text.trim().is_empty() {
            self.last = text.trim().chars().take(SHOWN).collect();
        }
        if self.lines < LINES && self.bytes + text.len() <= BYTES && self.end.is_empty() {
            self.lines += 1;
            self.bytes += text.len();
            (self.tell)(&text);
            return;
        }
        self.end.push_back(text);
        if self.end.len() > LAST_LINES {
            self.end.pop_front();
            self.left_out += 1;
        }
    }

    /// Tells what is left; gives the last line that says anything.
    pub(super) fn finish(mut self) -> String {
        if !self.line.is_empty() || self.beyond > 0 {
            self.end_line();
        }
        if self.left_out > 0 {
            (self.tell)(&format!("... ({} lines left out)", self.left_out));
        }
        for line in &self.end {
            (self.tell)(line);
        }
        self.last
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    fn told(parts: &[&[u8]]) -> (Vec<String>, String) {
        let lines = RefCell::new(Vec::new());
        let tell = |line: &str| lines.borrow_mut().push(line.to_owned());
        let mut words = Words::new(&tell, vec!["hunter22".to_owned()]);
        for part in parts {
            words.hear(part);
        }
        let last = words.finish();
        (lines.into_inner(), last)
    }

    #[test]
    fn lines_come_as_they_are() {
        let (lines, last) = told(&[b"one\ntw", b"o\n\nlast"]);
        assert_eq!(lines, ["one", "two", "", "last"]);
        assert_eq!(last, "last");
        assert_eq!(told(&[]), (Vec::new(), String::new()));
        assert_eq!(told(&[b"a\n \n"]).1, "a");
    }

    #[test]
    fn a_progress_bar_is_one_line() {
        let (lines, _) = told(&[b"a\r", b"\nb\r10%\r50%", b"\r100%\nend\r"]);
        assert_eq!(lines, ["a", "100%", "end"]);
    }

    #[test]
    fn bytes_of_any_kind_are_taken() {
        let (lines, _) = told(&[b"\xff\xfe\0\x1b[2J\n\xe2\x82", b"\xac\n"]);
        assert_eq!(lines, ["\u{fffd}\u{fffd}\0\u{1b}[2J", "\u{20ac}"]);
        assert_eq!(told(&[b"pw hunter22!\n"]).0, ["pw ***!"]);
    }

    #[test]
    fn a_long_line_is_cut() {
        let long = vec![b'x'; 1 << 16];
        let parts: Vec<&[u8]> = (0..100).map(|_| long.as_slice()).collect();
        let (lines, last) = told(&parts);
        assert_eq!(lines.len(), 1);
        let beyond = 100 * (1 << 16) - LINE;
        assert_eq!(
            lines[0],
            format!("{} ... ({beyond} more bytes)", "x".repeat(LINE))
        );
        assert_eq!(last.len(), SHOWN);
    }

    #[test]
    fn a_line_without_end_takes_little_memory() {
        let mut words = Words::new(&|_| {}, Vec::new());
        for _ in 0..100 {
            words.hear(&[b'x'; 1 << 13]);
            assert!(words.line.capacity() <= 2 * LINE);
        }
    }

    #[test]
    fn of_many_lines_the_first_and_the_last_are_kept() {
        let text: Vec<String> = (0..20_000).map(|i| format!("{i}\n")).collect();
        let text = text.concat();
        let (lines, last) = told(&[text.as_bytes()]);
        assert_eq!(lines.len(), LINES + 1 + LAST_LINES);
        assert_eq!(lines[LINES - 1], (LINES - 1).to_string());
        assert_eq!(lines[LINES], "... (14900 lines left out)");
        assert_eq!(lines[LINES + 1], "19900");
        assert_eq!(last, "19999");
    }
}
