//! TOML nodes: what they are called, the scalars in them, and their spans.
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::{artifact::Scalar, diagnostic::Diagnostic};

/// A value of the text with its place.
pub(super) type Node<'t> = Spanned<DeValue<'t>>;

/// A key with its value.
#[derive(Debug, Clone)]
pub(super) struct Entry<'t> {
    pub(super) key: Spanned<String>,
    pub(super) value: Node<'t>,
}

/// The entries of a table in the order of the text.
pub(super) fn entries<'t>(table: DeTable<'t>) -> Vec<Entry<'t>> {
    let mut entries: Vec<Entry<'t>> = table
        .into_iter()
        .map(|(key, value)| Entry {
            key: Spanned::new(key.span(), key.into_inner().into_owned()),
            value,
        })
        .collect();
    entries.sort_by_key(|entry| entry.key.span().start);
    entries
}

/// What a value is, in words: "the number 5", "a list".
pub(super) fn describe(value: &DeValue<'_>) -> String {
    const LONGEST: usize = 40;
    match value {
        DeValue::String(text) if text.chars().count() > LONGEST => {
            let start: String = text.chars().take(LONGEST).collect();
            format!("the string \"{start}...\"")
        }
        DeValue::String(text) => format!("the string \"{text}\""),
        DeValue::Integer(number) => format!("the number {number}"),
        DeValue::Float(number) => format!("the number {number}"),
        DeValue::Boolean(value) => format!("`{value}`"),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

/// The scalar in a node; a fault for anything else, and for a number that no
/// other number equals or that has no 64-bit form.
pub(super) fn scalar(node: &Node<'_>) -> Result<Scalar, Diagnostic> {
    let refused = |message: String| Err(Diagnostic::new(message).at(node.span()));
    match node.get_ref() {
        DeValue::String(text) => Ok(Scalar::Text(text.to_string())),
        DeValue::Boolean(value) => Ok(Scalar::Bool(*value)),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Ok(Scalar::Int(number)),
            Err(_) => refused(format!("{number} does not fit into 64 bits")),
        },
        DeValue::Float(number) => match number.as_str().parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Scalar::Float(number)),
            _ => refused(format!("{number} is not a finite number")),
        },
        other => refused(format!(
            "{} stands where a number, a string, `true` or `false` belongs",
            describe(other)
        )),
    }
}

/// A number as TOML writes it, such that it reads as the same number and type.
pub(super) fn spelled(scalar: &Scalar) -> String {
    match scalar {
        Scalar::Float(value) => format!("{value:?}"),
        other => other.to_string(),
    }
}

/// The same value with every span moved `by` bytes on.
pub(super) fn moved(node: Node<'_>, by: usize) -> Node<'_> {
    let span = node.span();
    let value = match node.into_inner() {
        DeValue::Array(items) => {
            DeValue::Array(items.into_iter().map(|item| moved(item, by)).collect())
        }
        DeValue::Table(table) => DeValue::Table(
            table
                .into_iter()
                .map(|(key, value)| {
                    let span = key.span();
                    let key = Spanned::new(span.start + by..span.end + by, key.into_inner());
                    (key, moved(value, by))
                })
                .collect(),
        ),
        scalar => scalar,
    };
    Spanned::new(span.start + by..span.end + by, value)
}
