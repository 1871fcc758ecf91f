//! The JSON Schema of pipeline files. It takes every file that `vgh` takes;
//! what hangs on names (axes, stages, placeholders) only `vgh` can judge.
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::{
    form::{
        parameter::text,
        reserved::{placeholder, reserved},
    },
    pipeline::RESERVED,
    stage::Kind,
};

/// What can name a stage, an axis, a parameter.
const NAME: &str = "^[A-Za-z0-9_][A-Za-z0-9_-]{0,79}$";

/// A schema in the dialect 2020-12.
pub fn pipeline_schema(kinds: &[Kind]) -> Value {
    let mut definitions = Map::new();
    for kind in kinds {
        let (stage, helpers) = stage(kind);
        definitions.insert(definition(kind), stage);
        definitions.extend(helpers);
    }
    let names: Vec<&str> = kinds.iter().map(|kind| kind.name).collect();
    let by_kind: Vec<Value> = kinds
        .iter()
        .map(|kind| {
            json!({
                "if": { "properties": { "kind": { "const": kind.name } }, "required": ["kind"] },
                "then": { "$ref": format!("#/$defs/{}", definition(kind)) },
            })
        })
        .collect();
    definitions.insert(
        "stage".into(),
        json!({
            "type": "object",
            "properties": { "kind": { "enum": names } },
            "required": ["kind"],
            "allOf": by_kind,
        }),
    );
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A pipeline of vgh",
        "type": "object",
        "properties": {
            "pipeline": head(),
            "defaults": defaults(kinds),
            "params": {
                "description": "Values to be read as \"{name}\"",
                "type": "object", "propertyNames": { "pattern": NAME },
            },
            "axes": {
                "description": "Axes that stages can be over",
                "type": "object", "propertyNames": { "pattern": NAME },
                "additionalProperties": axis(),
            },
            "stages": {
                "type": "object", "propertyNames": { "pattern": NAME }, "minProperties": 1,
                "additionalProperties": { "$ref": "#/$defs/stage" },
            },
        },
        "required": ["pipeline", "stages"],
        "additionalProperties": false,
        "allOf": required_somewhere(kinds),
        "$defs": definitions,
    })
}

fn definition(kind: &Kind) -> String {
    format!("stage-{}", kind.name)
}

fn head() -> Value {
    json!({
        "type": "object",
        "properties": {
            "format": { "const": 1 },
            "name": { "type": "string", "pattern": NAME,
                      "description": "results/NAME holds what people read" },
        },
        "required": ["format", "name"],
        "additionalProperties": false,
    })
}

fn axis() -> Value {
    let scalar = json!({ "type": ["string", "number", "boolean"] });
    let record = json!({
        "type": "object", "properties": { "name": { "type": "string" } }, "required": ["name"],
    });
    let number = json!({ "type": "number" });
    json!({ "anyOf": [
        { "type": "array", "items": scalar, "minItems": 1 },
        { "type": "array", "items": record, "minItems": 1 },
        { "type": "object", "properties": { "from": number, "to": number, "by": number },
          "required": ["from", "to", "by"], "additionalProperties": false },
    ] })
}

/// Every parameter of any kind; a value must suit one of the kinds that have it.
fn defaults(kinds: &[Kind]) -> Value {
    let mut options: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for kind in kinds {
        let (stage, _) = stage(kind);
        for (name, schema) in stage["properties"].as_object().into_iter().flatten() {
            let known = options.entry(name.clone()).or_default();
            if !RESERVED.contains(&name.as_str()) && !known.contains(schema) {
                known.push(schema.clone());
            }
        }
    }
    options.retain(|_, schemas| !schemas.is_empty());
    let properties: Map<String, Value> = options
        .into_iter()
        .map(|(name, schemas)| (name, json!({ "anyOf": schemas })))
        .collect();
    json!({
        "description": "Values for every kind that has the parameter",
        "type": "object", "properties": properties, "additionalProperties": false,
    })
}

