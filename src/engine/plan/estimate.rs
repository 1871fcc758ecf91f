//! What an instance will probably cost, by the records of earlier ones: of the
//! same key, else shape, else family, else kind. The median of each.
use std::collections::HashMap;

use serde::Serialize;

use crate::{
    cache::{IndexEntry, RecordIndex},
    digest::{Digest, Key},
};

/// Which earlier results an estimate is taken from, the nearest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Basis {
    /// The very same result, which is made again.
    Key,
    /// The same parameters on other inputs.
    Shape,
    /// The same but for the progressive parameter.
    Family,
    Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Estimate {
    pub(super) ms: u64,
    pub(super) bytes: u64,
    pub(super) basis: Basis,
}

/// What a group of earlier results cost.
#[derive(Debug, Default)]
struct Known {
    ms: Vec<u64>,
    bytes: Vec<u64>,
}

impl Known {
    fn add(&mut self, entry: &IndexEntry) {
        self.ms.push(entry.duration_ms);
        self.bytes.push(bytes_of(entry));
    }

    /// Each list is sorted in place once, when all is added.
    fn seal(&mut self) {
        self.ms.sort_unstable();
        self.bytes.sort_unstable();
    }

    fn estimate(&self, basis: Basis) -> Option<Estimate> {
        let middle = self.ms.len() / 2;
        Some(Estimate {
            ms: *self.ms.get(middle)?,
            bytes: *self.bytes.get(middle)?,
            basis,
        })
    }
}

fn bytes_of(entry: &IndexEntry) -> u64 {
    entry.outputs.values().map(|content| content.size).sum()
}

pub(super) struct Earlier<'a> {
    index: &'a RecordIndex,
    shape: HashMap<Digest, Known>,
    family: HashMap<Digest, Known>,
    kind: HashMap<&'a str, Known>,
}

impl<'a> Earlier<'a> {
    pub(super) fn of(index: &'a RecordIndex) -> Earlier<'a> {
        let mut earlier = Earlier {
            index,
            shape: HashMap::new(),
            family: HashMap::new(),
            kind: HashMap::new(),
        };
        for entry in index.iter() {
            earlier.shape.entry(entry.shape).or_default().add(entry);
            earlier.family.entry(entry.family).or_default().add(entry);
            earlier.kind.entry(&entry.kind).or_default().add(entry);
        }
        let groups = (earlier.shape.values_mut()).chain(earlier.family.values_mut());
        groups
            .chain(earlier.kind.values_mut())
            .for_each(Known::seal);
        earlier
    }

    /// `names` gives shape and, where it is known, family; asked only if needed.
    pub(super) fn estimate(
        &self,
        key: Option<Key>,
        kind: &str,
        names: impl FnOnce() -> (Digest, Option<Digest>),
    ) -> Option<Estimate> {
        if let Some(entry) = key.and_then(|key| self.index.loaded(&key)) {
            return Some(Estimate {
                ms: entry.duration_ms,
                bytes: bytes_of(entry),
                basis: Basis::Key,
            });
        }
        let of_kind = self.kind.get(kind)?;
        let (shape, family) = names();
        let of_shape = self.shape.get(&shape);
        let of_family = family.and_then(|family| self.family.get(&family));
        of_shape
            .and_then(|known| known.estimate(Basis::Shape))
            .or_else(|| of_family?.estimate(Basis::Family))
            .or_else(|| of_kind.estimate(Basis::Kind))
    }
}
