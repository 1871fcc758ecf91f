//! What the index's file says of shapes and costs, without reading every line of
//! it: enough for estimates, which are never the truth.
use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::{
    cache::index::{IndexEntry, RecordIndex},
    digest::Digest,
};

/// What results cost: time in milliseconds, bytes of all outputs.
pub type Costs = Vec<(u64, u64)>;

/// What earlier results cost, by what they have in common with others.
#[derive(Debug, Default)]
pub struct EarlierCosts {
    pub kinds: BTreeMap<String, Costs>,
    pub shapes: BTreeMap<Digest, Costs>,
    pub families: BTreeMap<Digest, Costs>,
}

/// A result as it is seen in passing.
struct Seen<'a> {
    kind: &'a str,
    shape: &'a str,
    family: &'a str,
    cost: &'a dyn Fn() -> (u64, u64),
}

/// The fields of a line that count here.
struct Line<'a> {
    shape: &'a str,
    family: &'a str,
    ms: u64,
    kind: &'a str,
    outputs: &'a str,
}

impl<'a> Line<'a> {
    fn read(line: &'a str) -> Option<Line<'a>> {
        // Sign and key come first.
        let mut fields = line.splitn(9, '\t').skip(2);
        let (shape, family) = (fields.next()?, fields.next()?);
        let ms = fields.next()?.parse().ok()?;
        // Size and time of the record's file.
        let kind = fields.by_ref().nth(2)?;
        Some(Line {
            shape,
            family,
            ms,
            kind,
            outputs: fields.next()?,
        })
    }

    fn bytes(&self) -> u64 {
        // Name, digest, size, form of each, and the check.
        let sizes = self.outputs.split('\t').skip(2).step_by(4);
        sizes.filter_map(|size| size.parse::<u64>().ok()).sum()
    }
}

impl IndexEntry {
    /// The size of all outputs.
    pub fn bytes(&self) -> u64 {
        self.outputs.values().map(|content| content.size).sum()
    }
}

impl RecordIndex {
    /// The kinds, among these, of which there are results.
    pub fn known_kinds<'k>(&self, among: &BTreeSet<&'k str>) -> BTreeSet<&'k str> {
        let mut known = BTreeSet::new();
        self.each(&mut |seen| {
            known.extend(among.get(seen.kind).copied());
        });
        known
    }

    /// What earlier results of these kinds, shapes and families cost.
    pub fn costs(
        &self,
        kinds: &BTreeSet<&str>,
        shapes: &BTreeSet<Digest>,
        families: &BTreeSet<Digest>,
    ) -> EarlierCosts {
        let spelled = |names: &BTreeSet<Digest>| -> HashMap<String, Digest> {
            names.iter().map(|name| (name.to_string(), *name)).collect()
        };
        let (shapes, families) = (spelled(shapes), spelled(families));
        let mut costs = EarlierCosts::default();
        self.each(&mut |seen| {
            if !kinds.contains(seen.kind) {
                return;
            }
            let cost = (seen.cost)();
            match costs.kinds.get_mut(seen.kind) {
                Some(known) => known.push(cost),
                None => drop(costs.kinds.insert(seen.kind.to_owned(), vec![cost])),
            }
            if let Some(shape) = shapes.get(seen.shape) {
                costs.shapes.entry(*shape).or_default().push(cost);
            }
            if let Some(family) = families.get(seen.family) {
                costs.families.entry(*family).or_default().push(cost);
            }
        });
        costs
    }

    fn each(&self, tell: &mut dyn FnMut(&Seen<'_>)) {
        let mut entry = |entry: &IndexEntry| {
            tell(&Seen {
                kind: &entry.kind,
                shape: &entry.shape.to_string(),
                family: &entry.family.to_string(),
                cost: &|| (entry.duration_ms, entry.bytes()),
            });
        };
        if let Some(whole) = self.whole.get() {
            whole.entries.values().for_each(entry);
            return;
        }
        self.noted.values().for_each(&mut entry);
        for line in self.stored.lines().filter_map(Line::read) {
            tell(&Seen {
                kind: line.kind,
                shape: line.shape,
                family: line.family,
                cost: &|| (line.ms, line.bytes()),
            });
        }
    }

    /// Whether the file names a record of this shape that stands; where not,
    /// there may be one nevertheless.
    pub(super) fn glance_shape(&self, shape: &Digest) -> bool {
        if self.whole.get().is_some() {
            return false;
        }
        let shapes = self.shapes.get_or_init(|| self.stored.shapes().collect());
        let key = shapes.get(shape);
        key.is_some_and(|key| self.stands(key))
    }
}
