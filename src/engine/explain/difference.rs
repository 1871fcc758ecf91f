//! The structural difference of two manifests: every entry by its path, every
//! input by port and coordinates. Pure.
use std::{cmp::Ordering, collections::BTreeMap};

use serde::Serialize;
use serde_json::Value;

use crate::{
    artifact::{Coords, show_coords},
    digest::Digest,
};

/// One thing in which two manifests differ.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum Difference {
    /// A parameter, the content of an external, a version; none where one of
    /// the two has no such entry.
    Entry {
        /// `params.alpha`, `externals.path`, `version`.
        path: String,
        before: Option<Value>,
        now: Option<Value>,
    },
    /// Another artifact on an input port; none where one of the two has none
    /// there, or does not know it yet.
    Input {
        port: String,
        /// Coordinates of a gathered artifact, `step=25`; else empty.
        at: String,
        before: Option<Digest>,
        now: Option<Digest>,
        change: Change,
        /// The instance that delivers it now.
        producer: Option<String>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    Added,
    Removed,
    /// Other content in the same place.
    Content,
}

impl Difference {
    /// Whether the pipeline's own text or files changed, rather than what some
    /// producer made of it.
    pub fn is_own(&self) -> bool {
        !matches!(
            self,
            Difference::Input {
                change: Change::Content,
                ..
            }
        )
    }
}

/// In what two manifests, or any two JSON objects, differ.
pub fn differences(before: &Value, now: &Value) -> Vec<Difference> {
    let found = Entries::of(before).differences(&Entries::of(now));
    found
        .into_iter()
        .map(|(_, difference)| difference)
        .collect()
}

/// Where in a manifest something stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    Entry(String),
    Input {
        port: String,
        at: String,
        /// Several sources may have the same coordinates.
        turn: usize,
    },
}

impl Place {
    /// The place of the next source with the same coordinates.
    pub(super) fn next_turn(&mut self) {
        if let Place::Input { turn, .. } = self {
            *turn += 1;
        }
    }
}

/// A manifest, flat. A null digest is one that is not known yet.
#[derive(Debug, Clone)]
pub(super) struct Entries(pub(super) BTreeMap<Place, Value>);

impl Entries {
    pub(super) fn of(manifest: &Value) -> Entries {
        let mut entries = Entries(BTreeMap::new());
        for (name, value) in manifest.as_object().into_iter().flatten() {
            if name == "inputs" {
                for (port, value) in value.as_object().into_iter().flatten() {
                    entries.port(port, value);
                }
            } else {
                entries.flatten(name, value);
            }
        }
        entries
    }

    fn flatten(&mut self, path: &str, value: &Value) {
        match value {
            Value::Object(inner) if !inner.is_empty() => {
                for (name, value) in inner {
                    self.flatten(&format!("{path}.{name}"), value);
                }
            }
            _ => drop(self.0.insert(Place::Entry(path.to_owned()), value.clone())),
        }
    }

    fn port(&mut self, port: &str, value: &Value) {
        let source = |entries: &mut Entries, at: String, digest: &Value| {
            let mut place = Place::Input {
                port: port.to_owned(),
                at,
                turn: 0,
            };
            while entries.0.contains_key(&place) {
                place.next_turn();
            }
            entries.0.insert(place, digest.clone());
        };
        match value {
            Value::Array(items) => {
                for item in items {
                    let at = item.get("at").cloned().unwrap_or_default();
                    let at: Coords = serde_json::from_value(at).unwrap_or_default();
                    let digest = item.get("digest").unwrap_or(&Value::Null);
                    source(self, show_coords(&at), digest);
                }
            }
            // How a foreign program is given its input, beside the input.
            Value::Object(delivery) => {
                for (name, value) in delivery {
                    match name.as_str() {
                        "from" => self.port(port, value),
                        _ => self.flatten(&format!("inputs.{port}.{name}"), value),
                    }
                }
            }
            digest => source(self, String::new(), digest),
        }
    }

    /// In how many places `now` differs; what is not known yet does not count.
    pub(super) fn distance(&self, now: &Entries) -> usize {
        let mut count = 0;
        walk(self, now, |_, _, _| count += 1);
        count
    }

    pub(super) fn differences(&self, now: &Entries) -> Vec<(Place, Difference)> {
        let mut found = Vec::new();
        walk(self, now, |place, before, now| {
            found.push((place.clone(), difference(place, before, now)));
        });
        found
    }
}

