//! The parameters of a kind in words.
use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;

use crate::stage::Kind;

/// One parameter as a pipeline writes it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Parameter {
    pub name: String,
    /// `number`, `list of numbers`, `"a" or "b"`.
    #[serde(rename = "type")]
    pub takes: String,
    /// Null where it has to be written.
    pub default: Option<Value>,
    pub required: bool,
    /// What the type alone allows, such as `at least 0`; empty for everything.
    pub range: String,
    /// Meaning, unit and allowed range.
    pub about: String,
}

/// In the order of the struct's fields, as far as the schema keeps it.
pub fn parameters(kind: &Kind) -> Vec<Parameter> {
    let schema = (kind.schema)().to_value();
    let required: BTreeSet<&str> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let properties = schema["properties"].as_object().into_iter().flatten();
    properties
        .map(|(name, about)| Parameter {
            name: name.clone(),
            takes: takes(about, &schema),
            default: about.get("default").cloned(),
            required: required.contains(name.as_str()),
            range: range(resolved(about, &schema)),
            about: text(about),
        })
        .collect()
}

/// The description with its lines joined.
pub(super) fn text(schema: &Value) -> String {
    let text = schema["description"].as_str().unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Follows a reference into the definitions.
fn resolved<'a>(schema: &'a Value, root: &'a Value) -> &'a Value {
    let name = schema["$ref"]
        .as_str()
        .and_then(|place| place.strip_prefix("#/$defs/"));
    match name {
        Some(name) => &root["$defs"][name],
        None => schema,
    }
}

fn takes(schema: &Value, root: &Value) -> String {
    let schema = resolved(schema, root);
    for several in ["anyOf", "oneOf"] {
        if let Some(options) = schema[several].as_array() {
            let mut words: Vec<String> = options
                .iter()
                .filter(|option| option["type"] != "null")
                .map(|option| takes(option, root))
                .collect();
            words.dedup();
            return words.join(" or ");
        }
    }
    if let Some(value) = schema.get("const") {
        return value.to_string();
    }
    if let Some(values) = schema["enum"].as_array() {
        let words: Vec<String> = values.iter().map(Value::to_string).collect();
        return words.join(" or ");
    }
    match schema["type"].as_str().or_else(|| nullable(schema)) {
        Some("array") => format!("list of {}s", takes(&schema["items"], root)),
        Some("integer") => "whole number".to_owned(),
        Some("boolean") => "true or false".to_owned(),
        Some("object") => "table".to_owned(),
        Some(other) => other.to_owned(),
        None => "anything".to_owned(),
    }
}

/// The type in `["number", "null"]`.
fn nullable(schema: &Value) -> Option<&str> {
    let mut types = schema["type"].as_array()?.iter().filter_map(Value::as_str);
    types.find(|name| *name != "null")
}

fn range(schema: &Value) -> String {
    // That a count is not negative goes without saying.
    let told = |bound: &&Value| bound.as_f64() != Some(0.0);
    let bound = |name: &str, word: &str| {
        let bound = schema.get(name).filter(told)?;
        Some(format!("{word} {bound}"))
    };
    let parts = [bound("minimum", "at least"), bound("maximum", "at most")];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}
