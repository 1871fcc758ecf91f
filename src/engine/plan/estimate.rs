//! What an instance will probably cost, by the records of earlier ones: of the
//! same key, else shape, else family, else kind. The median of each.
use std::collections::BTreeSet;

use serde::Serialize;

use crate::{
    cache::{Costs, EarlierCosts, RecordIndex},
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

/// An instance that may run, as earlier results are looked for.
pub(super) struct Asked<'a> {
    pub(super) kind: &'a str,
    /// Where it has a record, whatever its state.
    pub(super) key: Option<Key>,
    pub(super) shape: Digest,
    pub(super) family: Option<Digest>,
}

pub(super) struct Earlier<'a> {
    index: &'a RecordIndex,
    costs: EarlierCosts,
}

impl<'a> Earlier<'a> {
    pub(super) fn of(index: &'a RecordIndex, asked: &[Asked<'_>]) -> Earlier<'a> {
        let kinds: BTreeSet<&str> = asked.iter().map(|asked| asked.kind).collect();
        let shapes = asked.iter().map(|asked| asked.shape).collect();
        let families = asked.iter().filter_map(|asked| asked.family).collect();
        let mut costs = index.costs(&kinds, &shapes, &families);
        let groups = costs.kinds.values_mut();
        let groups = groups.chain(costs.shapes.values_mut());
        for group in groups.chain(costs.families.values_mut()) {
            // Middle time and middle size, each by itself.
            let mut bytes: Vec<u64> = group.iter().map(|(_, bytes)| *bytes).collect();
            bytes.sort_unstable();
            group.sort_unstable();
            for (cost, bytes) in group.iter_mut().zip(bytes) {
                cost.1 = bytes;
            }
        }
        Earlier { index, costs }
    }

    pub(super) fn estimate(&self, asked: &Asked<'_>) -> Option<Estimate> {
        if let Some(entry) = asked.key.and_then(|key| self.index.lookup(&key)) {
            return Some(Estimate {
                ms: entry.duration_ms,
                bytes: entry.bytes(),
                basis: Basis::Key,
            });
        }
        let shape = self.costs.shapes.get(&asked.shape);
        let family = asked.family.and_then(|name| self.costs.families.get(&name));
        let kind = self.costs.kinds.get(asked.kind);
        let nearest = shape.map(|costs| middle(costs, Basis::Shape));
        nearest
            .or_else(|| family.map(|costs| middle(costs, Basis::Family)))
            .or_else(|| kind.map(|costs| middle(costs, Basis::Kind)))
    }
}

/// Of costs that are sorted and not none.
fn middle(costs: &Costs, basis: Basis) -> Estimate {
    let (ms, bytes) = costs[costs.len() / 2];
    Estimate { ms, bytes, basis }
}
