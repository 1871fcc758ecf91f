//! One line of a text with a caret under a part of it: tabs, wide letters,
//! long lines, the end of the text. Nothing here may steer a terminal.
use std::{borrow::Cow, fmt, ops::Range};

use unicode_width::UnicodeWidthChar;

use crate::diagnostic::Source;

/// Columns of source text shown around a caret on a long line.
const WINDOW: usize = 120;
/// Columns kept before the caret where a line is cut.
const BEFORE_CARET: usize = 40;
/// A tab is shown as this many blanks.
const TAB: usize = 4;

/// One line of a source with a caret under a part of it.
pub(super) struct Snippet<'a> {
    source: &'a Source,
    /// Counted from 1, as is `column` (in characters).
    line: usize,
    column: usize,
    text: &'a str,
    /// Byte range inside `text`; may be empty or end at its end.
    marked: Range<usize>,
    label: Cow<'a, str>,
}

impl<'a> Snippet<'a> {
    pub(super) fn new(source: &'a Source, span: Range<usize>, label: &'a str) -> Snippet<'a> {
        let text = source.text.as_str();
        let start = floor_char(text, span.start);
        let end = floor_char(text, span.end).max(start);
        let line_start = text[..start].rfind('\n').map_or(0, |i| i + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |i| start + i);
        let line = text[..start].split('\n').count();
        let further_lines = text[start..end]
            .trim_end()
            .bytes()
            .filter(|b| *b == b'\n')
            .count();
        let shown = text[line_start..line_end].trim_end_matches('\r');
        Snippet {
            source,
            line,
            column: 1 + text[line_start..start].chars().count(),
            text: shown,
            marked: (start - line_start).min(shown.len())..(end - line_start).min(shown.len()),
            label: match (further_lines, label) {
                (0, label) => Cow::Borrowed(label),
                (n, "") => Cow::Owned(format!("up to line {}", line + n)),
                (n, label) => Cow::Owned(format!("{label} (up to line {})", line + n)),
            },
        }
    }

    pub(super) fn number(&self) -> String {
        match self.source.name {
            Some(_) => self.line.to_string(),
            None => String::new(),
        }
    }

    pub(super) fn show(&self, gutter: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source.name {
            Some(name) => {
                let (name, line, column) = (printable(name), self.line, self.column);
                writeln!(f, "{:gutter$}--> {name}:{line}:{column}", "")?;
            }
            None => writeln!(f, "{:gutter$}--> command line", "")?,
        }
        let (shown, indent, width) = self.window();
        writeln!(f, "{:gutter$} |", "")?;
        writeln!(f, "{:>gutter$} | {shown}", self.number())?;
        let caret = format!(
            "{:gutter$} | {:indent$}{} {}",
            "",
            "",
            "^".repeat(width),
            printable(&self.label)
        );
        writeln!(f, "{}", caret.trim_end())
    }

    /// The line as shown, cut where it is long, with the columns before the
    /// caret and under it.
    fn window(&self) -> (String, usize, usize) {
        let mut cells = Vec::new();
        let (mut indent, mut width) = (0, 0);
        for (at, c) in self.text.char_indices() {
            let columns = columns(c);
            if at < self.marked.start {
                indent += columns;
            } else if at < self.marked.end {
                width += columns;
            }
            cells.push((c, columns));
        }
        let total: usize = cells.iter().map(|(_, columns)| columns).sum();
        if total <= WINDOW {
            return (
                cells.iter().map(|(c, _)| shown(*c)).collect(),
                indent,
                width.max(1),
            );
        }
        let from = indent.saturating_sub(BEFORE_CARET);
        let mut out = String::new();
        let (mut at, mut skipped) = (0, None);
        for (c, columns) in cells {
            if at >= from && at + columns <= from + WINDOW {
                skipped.get_or_insert(at);
                out.push_str(&shown(c));
            }
            at += columns;
        }
        let skipped = skipped.unwrap_or(0);
        let lead = if skipped > 0 { "..." } else { "" };
        let tail = if total > from + WINDOW { "..." } else { "" };
        let indent = indent - skipped + lead.len();
        let room = (lead.len() + WINDOW).saturating_sub(indent).max(1);
        (format!("{lead}{out}{tail}"), indent, width.clamp(1, room))
    }
}

fn columns(c: char) -> usize {
    match c {
        '\t' => TAB,
        c => c.width().unwrap_or(1),
    }
}

fn shown(c: char) -> Cow<'static, str> {
    match c {
        '\t' => Cow::Borrowed("    "),
        c if c.is_control() => Cow::Borrowed("\u{fffd}"),
        c => Cow::Owned(c.to_string()),
    }
}

/// Text that cannot steer a terminal.
pub(super) fn printable(text: &str) -> Cow<'_, str> {
    if text.chars().any(char::is_control) {
        Cow::Owned(
            text.chars()
                .map(|c| match c {
                    c if c.is_control() => c.escape_debug().to_string(),
                    c => c.to_string(),
                })
                .collect(),
        )
    } else {
        Cow::Borrowed(text)
    }
}

fn floor_char(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}
