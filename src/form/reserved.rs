//! JSON Schemas of the words of a stage that are not parameters of its kind.
use serde_json::{Value, json};

/// A placeholder stands for a value of any type.
pub(super) fn or_placeholder(schema: &Value) -> Value {
    json!({ "anyOf": [schema, placeholder()] })
}

pub(super) fn placeholder() -> Value {
    json!({ "type": "string", "pattern": "\\{.+\\}" })
}

/// What may follow a reserved word; none for a word that this file forgot.
/// `inputs` depends on the kind and stands in the schema of each.
pub(super) fn reserved(word: &str) -> Option<Value> {
    let count = json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX });
    let bytes = json!({ "anyOf": [
        { "type": "integer", "minimum": 0 },
        { "type": "string", "pattern": "^[0-9.]+ *([kMGT]i?)?B$|^[0-9.]+ *KiB$|\\{.+\\}" },
    ] });
    let time = json!({ "anyOf": [
        { "type": "number", "exclusiveMinimum": 0 },
        { "type": "string", "pattern": "^[0-9.]+ *(s|min|h|d)$|\\{.+\\}" },
    ] });
    Some(match word {
        "kind" => json!({ "type": "string" }),
        "over" => json!({
            "description": "Axes: one instance for each of their values",
            "type": "array", "items": { "type": "string" }, "uniqueItems": true,
        }),
        "inputs" => json!({ "type": "object" }),
        "resources" => json!({
            "description": "What one execution takes; scheduling only, never in the key",
            "type": "object",
            "properties": {
                "cpu": or_placeholder(&count), "gpu": or_placeholder(&count),
                "network": or_placeholder(&count),
                "memory": bytes, "disk": bytes, "time": time,
            },
            "additionalProperties": false,
        }),
        "retries" => described("Further attempts after a failure", &or_placeholder(&count)),
        "temp" => described(
            "Whether the bytes may go once their last consumer is done",
            &or_placeholder(&json!({ "type": "boolean" })),
        ),
        "publish" => described(
            "Whether results are copied to the folder for people (default: yes, but not \
             what is `temp`, nor a checkpoint that exists elsewhere)",
            &or_placeholder(&json!({ "type": "boolean" })),
        ),
        "snapshots" => described(
            "Which resume states a progressive stage keeps",
            &or_placeholder(&json!({ "enum": ["last", "none"] })),
        ),
        _ => return None,
    })
}

fn described(about: &str, schema: &Value) -> Value {
    let mut schema = schema.clone();
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("description".to_owned(), about.into());
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::RESERVED;

    #[test]
    fn every_reserved_word_has_its_schema() {
        for word in RESERVED {
            assert!(reserved(word).is_some(), "{word}");
        }
    }
}