/// Both lists are sorted: one step along each.
fn walk(
    before: &Entries,
    now: &Entries,
    mut differs: impl FnMut(&Place, Option<&Value>, Option<&Value>),
) {
    let (mut left, mut right) = (before.0.iter().peekable(), now.0.iter().peekable());
    loop {
        let order = match (left.peek(), right.peek()) {
            (None, None) => return,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((a, _)), Some((b, _))) => a.cmp(b),
        };
        let old = if order.is_le() { left.next() } else { None };
        let new = if order.is_ge() { right.next() } else { None };
        match (old, new) {
            (Some((place, old)), Some((_, new))) => {
                let pending = matches!(place, Place::Input { .. }) && new.is_null();
                if old != new && !pending {
                    differs(place, Some(old), Some(new));
                }
            }
            (Some((place, old)), None) => differs(place, Some(old), None),
            (None, Some((place, new))) => differs(place, None, Some(new)),
            (None, None) => return,
        }
    }
}

fn difference(place: &Place, before: Option<&Value>, now: Option<&Value>) -> Difference {
    let digest = |value: Option<&Value>| value?.as_str()?.parse().ok();
    match place {
        Place::Entry(path) => Difference::Entry {
            path: path.clone(),
            before: before.cloned(),
            now: now.cloned(),
        },
        Place::Input { port, at, .. } => Difference::Input {
            port: port.clone(),
            at: at.clone(),
            before: digest(before),
            now: digest(now),
            change: match (before, now) {
                (None, _) => Change::Added,
                (_, None) => Change::Removed,
                _ => Change::Content,
            },
            producer: None,
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn between(before: &Value, now: &Value) -> Vec<Difference> {
        let found = differences(before, now);
        let distance = Entries::of(before).distance(&Entries::of(now));
        assert_eq!(found.len(), distance);
        found
    }

    fn entry(path: &str, before: Value, now: Value) -> Difference {
        let some = |value: Value| (!value.is_null()).then_some(value);
        Difference::Entry {
            path: path.to_owned(),
            before: some(before),
            now: some(now),
        }
    }

    #[test]
    fn entries_differ_by_path_and_spelling_does_not_count() {
        let before: Value =
            serde_json::from_str(r#"{"version":1,"params":{"lr":1e-4,"k":[1,2],"gone":true}}"#)
                .unwrap();
        let same: Value =
            serde_json::from_str(r#"{"params":{"k":[1,2],"gone":true,"lr":0.0001},"version":1}"#)
                .unwrap();
        assert_eq!(between(&before, &same), []);
        let now =
            json!({"version":2,"params":{"lr":0.000_100_000_000_000_000_02,"k":[1,3],"new":"x"}});
        assert_eq!(
            between(&before, &now),
            [
                entry("params.gone", json!(true), Value::Null),
                entry("params.k", json!([1, 2]), json!([1, 3])),
                entry(
                    "params.lr",
                    json!(1e-4),
                    json!(0.000_100_000_000_000_000_02)
                ),
                entry("params.new", Value::Null, json!("x")),
                entry("version", json!(1), json!(2)),
            ]
        );
    }

    #[test]
    fn inputs_differ_by_port_and_coordinates() {
        let digest = |text: &str| Digest::of(text.as_bytes());
        let at = |step: u32, text: &str| json!({"at":{"step":step},"digest":digest(text)});
        let before = json!({"inputs":{"one":digest("a"),"many":[at(1,"x"),at(2,"y"),at(3,"z")]}});
        let now = json!({"inputs":{"one":digest("b"),"many":[at(1,"x"),at(2,"q"),at(4,"w")]}});
        let shown: Vec<(String, String, Change)> = between(&before, &now)
            .into_iter()
            .map(|difference| match difference {
                Difference::Input {
                    port, at, change, ..
                } => (port, at, change),
                other @ Difference::Entry { .. } => panic!("{other:?}"),
            })
            .collect();
        let expected = [
            ("many", "step=2", Change::Content),
            ("many", "step=3", Change::Removed),
            ("many", "step=4", Change::Added),
            ("one", "", Change::Content),
        ];
        assert_eq!(
            shown,
            expected.map(|(port, at, change)| (port.to_owned(), at.to_owned(), change))
        );
        // What is not known yet is no difference; what is new is one.
        let pending = json!({"inputs":{"one":null,"many":[
            {"at":{"step":1},"digest":null},{"at":{"step":2},"digest":null},{"at":{"step":3},"digest":null}]}});
        assert_eq!(between(&before, &pending), []);
    }
}
