//! What an instance will probably cost, by the records of earlier ones: of the
//! same key, else the last ones of its shape, else family, else kind. The median.
use std::collections::{BTreeMap, BTreeSet};

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
    kinds: BTreeMap<&'a str, Costs>,
}

impl<'a> Earlier<'a> {
    /// Results of the same kind are looked through only for those that have
    /// nothing nearer.
    pub(super) fn of(index: &'a RecordIndex, asked: &[Asked<'a>]) -> Earlier<'a> {
        let shapes = asked.iter().map(|asked| asked.shape).collect();
        let families = asked.iter().filter_map(|asked| asked.family).collect();
        let costs = index.costs(&shapes, &families);
        let mut earlier = Earlier {
            index,
            costs,
            kinds: BTreeMap::new(),
        };
        let far = asked.iter().filter(|asked| earlier.near(asked).is_none());
        let kinds: BTreeSet<&str> = far.map(|asked| asked.kind).collect();
        if !kinds.is_empty() {
            earlier.kinds = index.costs_of_kinds(&kinds);
        }
        let groups = earlier.costs.shapes.values_mut();
        let groups = groups.chain(earlier.costs.families.values_mut());
        for group in groups.chain(earlier.kinds.values_mut()) {
            // Middle time and middle size, each by itself.
            let mut bytes: Vec<u64> = group.iter().map(|(_, bytes)| *bytes).collect();
            bytes.sort_unstable();
            group.sort_unstable();
            for (cost, bytes) in group.iter_mut().zip(bytes) {
                cost.1 = bytes;
            }
        }
        earlier
    }

    pub(super) fn estimate(&self, asked: &Asked<'_>) -> Option<Estimate> {
        if let Some(entry) = asked.key.and_then(|key| self.index.lookup(&key)) {
            return Some(Estimate {
                ms: entry.duration_ms,
                bytes: entry.bytes(),
                basis: Basis::Key,
            });
        }
        let kind = || Some((self.kinds.get(asked.kind)?, Basis::Kind));
        let (costs, basis) = self.near(asked).or_else(kind)?;
        // They are sorted.
        let (ms, bytes) = *costs.get(costs.len() / 2)?;
        Some(Estimate { ms, bytes, basis })
    }

    /// Results that have more in common with it than the kind.
    fn near(&self, asked: &Asked<'_>) -> Option<(&Costs, Basis)> {
        let shape = self.costs.shapes.get(&asked.shape);
        let family = || self.costs.families.get(asked.family.as_ref()?);
        let shape = shape.map(|costs| (costs, Basis::Shape));
        shape.or_else(|| Some((family()?, Basis::Family)))
    }
}
