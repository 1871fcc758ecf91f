//! What serde and the kinds say about parameters, in terms of TOML.
use std::ops::Range;

use toml::de::DeValue;

use crate::{
    diagnostic::{Diagnostic, nearest},
    pipeline::node::Node,
};

/// A message of serde about the parameter `key`, as a fault without a place.
pub(super) fn readable(key: &str, message: &str) -> Diagnostic {
    if let Some(rest) = message.strip_prefix("invalid type: ")
        && let Some((found, wanted)) = rest.rsplit_once(", expected ")
    {
        return Diagnostic::new(format!(
            "`{key}` takes {}, not {}",
            expected(wanted),
            unexpected(found)
        ));
    }
    if let Some(rest) = message
        .strip_prefix("invalid value: ")
        .or_else(|| message.strip_prefix("invalid length "))
        && let Some((found, wanted)) = rest.rsplit_once(", expected ")
    {
        return Diagnostic::new(format!(
            "`{key}` takes {}, not {}",
            expected(wanted),
            unexpected(found)
        ));
    }
    if let Some(rest) = message.strip_prefix("unknown variant `")
        && let Some((found, names)) = rest.split_once('`')
    {
        return choice(
            format!("`{key}` cannot be \"{found}\""),
            found,
            names,
            "one of",
        );
    }
    if let Some(rest) = message.strip_prefix("unknown field `")
        && let Some((found, names)) = rest.split_once('`')
    {
        return choice(
            format!("`{key}` has no field `{found}`"),
            found,
            names,
            "fields",
        );
    }
    if let Some(field) = message.strip_prefix("missing field ") {
        return Diagnostic::new(format!("`{key}` needs the field {field}"));
    }
    match message {
        "wanted string or table" => Diagnostic::new(format!("`{key}` takes a string")),
        "integer number overflowed" => {
            Diagnostic::new(format!("`{key}` does not fit into 64 bits"))
        }
        other => Diagnostic::new(format!("`{key}`: {other}")),
    }
}

/// `names` is what serde lists: "a, b" with each name in backticks.
fn choice(message: String, found: &str, names: &str, what: &str) -> Diagnostic {
    let names: Vec<&str> = names.split('`').skip(1).step_by(2).collect();
    let fault = Diagnostic::new(message);
    if names.is_empty() {
        return fault;
    }
    let fault = fault.label(format!("{what}: {}", names.join(", ")));
    match nearest(found, names) {
        Some(near) => fault.help(format!("did you mean `{near}`?")),
        None => fault,
    }
}

fn expected(wanted: &str) -> String {
    match wanted {
        "u8" => "a whole number from 0 to 255".to_owned(),
        "u16" => "a whole number from 0 to 65535".to_owned(),
        "u32" | "u64" | "u128" | "usize" => "a whole number of 0 or more".to_owned(),
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => "a whole number".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "a boolean" => "`true` or `false`".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "a table".to_owned(),
        "path string" => "a path".to_owned(),
        "a borrowed string" | "a string" => "a string".to_owned(),
        "string or map" | "string or table" => "a string or a table".to_owned(),
        other if other.starts_with("a nonzero u") => "a whole number of 1 or more".to_owned(),
        other if other.starts_with("struct ") => "a table".to_owned(),
        other => match other.strip_prefix("an array of length ") {
            Some(length) => format!("a list of {length}"),
            None => other.to_owned(),
        },
    }
}

fn unexpected(found: &str) -> String {
    let number = |rest: &str| rest.trim_matches('`').to_owned();
    if let Some(rest) = found.strip_prefix("integer ") {
        return number(rest);
    }
    if let Some(rest) = found.strip_prefix("floating point ") {
        return number(rest);
    }
    if let Some(rest) = found.strip_prefix("string ") {
        return format!("the string {rest}");
    }
    if let Some(rest) = found.strip_prefix("boolean ") {
        return rest.to_owned();
    }
    match found {
        "sequence" => "a list".to_owned(),
        "map" => "a table".to_owned(),
        other => other.to_owned(),
    }
}

/// Whether a value holds a node at this place: what a placeholder put in
/// stands elsewhere in the text.
pub(super) fn contains(node: &Node<'_>, span: &Range<usize>) -> bool {
    node.span() == *span
        || match node.get_ref() {
            DeValue::Array(items) => items.iter().any(|item| contains(item, span)),
            DeValue::Table(table) => table
                .iter()
                .any(|(key, value)| key.span() == *span || contains(value, span)),
            _ => false,
        }
}

/// A fault with the combinations that have it.
pub(super) struct Refused {
    pub(super) fault: Diagnostic,
    /// The first combination, by number.
    pub(super) first: usize,
    last: usize,
    pub(super) count: usize,
}

impl Refused {
    /// One place is told once, however many combinations are refused there.
    pub(super) fn note(refused: &mut Vec<Refused>, fault: Diagnostic, index: usize) {
        match refused
            .iter_mut()
            .find(|other| other.fault.span == fault.span)
        {
            Some(known) if known.last == index => {}
            Some(known) => {
                known.count += 1;
                known.last = index;
            }
            None => refused.push(Refused {
                fault,
                first: index,
                last: index,
                count: 1,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Remark;

    #[test]
    fn types_are_told_as_toml_has_them() {
        let told = |message: &str| readable("k", message).message;
        assert_eq!(
            told("invalid type: string \"ten, expected one\", expected u32"),
            "`k` takes a whole number of 0 or more, not the string \"ten, expected one\""
        );
        assert_eq!(
            told("invalid value: integer `-1`, expected u32"),
            "`k` takes a whole number of 0 or more, not -1"
        );
        assert_eq!(
            told("invalid type: map, expected a sequence"),
            "`k` takes a list, not a table"
        );
        assert_eq!(
            told("invalid type: floating point `1.5`, expected usize"),
            "`k` takes a whole number of 0 or more, not 1.5"
        );
    }

    #[test]
    fn choices_are_listed_with_the_nearest() {
        let fault = readable(
            "k",
            "unknown variant `meann`, expected one of `mean`, `none`, `std`",
        );
        assert_eq!(fault.message, "`k` cannot be \"meann\"");
        assert_eq!(fault.label, "one of: mean, none, std");
        assert_eq!(fault.remarks, [Remark::Help("did you mean `mean`?".into())]);
        let fault = readable("k", "unknown field `x`, there are no fields");
        assert_eq!(
            (fault.message.as_str(), fault.label.as_str()),
            ("`k` has no field `x`", "")
        );
    }
}
