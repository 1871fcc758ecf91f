//! A fault with its place in the text, and how it is shown: message, line,
//! caret, help. Knows nothing of pipelines and prints nothing.
use std::{borrow::Cow, collections::HashSet, fmt, ops::Range};

use crate::diagnostic::snippet::{Snippet, printable};

mod snippet;

/// Faults shown before the rest is only counted.
const SHOWN: usize = 40;
/// Faults after which looking for more helps nobody.
const ENOUGH: usize = 200;
/// Names listed before the rest is only counted.
const LISTED: usize = 12;

/// One fault of the user's text. Spans are byte ranges as [`Faults::read`]
/// numbers them: the first source starts at 0.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diagnostic {
    /// Lower case, names in backticks, no full stop.
    pub message: String,
    pub span: Option<Range<usize>>,
    /// Stands behind the caret.
    pub label: String,
    /// Further places, each with its own label.
    pub also: Vec<(Range<usize>, String)>,
    /// Lines below the snippet, in order.
    pub remarks: Vec<Remark>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remark {
    /// What is the case.
    Note(String),
    /// What may be done.
    Help(String),
}

impl Diagnostic {
    pub fn new(message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            message: message.into(),
            ..Diagnostic::default()
        }
    }

    #[must_use]
    pub fn at(mut self, span: Range<usize>) -> Diagnostic {
        self.span = Some(span);
        self
    }

    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Diagnostic {
        self.label = label.into();
        self
    }

    #[must_use]
    pub fn also(mut self, span: Range<usize>, label: impl Into<String>) -> Diagnostic {
        self.also.push((span, label.into()));
        self
    }

    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Diagnostic {
        self.remarks.push(Remark::Note(note.into()));
        self
    }

    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Diagnostic {
        self.remarks.push(Remark::Help(help.into()));
        self
    }

    /// Help with the nearest of the names that would have been right, where
    /// one is near.
    #[must_use]
    pub fn nearest<'n>(
        self,
        name: &str,
        candidates: impl IntoIterator<Item = &'n str>,
    ) -> Diagnostic {
        match nearest(name, candidates) {
            Some(near) => self.help(format!("did you mean `{near}`?")),
            None => self,
        }
    }
}

/// A text that faults point into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// As shown, such as `pipelines/quickstart.toml`; none for the command line.
    pub name: Option<String>,
    pub text: String,
}

impl Source {
    pub fn file(name: impl Into<String>, text: impl Into<String>) -> Source {
        Source {
            name: Some(name.into()),
            text: text.into(),
        }
    }

    /// A part of the command line, such as `--set lr=1`.
    pub fn command_line(text: impl Into<String>) -> Source {
        Source {
            name: None,
            text: text.into(),
        }
    }
}

/// All faults of one reading, with the texts that they point into.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    list: Vec<Diagnostic>,
    seen: HashSet<(Option<Range<usize>>, String)>,
    /// Each with the offset at which its spans start, ascending.
    sources: Vec<(usize, Source)>,
}

impl Faults {
    pub fn new() -> Faults {
        Faults::default()
    }

    /// A single fault of one text.
    pub fn of(source: Source, fault: Diagnostic) -> Faults {
        let mut faults = Faults::new();
        faults.read(source);
        faults.push(fault);
        faults
    }

    /// Takes a text in; spans into it start at the offset that is returned.
    pub fn read(&mut self, source: Source) -> usize {
        let base = self
            .sources
            .last()
            .map_or(0, |(base, last)| base + last.text.len() + 1);
        self.sources.push((base, source));
        base
    }

    /// Adds a fault, unless the same stands already at the same place.
    pub fn push(&mut self, fault: Diagnostic) {
        if self
            .seen
            .insert((fault.span.clone(), fault.message.clone()))
        {
            self.list.push(fault);
        }
    }

    /// In the order in which they are shown: by place, those without one last.
    pub fn sorted(&self) -> Vec<&Diagnostic> {
        let mut list: Vec<&Diagnostic> = self.list.iter().collect();
        list.sort_by_key(|fault| fault.span.as_ref().map_or(usize::MAX, |span| span.start));
        list
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether there are so many that looking for more can stop.
    pub fn is_full(&self) -> bool {
        self.list.len() >= ENOUGH
    }

    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// The source that an offset falls into, and the offset inside it.
    fn locate(&self, offset: usize) -> Option<(&Source, usize)> {
        let (base, source) = self
            .sources
            .iter()
            .rev()
            .find(|(base, _)| *base <= offset)?;
        Some((source, (offset - base).min(source.text.len())))
    }

    fn show(&self, fault: &Diagnostic, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "error: {}", printable(&fault.message))?;
        let first = fault.span.iter().map(|span| (span, &fault.label));
        let further = fault.also.iter().map(|(span, label)| (span, label));
        let snippets: Vec<Snippet<'_>> = first
            .chain(further)
            .filter_map(|(span, label)| {
                let (source, start) = self.locate(span.start)?;
                Some(Snippet::new(source, start..start + span.len(), label))
            })
            .collect();
        let gutter = snippets
            .iter()
            .map(|snippet| snippet.number().len())
            .max()
            .unwrap_or(0)
            .max(2);
        for snippet in &snippets {
            snippet.show(gutter, f)?;
        }
        for remark in &fault.remarks {
            match remark {
                Remark::Note(note) => writeln!(f, "note: {}", printable(note))?,
                Remark::Help(help) => writeln!(f, "help: {}", printable(help))?,
            }
        }
        Ok(())
    }
}

