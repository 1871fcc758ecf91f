//! Text to a TOML tree, and what is said where the text is not TOML.
use std::ops::Range;

use toml::de::DeTable;

use crate::diagnostic::{Diagnostic, Faults};

/// Duplicate keys that are told at once.
const DUPLICATES: usize = 20;

/// The tree of a text. The parser goes on after a fault; only its first is
/// told, for the rest may follow from it, but every duplicate key is.
pub(super) fn parse<'t>(text: &'t str, faults: &mut Faults) -> Option<DeTable<'t>> {
    let (tree, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Some(tree.into_inner());
    }
    let duplicate = |error: &toml::de::Error| error.message() == "duplicate key";
    let all = errors.iter().all(duplicate);
    // The last table that stands twice: its keys are told with it.
    let mut table: Option<usize> = None;
    for error in errors.iter().take(if all { DUPLICATES } else { 1 }) {
        let span = error.span().unwrap_or(text.len()..text.len());
        if !duplicate(error) {
            faults.push(Diagnostic::new(format!("not TOML: {}", error.message())).at(span));
        } else if is_header(line_of(text, span.start)) {
            table = Some(span.start);
            faults.push(twice(text, span));
        } else if table.is_none_or(|start| text[start..span.start].lines().any(is_header)) {
            faults.push(twice(text, span));
        }
    }
    None
}

/// The line around an offset.
fn line_of(text: &str, offset: usize) -> &str {
    let start = text[..offset].rfind('\n').map_or(0, |i| i + 1);
    text[start..].lines().next().unwrap_or("")
}

/// Whether a line begins a table.
fn is_header(line: &str) -> bool {
    line.trim_start().starts_with('[')
}

/// A key that stands twice, with the place of the first where a plain search
/// finds it.
fn twice(text: &str, span: Range<usize>) -> Diagnostic {
    let before = &text[..text[..span.start].rfind('\n').map_or(0, |i| i + 1)];
    let key = &text[span.clone()];
    let line = line_of(text, span.start);
    let header = is_header(line);
    let lines = before
        .split_inclusive('\n')
        .scan(0, |at, line| {
            let start = *at;
            *at += line.len();
            Some((start, line))
        })
        .collect::<Vec<_>>();
    let same = |other: &str| {
        if header {
            let bare = |line: &str| line.split('#').next().map(|l| l.trim().to_owned());
            bare(other) == bare(line)
        } else {
            let rest = other.trim_start().strip_prefix(key);
            rest.is_some_and(|rest| rest.trim_start().starts_with('='))
        }
    };
    let first = lines
        .iter()
        .rev()
        .take_while(|(_, line)| header || !is_header(line))
        .find(|(_, line)| same(line))
        .and_then(|(start, line)| Some((start + line.find(key)?, key.len())));
    let what = match line.trim_start().strip_prefix("[stages.") {
        Some(_) if header => "stage ",
        _ => "",
    };
    let fault = Diagnostic::new(format!("{what}`{key}` is defined twice"))
        .at(span)
        .label("again here");
    match first {
        Some((start, len)) => fault.also(start..start + len, "first here"),
        None => fault,
    }
}
