//! From an instance to its manifest, key, shape and family.
//!
//! The manifest is the one value that says everything a result depends on: it
//! is hashed for the key, stored in the record, and compared by `why`.
use serde_json::{Map, Value, json};

use crate::{
    cache::{Content, Outputs},
    digest::{Digest, Key},
    engine::externals::Outside,
    pipeline::{Input, Instance},
    stage::{Arity, Delivery, Kind},
};

/// Version of the manifest's form; part of every key.
pub const FORMAT_VERSION: u32 = 1;

/// The outputs of an instance whose result is known.
pub type Settled = Outputs;

/// Everything an instance's result depends on.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest(pub Value);

impl Manifest {
    /// The manifest without input digests: what is known before anything ran.
    pub fn shape(kind: &Kind, instance: &Instance, outside: &Outside) -> Manifest {
        Manifest::build(kind, instance, outside, |_, _| Value::Null)
    }

    /// The full manifest; `content` gives the artifact on (input, source).
    pub fn full<'a>(
        kind: &Kind,
        instance: &Instance,
        outside: &Outside,
        content: impl Fn(usize, usize) -> &'a Content,
    ) -> Manifest {
        Manifest::build(kind, instance, outside, |input, source| {
            json!(content(input, source).digest)
        })
    }

    /// What is known of the full manifest so far: a digest that is not known
    /// yet is null, as in the shape.
    pub(super) fn partial<'a>(
        kind: &Kind,
        instance: &Instance,
        outside: &Outside,
        content: impl Fn(usize, usize) -> Option<&'a Content>,
    ) -> Manifest {
        Manifest::build(kind, instance, outside, |input, source| {
            json!(content(input, source).map(|content| content.digest))
        })
    }

    fn build(
        kind: &Kind,
        instance: &Instance,
        outside: &Outside,
        digest: impl Fn(usize, usize) -> Value,
    ) -> Manifest {
        let mut params = instance.params.as_object().cloned().unwrap_or_default();
        // The content of an external counts, its place does not.
        params.retain(|name, _| !outside.digests.contains_key(name.as_str()));
        instance.action.keyed(&mut params);
        let mut manifest = Map::new();
        manifest.insert("format".into(), json!(FORMAT_VERSION));
        manifest.insert("kind".into(), json!(kind.name));
        manifest.insert("version".into(), json!(kind.version));
        if let Some(version) = kind.lm {
            manifest.insert("lm".into(), json!(version));
        }
        manifest.insert("params".into(), Value::Object(params));
        if !outside.digests.is_empty() {
            manifest.insert("externals".into(), json!(outside.digests));
        }
        if !outside.variables.is_empty() {
            manifest.insert("variables".into(), json!(outside.variables));
        }
        let inputs = instance.inputs.iter().enumerate();
        let inputs: Map<String, Value> = inputs
            .map(|(i, input)| {
                let value = port_value(i, input, &digest);
                (input.port.name.to_owned(), delivered(kind, input, value))
            })
            .collect();
        manifest.insert("inputs".into(), Value::Object(inputs));
        Manifest(Value::Object(manifest))
    }

    pub fn key(&self) -> Key {
        Key::of(&self.0)
    }

    pub fn digest(&self) -> Digest {
        Digest::of_json(&self.0)
    }

    /// The manifest without the progressive parameter, hashed: what leases
    /// and snapshots are filed under. For other kinds that of the whole.
    pub fn family(&self, kind: &Kind) -> Digest {
        let mut value = self.0.clone();
        if let Some(param) = kind.progressive
            && let Some(params) = value.get_mut("params").and_then(Value::as_object_mut)
        {
            params.remove(param);
        }
        Digest::of_json(&value)
    }
}

/// A foreign program sees how its inputs are delivered.
fn delivered(kind: &Kind, input: &Input, value: Value) -> Value {
    match (kind.open, input.sources.first()) {
        (Some(_), Some(source)) => match source.output.delivery() {
            Delivery::Files(ending) if ending.is_empty() => value,
            delivery => json!({ "as": delivery, "from": value }),
        },
        _ => value,
    }
}

fn port_value(index: usize, input: &Input, digest: &impl Fn(usize, usize) -> Value) -> Value {
    match (input.port.arity, input.sources.as_slice()) {
        (Arity::One, [_]) => digest(index, 0),
        (_, sources) => {
            let items = sources.iter().enumerate();
            items
                .map(|(j, source)| json!({ "at": source.coords, "digest": digest(index, j) }))
                .collect()
        }
    }
}

/// The progressive parameter's value; `None` for kinds without one.
pub(super) fn mark(kind: &Kind, instance: &Instance) -> Option<u64> {
    kind.progressive
        .and_then(|param| instance.params.get(param))
        .and_then(Value::as_u64)
}
