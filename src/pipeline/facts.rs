//! What the schema of a kind says of its parameters.
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::stage::Kind;

pub(super) struct Facts {
    pub(super) known: BTreeSet<String>,
    pub(super) required: Vec<String>,
    pub(super) defaults: BTreeMap<String, Value>,
}

impl Facts {
    pub(super) fn of(kind: &Kind) -> Facts {
        let schema = (kind.schema)();
        let properties = schema.get("properties").and_then(Value::as_object);
        let properties = || properties.into_iter().flatten();
        Facts {
            known: properties().map(|(name, _)| name.clone()).collect(),
            required: schema
                .get("required")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(|name| name.as_str().map(str::to_owned))
                .collect(),
            defaults: properties()
                .filter_map(|(name, about)| Some((name.clone(), about.get("default")?.clone())))
                .collect(),
        }
    }
}
