//! Placeholders in strings: `{name}`, `{axis.field}`, and `{{` for a brace.
//! Finds and fills them; what a name means is the caller's.
use std::{borrow::Cow, ops::Range};

use toml::{Spanned, de::DeValue};

use crate::{
    diagnostic::Diagnostic,
    pipeline::node::{Node, scalar},
};

/// A part of a string.
#[derive(Debug, PartialEq)]
enum Piece<'s> {
    Text(&'s str),
    Name {
        name: &'s str,
        field: Option<&'s str>,
        /// Bytes of the string, braces included.
        at: Range<usize>,
    },
}

/// A placeholder with its place in the text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Use {
    pub(super) name: String,
    pub(super) field: Option<String>,
    pub(super) span: Range<usize>,
    /// Whether it is the whole value, whose type it then gives.
    pub(super) whole: bool,
}

/// The pieces of a string, or what is wrong where.
fn pieces(text: &str) -> Result<Vec<Piece<'_>>, (&'static str, Range<usize>)> {
    let mut pieces = Vec::new();
    let mut at = 0;
    while let Some(next) = text[at..].find(['{', '}']).map(|i| at + i) {
        if next > at {
            pieces.push(Piece::Text(&text[at..next]));
        }
        let rest = &text[next..];
        if rest.starts_with("{{") || rest.starts_with("}}") {
            pieces.push(Piece::Text(&rest[..1]));
            at = next + 2;
        } else if rest.starts_with('}') {
            return Err(("a `}` without its `{`", next..next + 1));
        } else {
            let Some(close) = rest.find('}') else {
                return Err(("a `{` without its `}`", next..next + 1));
            };
            let (name, field) = match rest[1..close].split_once('.') {
                Some((name, field)) => (name.trim(), Some(field.trim())),
                None => (rest[1..close].trim(), None),
            };
            let letters = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            let sound = |name: &str| !name.is_empty() && name.chars().all(letters);
            if !sound(name) || !field.is_none_or(sound) {
                return Err(("no name stands between `{` and `}`", next..next + close + 1));
            }
            pieces.push(Piece::Name {
                name,
                field,
                at: next..next + close + 1,
            });
            at = next + close + 1;
        }
    }
    if at < text.len() {
        pieces.push(Piece::Text(&text[at..]));
    }
    Ok(pieces)
}

/// Where a part of a string stands in the text: exact for a string without
/// escapes, else the whole token.
pub(super) fn part(token: &Range<usize>, text: &str, part: Range<usize>) -> Range<usize> {
    match token.len().checked_sub(text.len()) {
        // Quotes around it, or (on the command line) none.
        Some(quotes @ (0 | 2)) => {
            let start = token.start + quotes / 2;
            start + part.start..start + part.end
        }
        _ => token.clone(),
    }
}

/// All placeholders of a value, lists and tables in it included; each bad
/// brace is a fault.
pub(super) fn uses(node: &Node<'_>) -> (Vec<Use>, Vec<Diagnostic>) {
    let (mut found, mut bad) = (Vec::new(), Vec::new());
    collect(node, &mut found, &mut bad);
    (found, bad)
}

fn collect(node: &Node<'_>, found: &mut Vec<Use>, bad: &mut Vec<Diagnostic>) {
    match node.get_ref() {
        DeValue::String(text) if text.contains(['{', '}']) => match pieces(text) {
            Ok(pieces) => {
                let whole = pieces.len() == 1;
                for piece in pieces {
                    if let Piece::Name { name, field, at } = piece {
                        found.push(Use {
                            name: name.to_owned(),
                            field: field.map(str::to_owned),
                            span: part(&node.span(), text, at),
                            whole,
                        });
                    }
                }
            }
            Err((message, at)) => bad.push(
                Diagnostic::new(message)
                    .at(part(&node.span(), text, at))
                    .help("write `{{` and `}}` for braces; `{name}` is the value of a parameter or axis"),
            ),
        },
        DeValue::Array(items) => items.iter().for_each(|item| collect(item, found, bad)),
        DeValue::Table(table) => table.values().for_each(|item| collect(item, found, bad)),
        _ => {}
    }
}

/// Whether filling changes anything.
pub(super) fn has_braces(node: &Node<'_>) -> bool {
    match node.get_ref() {
        DeValue::String(text) => text.contains(['{', '}']),
        DeValue::Array(items) => items.iter().any(has_braces),
        DeValue::Table(table) => table.values().any(has_braces),
        _ => false,
    }
}

/// The value with its placeholders filled. A whole-value placeholder becomes
/// the value's own node at the placeholder's place. Names that `lookup` does
/// not know stay as they are: their fault has been told.
pub(super) fn fill<'n, 't: 'n>(
    node: &Node<'t>,
    lookup: &dyn Fn(&str, Option<&str>) -> Option<DeValue<'n>>,
) -> Node<'n> {
    let value = match node.get_ref() {
        DeValue::String(text) if text.contains(['{', '}']) => filled(text, lookup),
        DeValue::Array(items) => {
            DeValue::Array(items.iter().map(|item| fill(item, lookup)).collect())
        }
        DeValue::Table(table) => DeValue::Table(
            table
                .iter()
                .map(|(key, value)| (key.clone(), fill(value, lookup)))
                .collect(),
        ),
        scalar => scalar.clone(),
    };
    Spanned::new(node.span(), value)
}

