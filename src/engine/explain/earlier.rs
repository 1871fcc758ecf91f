//! Earlier results to compare with: which record stands nearest to what an
//! instance is now. Reads records, each kind once.
use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
    rc::Rc,
};

use serde::Serialize;

use crate::{
    cache::{Cache, Record, RecordIndex},
    digest::{Digest, Key},
    engine::explain::difference::Entries,
};

/// Of more candidates that stand equally near, so many of the latest are compared.
const COMPARED_MAX: usize = 100;

/// Whether a record stands near in one way.
type Fits<'a> = &'a dyn Fn(&Record) -> bool;

/// In which way an earlier result stands near, the nearest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Nearness {
    /// It made the bytes that the consumer used before.
    UsedBefore,
    /// Made for the same stage and coordinates.
    Instance,
    /// The same parameters on other inputs.
    Shape,
    /// The same but for the progressive parameter.
    Family,
    /// The same kind, with the fewest differences.
    Kind,
}

/// A record with its manifest, flat.
pub(super) struct Past {
    pub(super) record: Record,
    pub(super) entries: Entries,
}

/// What is sought.
pub(super) struct Sought<'s> {
    pub(super) kind: &'s str,
    pub(super) pipeline: &'s str,
    pub(super) label: &'s str,
    pub(super) entries: &'s Entries,
    pub(super) shape: Digest,
    pub(super) family: Option<Digest>,
    /// The instance's own record, which is no earlier one.
    pub(super) but: Option<Key>,
    /// Made what the consumer used before.
    pub(super) used: Option<Key>,
}

pub(super) struct Earlier<'a> {
    cache: &'a Cache,
    index: &'a RecordIndex,
    /// By kind, the latest first.
    kinds: BTreeMap<String, Rc<[Past]>>,
    makers: Option<HashMap<Digest, Vec<Key>>>,
}

impl<'a> Earlier<'a> {
    pub(super) fn of(cache: &'a Cache, index: &'a RecordIndex) -> Earlier<'a> {
        Earlier {
            cache,
            index,
            kinds: BTreeMap::new(),
            makers: None,
        }
    }

    pub(super) fn record(&self, key: &Key) -> Option<Record> {
        self.cache.record(key).ok().flatten()
    }

    /// A result of `kind` that has an output with this content.
    pub(super) fn maker(&mut self, content: &Digest, kind: &str) -> Option<Key> {
        let index = self.index;
        let makers = self.makers.get_or_insert_with(|| {
            let mut makers: HashMap<Digest, Vec<Key>> = HashMap::new();
            for entry in index.iter() {
                for output in entry.outputs.values() {
                    makers.entry(output.digest).or_default().push(entry.key);
                }
            }
            makers
        });
        let of_kind = |key: &&Key| {
            let entry = index.loaded(key);
            entry.is_some_and(|entry| entry.kind == kind)
        };
        makers.get(content)?.iter().filter(of_kind).min().copied()
    }

    fn of_kind(&mut self, kind: &str) -> Rc<[Past]> {
        if let Some(known) = self.kinds.get(kind) {
            return Rc::clone(known);
        }
        let mut entries: Vec<_> = self
            .index
            .iter()
            .filter(|entry| entry.kind == kind)
            .collect();
        entries.sort_unstable_by_key(|entry| (Reverse(entry.written_ns()), entry.key));
        let records = entries.iter().filter_map(|entry| self.record(&entry.key));
        let past: Rc<[Past]> = records
            .map(|record| Past {
                entries: Entries::of(&record.manifest),
                record,
            })
            .collect();
        self.kinds.insert(kind.to_owned(), Rc::clone(&past));
        past
    }

    /// The nearest earlier result; its place in the list of its kind.
    pub(super) fn nearest(&mut self, sought: &Sought<'_>) -> Option<(Rc<[Past]>, usize, Nearness)> {
        let past = self.of_kind(sought.kind);
        let others = || {
            let all = past.iter().enumerate();
            all.filter(|(_, past)| Some(past.record.key) != sought.but)
        };
        // Of equal ones the latest, which comes first.
        let best = |wanted: &dyn Fn(&Record) -> bool| {
            let candidates = others().filter(|(_, past)| wanted(&past.record));
            candidates
                .take(COMPARED_MAX)
                .map(|(at, past)| (past.entries.distance(sought.entries), at))
                .min()
                .map(|(_, at)| at)
        };
        let here = |record: &Record| {
            let made = &record.provenance;
            made.pipeline == sought.pipeline && made.instance == sought.label
        };
        let tiers: [(Nearness, Fits<'_>); 5] = [
            (Nearness::UsedBefore, &|record| {
                Some(record.key) == sought.used
            }),
            (Nearness::Instance, &here),
            (Nearness::Shape, &|record| record.shape == sought.shape),
            (Nearness::Family, &|record| {
                Some(record.family) == sought.family
            }),
            (Nearness::Kind, &|_| true),
        ];
        let found = tiers
            .iter()
            .find_map(|(nearness, wanted)| Some((best(*wanted)?, *nearness)));
        let (at, nearness) = found?;
        Some((Rc::clone(&past), at, nearness))
    }
}