/// A parameter that a kind requires stands in the stage or in the defaults.
fn required_somewhere(kinds: &[Kind]) -> Vec<Value> {
    let mut by_param: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for kind in kinds {
        let schema = (kind.schema)().to_value();
        for name in schema["required"].as_array().into_iter().flatten() {
            let name = name.as_str().unwrap_or_default().to_owned();
            by_param.entry(name).or_default().insert(kind.name);
        }
    }
    let one = |(param, kinds): (String, BTreeSet<&str>)| {
        let in_stage = json!({
            "if": { "properties": { "kind": { "enum": kinds } }, "required": ["kind"] },
            "then": { "required": [param] },
        });
        json!({ "anyOf": [
            { "required": ["defaults"], "properties": { "defaults": { "required": [param] } } },
            { "properties": { "stages": { "additionalProperties": in_stage } } },
        ] })
    };
    by_param.into_iter().map(one).collect()
}

/// The table of a stage of this kind, and the definitions that it refers to.
fn stage(kind: &Kind) -> (Value, Map<String, Value>) {
    let mut schema = (kind.schema)().to_value();
    let prefix = format!("{}.", kind.name);
    rename(&mut schema, &prefix);
    let mut properties = Map::new();
    for word in RESERVED {
        properties.insert(word.to_owned(), reserved(word).unwrap_or(json!({})));
    }
    properties.insert("kind".into(), json!({ "const": kind.name }));
    properties.insert("inputs".into(), inputs(kind));
    for (name, about) in schema["properties"].as_object().into_iter().flatten() {
        properties.insert(name.clone(), loosened(about));
    }
    let helpers = schema["$defs"].as_object().into_iter().flatten();
    let helpers = helpers
        .map(|(name, schema)| (format!("{prefix}{name}"), loosened(schema)))
        .collect();
    let wired = kind.ports.inputs.iter().any(|port| port.required);
    let required: &[&str] = if wired {
        &["kind", "inputs"]
    } else {
        &["kind"]
    };
    let table = json!({
        "description": format!("{}. {}", kind.about, text(&schema)),
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    });
    (table, helpers)
}

fn inputs(kind: &Kind) -> Value {
    let reference = json!({ "anyOf": [
        { "type": "string" },
        { "type": "array", "items": { "type": "string" } },
    ] });
    let ports: Map<String, Value> = kind
        .ports
        .inputs
        .iter()
        .map(|port| {
            let mut schema = reference.clone();
            schema["description"] = port.about.into();
            (port.name.to_owned(), schema)
        })
        .collect();
    let required: Vec<&str> = kind
        .ports
        .inputs
        .iter()
        .filter(|port| port.required)
        .map(|port| port.name)
        .collect();
    // The text of the pipeline names the ports of an open kind.
    let others = kind.open.map_or(json!(false), |_| reference);
    json!({
        "description": "Stages whose results it takes, by port",
        "type": "object", "properties": ports, "required": required,
        "additionalProperties": others,
    })
}

/// Lets references lead to the definitions of the whole file.
fn rename(schema: &mut Value, prefix: &str) {
    match schema {
        Value::Object(fields) => {
            for (name, value) in fields {
                match (name.as_str(), value) {
                    ("$ref", Value::String(place)) => {
                        if let Some(name) = place.strip_prefix("#/$defs/") {
                            *place = format!("#/$defs/{prefix}{name}");
                        }
                    }
                    (_, value) => rename(value, prefix),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, prefix)),
        _ => {}
    }
}

/// The same schema in which a placeholder may stand for any value but a table.
/// Formats and widths of numbers are Rust's, and say nothing to an editor.
fn loosened(schema: &Value) -> Value {
    let mut schema = schema.clone();
    let Some(fields) = schema.as_object_mut() else {
        return schema;
    };
    fields.remove("format");
    for name in ["items", "additionalProperties"] {
        if let Some(inner) = fields.get_mut(name).filter(|inner| inner.is_object()) {
            *inner = loosened(inner);
        }
    }
    for name in ["properties", "$defs"] {
        for inner in fields
            .get_mut(name)
            .and_then(Value::as_object_mut)
            .into_iter()
            .flatten()
        {
            *inner.1 = loosened(inner.1);
        }
    }
    let text =
        fields.get("type").is_some_and(|kind| kind == "string") && !fields.contains_key("enum");
    if text || fields.get("type").is_some_and(|kind| kind == "object") {
        return schema;
    }
    let about = fields.remove("description");
    let default = fields.remove("default");
    let mut outer = json!({ "anyOf": [schema, placeholder()] });
    if let Some(about) = about {
        outer["description"] = about;
    }
    if let Some(default) = default {
        outer["default"] = default;
    }
    outer
}
