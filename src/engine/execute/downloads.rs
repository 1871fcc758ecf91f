//! What was downloaded for results, until nobody in the run waits for it: one
//! file may belong to many checkpoints, which then take it from the first.
use std::collections::{BTreeMap, BTreeSet};

use crate::{
    cache::Cache,
    digest::ObjectId,
    engine::{externals::Externals, graph::Graph},
    pipeline::{InstanceId, Pipeline},
};

#[derive(Debug)]
pub(super) struct Downloads {
    /// Files of hubs by size in bytes, of which instances are made that have no result.
    waits_for: BTreeMap<ObjectId, u64>,
    /// How many instances wait for each.
    waiting: BTreeMap<ObjectId, usize>,
    /// The files of each instance that has no result.
    of: BTreeMap<InstanceId, BTreeSet<ObjectId>>,
}

impl Downloads {
    pub(super) fn new(pipeline: &Pipeline, graph: &Graph, externals: &Externals) -> Downloads {
        let mut downloads = Downloads {
            waits_for: BTreeMap::new(),
            waiting: BTreeMap::new(),
            of: BTreeMap::new(),
        };
        for id in graph.needed() {
            let files = externals.files(pipeline, id);
            for (file, size) in &files {
                downloads.waits_for.insert(*file, *size);
                *downloads.waiting.entry(*file).or_default() += 1;
            }
            if !files.is_empty() {
                downloads.of.insert(id, files.into_keys().collect());
            }
        }
        downloads
    }

    /// The files that somebody waits for, by size.
    pub(super) fn waits_for(&self) -> &BTreeMap<ObjectId, u64> {
        &self.waits_for
    }

    /// An instance has its record: what nobody else waits for may go.
    pub(super) fn settled(&mut self, id: InstanceId, cache: &Cache) {
        for file in self.of.remove(&id).unwrap_or_default() {
            let Some(waiting) = self.waiting.get_mut(&file) else {
                continue;
            };
            *waiting -= 1;
            if *waiting == 0
                && let Some(size) = self.waits_for.remove(&file)
            {
                cache.download_landed(&file, size);
            }
        }
    }
}