/// The same for a value in which placeholders of the run stay: those that
/// `lookup` does not know. The result is a template again: what is filled in
/// is text, and braces stay doubled.
pub(super) fn fill_template<'n, 't: 'n>(
    node: &Node<'t>,
    lookup: &dyn Fn(&str, Option<&str>) -> Option<DeValue<'n>>,
) -> Node<'n> {
    let value = match node.get_ref() {
        DeValue::String(text) => template(text, lookup).map(|text| DeValue::String(text.into())),
        DeValue::Array(items) => Some(DeValue::Array(
            items
                .iter()
                .map(|item| fill_template(item, lookup))
                .collect(),
        )),
        DeValue::Table(table) => Some(DeValue::Table(
            table
                .iter()
                .map(|(key, value)| (key.clone(), fill_template(value, lookup)))
                .collect(),
        )),
        _ => None,
    };
    let value = value.unwrap_or_else(|| node.get_ref().clone());
    Spanned::new(node.span(), value)
}

/// None where nothing is to be filled in.
fn template<'n>(
    text: &str,
    lookup: &dyn Fn(&str, Option<&str>) -> Option<DeValue<'n>>,
) -> Option<String> {
    let doubled = |text: &str| text.replace('{', "{{").replace('}', "}}");
    let mut out = String::new();
    for piece in pieces(text).ok()? {
        match piece {
            Piece::Text(part) => out.push_str(&doubled(part)),
            Piece::Name { name, field, at } => {
                let value = lookup(name, field).map(|value| Spanned::new(at.clone(), value));
                match value.as_ref().map(scalar) {
                    Some(Ok(scalar)) => out.push_str(&doubled(&scalar.to_string())),
                    _ => match field {
                        Some(field) => out.push_str(&format!("{{{name}.{field}}}")),
                        None => out.push_str(&text[at]),
                    },
                }
            }
        }
    }
    Some(out)
}

fn filled<'n>(
    text: &str,
    lookup: &dyn Fn(&str, Option<&str>) -> Option<DeValue<'n>>,
) -> DeValue<'n> {
    let Ok(pieces) = pieces(text) else {
        return DeValue::String(Cow::Owned(text.to_owned()));
    };
    if let [Piece::Name { name, field, .. }] = pieces.as_slice() {
        return lookup(name, *field)
            .unwrap_or_else(|| DeValue::String(Cow::Owned(text.to_owned())));
    }
    let mut out = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(part) => out.push_str(part),
            Piece::Name { name, field, at } => {
                let value = lookup(name, field).map(|value| Spanned::new(at.clone(), value));
                match value.as_ref().map(scalar) {
                    Some(Ok(scalar)) => out.push_str(&scalar.to_string()),
                    _ => out.push_str(&text[at]),
                }
            }
        }
    }
    DeValue::String(Cow::Owned(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled_with_x(text: &str, x: &'static str) -> String {
        let node = Spanned::new(0..text.len(), DeValue::String(Cow::Borrowed(text)));
        let filled = fill(&node, &|name, field| {
            let value = DeValue::parse(x).unwrap().into_inner();
            match field {
                Some(field) => value.get(field).map(|node| node.get_ref().clone()),
                None => (name == "x").then_some(value),
            }
        });
        match filled.get_ref() {
            DeValue::String(text) => format!("{text:?}"),
            other => crate::pipeline::node::describe(other),
        }
    }

    #[test]
    fn a_whole_value_takes_the_type() {
        assert_eq!(filled_with_x("{x}", "1_000"), "the number 1000");
        assert_eq!(filled_with_x("{ x }", "[1]"), "a list");
        assert_eq!(filled_with_x("{x}", "\"a\""), "\"a\"");
        assert_eq!(filled_with_x("{x.y}", "{ y = true }"), "`true`");
    }

    #[test]
    fn inside_a_string_values_are_text_however_they_are_spelled() {
        assert_eq!(filled_with_x("a-{x}.b", "0.0001"), "\"a-1e-4.b\"");
        assert_eq!(filled_with_x("a-{x}.b", "1e-4"), "\"a-1e-4.b\"");
        assert_eq!(filled_with_x("{x}{x}", "7"), "\"77\"");
    }

    #[test]
    fn doubled_braces_are_braces() {
        assert_eq!(filled_with_x("{{x}}", "1"), "\"{x}\"");
        assert_eq!(
            filled_with_x("awk '{{print {x}}}'", "1"),
            "\"awk '{print 1}'\""
        );
    }

    #[test]
    fn a_template_keeps_what_it_does_not_know() {
        let text = "{{a}} {x} { files.s } {x}";
        let node = Spanned::new(0..text.len(), DeValue::String(Cow::Borrowed(text)));
        let filled = fill_template(&node, &|name, _| {
            (name == "x").then(|| DeValue::String("b}".into()))
        });
        assert_eq!(filled.get_ref().as_str(), Some("{{a}} b}} {files.s} b}}"));
    }

    #[test]
    fn bad_braces_are_told_with_their_place() {
        assert_eq!(pieces("a}b"), Err(("a `}` without its `{`", 1..2)));
        assert_eq!(pieces("a{b"), Err(("a `{` without its `}`", 1..2)));
        assert_eq!(pieces("{}").unwrap_err().1, 0..2);
        assert_eq!(pieces("{a.b.c}").unwrap_err().1, 0..7);
        assert_eq!(pieces("{ü}").unwrap_err().1, 0..4);
    }
}