impl Extend<Diagnostic> for Faults {
    fn extend<I: IntoIterator<Item = Diagnostic>>(&mut self, faults: I) {
        for fault in faults {
            self.push(fault);
        }
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for fault in self.sorted().into_iter().take(SHOWN) {
            self.show(fault, f)?;
            writeln!(f)?;
        }
        let count = self.list.len();
        if count > SHOWN {
            writeln!(f, "and {} more", count - SHOWN)?;
        }
        let faults = if count == 1 { "fault" } else { "faults" };
        write!(f, "{count} {faults}; nothing was run")
    }
}

impl std::error::Error for Faults {}

/// The candidate most like `name`, if one is like it.
pub fn nearest<'n>(name: &str, candidates: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    const LONGEST: usize = 80;
    if name.len() > LONGEST {
        return None;
    }
    let wanted = plain(name);
    // A third of the letters may differ: `betta`, `grop`, `learning-rate`.
    let allowed = |other: &str| (name.len().max(other.len()) / 3).max(1);
    candidates
        .into_iter()
        .filter(|other| other.len() <= LONGEST)
        .filter(|other| other.len().abs_diff(name.len()) <= allowed(other))
        .map(|other| (strsim::osa_distance(&wanted, &plain(other)), other))
        .filter(|(distance, other)| *distance <= allowed(other) && *distance < name.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, other)| other)
}

/// A name without the differences that people forget.
fn plain(name: &str) -> Cow<'_, str> {
    if name.contains(|c: char| c == '_' || !c.is_ascii() || c.is_ascii_uppercase()) {
        Cow::Owned(name.to_lowercase().replace('_', "-"))
    } else {
        Cow::Borrowed(name)
    }
}

/// `a, b, c and 4 more`.
pub fn listing(names: impl IntoIterator<Item = impl fmt::Display>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| name.to_string()).collect();
    if names.len() <= LISTED {
        return names.join(", ");
    }
    let more = names.len() - LISTED;
    format!("{} and {more} more", names[..LISTED].join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown_at(text: &str, span: Range<usize>) -> String {
        let fault = Diagnostic::new("bad").at(span).label("here");
        Faults::of(Source::file("p.toml", text), fault).to_string()
    }

    #[test]
    fn a_caret_stands_under_its_token() {
        assert_eq!(
            shown_at("a = 1\nbb = 22\n", 11..13),
            "error: bad\n  --> p.toml:2:6\n   |\n 2 | bb = 22\n   |      ^^ here\n\n\
             1 fault; nothing was run"
        );
    }

    #[test]
    fn tabs_and_wide_letters_keep_the_caret_aligned() {
        let out = shown_at("\t日本 = x", 10..11);
        assert!(
            out.contains(" 1 |     日本 = x\n   |            ^ here"),
            "{out}"
        );
        assert!(out.contains("p.toml:1:7"), "{out}");
    }

    #[test]
    fn a_span_of_several_lines_marks_the_first() {
        let out = shown_at("a = [\n 1,\n 2,\n]\n", 4..15);
        assert!(
            out.contains(" 1 | a = [\n   |     ^ here (up to line 4)"),
            "{out}"
        );
    }

    #[test]
    fn the_end_of_the_text_can_be_marked() {
        assert!(shown_at("a = ", 4..4).contains(" 1 | a = \n   |     ^ here"));
        assert!(shown_at("", 0..0).contains("p.toml:1:1"));
        assert!(shown_at("a\n", 90..95).contains("p.toml:2:1"));
        assert!(shown_at("ü", 1..2).contains("p.toml:1:1"));
    }

    #[test]
    fn a_long_line_is_cut_around_the_caret() {
        let text = format!("{}X{}", "a".repeat(5000), "b".repeat(5000));
        let out = shown_at(&text, 5000..5001);
        let line = out.lines().nth(3).unwrap();
        assert!(line.chars().count() < 140, "{line}");
        let caret = out.lines().nth(4).unwrap().find('^').unwrap();
        assert_eq!(&line[caret..=caret], "X");
        let all = shown_at(&text, 0..10_001);
        assert!(all.lines().nth(4).unwrap().len() < 140, "{all}");
    }

    #[test]
    fn the_command_line_has_no_line_number() {
        let fault = Diagnostic::new("bad").at(6..8);
        assert_eq!(
            Faults::of(Source::command_line("--set lr=1"), fault).to_string(),
            "error: bad\n  --> command line\n   |\n   | --set lr=1\n   |       ^^\n\n\
             1 fault; nothing was run"
        );
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        let fault = Diagnostic::new("bad \u{1b}[2J").at(0..1);
        let out = Faults::of(Source::file("p", "\u{1b}[2J"), fault).to_string();
        assert!(!out.contains('\u{1b}'), "{out}");
    }

    #[test]
    fn faults_come_in_the_order_of_the_text() {
        let mut faults = Faults::new();
        faults.read(Source::file("p", "a\nb\n"));
        let other = faults.read(Source::command_line("--set x=1"));
        faults.push(Diagnostic::new("third").at(other..other + 5));
        faults.push(Diagnostic::new("second").at(2..3));
        faults.push(Diagnostic::new("first").at(0..1));
        faults.push(Diagnostic::new("first").at(0..1));
        let out = faults.to_string();
        let order: Vec<&str> = out
            .lines()
            .filter(|line| line.starts_with("error"))
            .collect();
        assert_eq!(order, ["error: first", "error: second", "error: third"]);
        assert!(out.ends_with("3 faults; nothing was run"));
    }

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        let names = ["grpo", "ladder", "learning_rate"];
        assert_eq!(nearest("grop", names), Some("grpo"));
        assert_eq!(nearest("learning-rate", names), Some("learning_rate"));
        assert_eq!(nearest("report", names), None);
        assert_eq!(nearest("x", names), None);
    }
}
