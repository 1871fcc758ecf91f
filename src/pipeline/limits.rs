//! What a pipeline may not exceed, refused before anything is built from it:
//! size of the text, its encoding, nesting, number of instances.
use std::ops::Range;

use crate::{
    diagnostic::{Diagnostic, Faults, Source},
    pipeline::node::Entry,
};

/// Bytes of text.
pub const TEXT: usize = 4 << 20;
/// Levels of tables and lists inside each other.
pub(super) const NESTING: usize = 64;
/// Instances of all stages together, and values of one axis.
pub const INSTANCES: usize = 100_000;
/// Connections between instances.
pub(super) const CONNECTIONS: usize = 2_000_000;

/// The bytes of a pipeline file as a source, if they are text of a size that
/// is read. `name` is shown in faults.
pub fn decode(name: &str, bytes: Vec<u8>) -> Result<Source, Faults> {
    let refused = |fault| Faults::of(Source::file(name, ""), fault);
    if bytes.len() > TEXT {
        return Err(refused(too_large(bytes.len()).note(format!("in {name}"))));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Source::file(name, text)),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            let bytes = error.as_bytes();
            let line = bytes[..at].split(|byte| *byte == b'\n').count();
            let byte = bytes[at];
            Err(refused(
                Diagnostic::new(format!(
                    "{name} is not UTF-8: byte 0x{byte:02x} at offset {at}, in line {line}"
                ))
                .help("save the file as UTF-8"),
            ))
        }
    }
}

pub(super) fn too_large(bytes: usize) -> Diagnostic {
    Diagnostic::new(format!(
        "the pipeline has {bytes} bytes of text; the limit is {TEXT} (4 MiB)"
    ))
}

/// An axis with more values than are expanded. A float, for a range may have
/// more of them than any integer holds.
pub(super) fn axis(entry: &Entry<'_>, count: f64) -> Diagnostic {
    Diagnostic::new(format!("the axis `{}` has {count} values", entry.key))
        .at(entry.value.span())
        .label(format!("the limit is {INSTANCES}"))
}

/// Where the text first nests deeper than [`NESTING`]: brackets, braces and
/// dotted keys all count. One pass without recursion, so that no text can
/// exhaust the stack of the parser behind it.
pub(super) fn nesting(text: &str) -> Option<Diagnostic> {
    let at = Depth::default().exceeded(text.as_bytes())?;
    Some(
        Diagnostic::new(format!(
            "tables and lists stand inside each other more than {NESTING} levels deep"
        ))
        .at(at)
        .label(format!("level {}", NESTING + 1)),
    )
}

#[derive(Default)]
struct Depth {
    /// Levels that each open bracket added, with the dots before it.
    open: Vec<usize>,
    /// Their sum.
    levels: usize,
    /// Dots of the key that is being read.
    dots: usize,
    /// Levels of the table header that the lines stand under.
    header: usize,
    in_header: bool,
    /// After `=`, where a dot belongs to a number.
    in_value: bool,
}

impl Depth {
    fn exceeded(mut self, text: &[u8]) -> Option<Range<usize>> {
        let mut at = 0;
        while let Some(&byte) = text.get(at) {
            match byte {
                b'"' | b'\'' => {
                    at = string_end(text, at);
                    continue;
                }
                b'#' => {
                    while text.get(at).is_some_and(|b| *b != b'\n') {
                        at += 1;
                    }
                    continue;
                }
                b'[' | b'{' => self.opened(),
                b']' | b'}' => self.closed(),
                b'.' if !self.in_value => self.dots += 1,
                b'=' => self.in_value = true,
                b',' => self.next_item(),
                b'\n' if self.open.is_empty() || self.in_header => self.next_line(),
                _ => {}
            }
            if self.levels + self.dots + self.header > NESTING {
                return Some(at..at + 1);
            }
            at += 1;
        }
        None
    }

    fn opened(&mut self) {
        if self.open.is_empty() && !self.in_value {
            self.in_header = true;
            self.header = 0;
        }
        let added = if self.in_header { 0 } else { 1 + self.dots };
        self.open.push(added);
        self.levels += added;
        if !self.in_header {
            self.dots = 0;
            self.in_value = false;
        }
    }

    fn closed(&mut self) {
        self.levels -= self.open.pop().unwrap_or(0);
        if self.in_header {
            self.header = self.header.max(1 + self.dots);
            self.dots = 0;
        }
        // What follows a closed list or table is not a key until a comma.
        self.in_value = true;
    }

    fn next_item(&mut self) {
        self.dots = 0;
        self.in_value = false;
    }

    fn next_line(&mut self) {
        self.open.clear();
        self.levels = 0;
        self.dots = 0;
        self.in_value = false;
        self.in_header = false;
    }
}

/// The offset behind the string that starts at `at`; the end of the text for
/// one that is never closed on its line (or at all, for three quotes).
pub(super) fn string_end(text: &[u8], at: usize) -> usize {
    let quote = text[at];
    let long = text[at..].starts_with(&[quote; 3]);
    let mut i = at + if long { 3 } else { 1 };
    while let Some(&byte) = text.get(i) {
        match byte {
            b'\\' if quote == b'"' => i += 1,
            b'\n' if !long => return i,
            b if b == quote && !long => return i + 1,
            b if b == quote && text[i..].starts_with(&[quote; 3]) => return i + 3,
            _ => {}
        }
        i += 1;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exceeds(text: &str) -> bool {
        nesting(text).is_some()
    }

    #[test]
    fn brackets_braces_and_dots_count_together() {
        let lists = |n: usize| format!("a = {}{}", "[".repeat(n), "]".repeat(n));
        assert!(!exceeds(&lists(64)));
        assert!(exceeds(&lists(65)));
        let dotted = |n: usize| format!("{}x = 1", "a.".repeat(n));
        assert!(!exceeds(&dotted(64)));
        assert!(exceeds(&dotted(65)));
        let header = |n: usize| format!("[{}x]\ny = [[1]]", "a.".repeat(n));
        assert!(!exceeds(&header(60)));
        assert!(exceeds(&header(62)));
        assert!(exceeds(&"a = {b.c.d.e.f = [".repeat(12)));
    }

    #[test]
    fn what_does_not_nest_is_not_counted() {
        let many = "a = [1.5, 2.5, \"[[[[\", '{{{'] # [[[[\n".repeat(500);
        assert!(!exceeds(&many));
        assert!(!exceeds(&"[a.b]\nx = { y.z = 1.0 }\n[[c]]\n".repeat(500)));
        assert!(!exceeds(&format!("a = \"\"\"{}\"\"\"", "[\"{".repeat(500))));
        assert!(!exceeds(&"]".repeat(500)));
    }

    #[test]
    fn a_bomb_is_refused_in_one_pass() {
        assert!(exceeds(&format!("a = {}", "[".repeat(TEXT))));
        assert!(exceeds(&format!("a = {}", "{a=".repeat(TEXT / 3))));
        assert!(exceeds(&format!("{}a", "a.".repeat(TEXT / 2))));
    }

    #[test]
    fn bytes_that_are_not_text_are_refused_with_their_place() {
        let faults = decode("p.toml", b"a = 1\nb = \"\xff\"".to_vec()).unwrap_err();
        assert_eq!(
            faults.to_string(),
            "error: p.toml is not UTF-8: byte 0xff at offset 11, in line 2\n\
             help: save the file as UTF-8\n\n1 fault; nothing was run"
        );
    }
}
