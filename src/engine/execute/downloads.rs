//! What was downloaded for results, until nobody in the run waits for it: one
//! file may belong to many checkpoints, which then take it from the first.
use std::collections::{BTreeMap, BTreeSet};

use crate::{
    cache::Cache,
    digest::ObjectId,
    engine::{externals::Externals, graph::Graph},
    pipeline::{InstanceId, Pipeline},
};

/// Files of hubs by size in bytes, and the instances without a result that are made of them.
#[derive(Debug)]
pub(super) struct Downloads(BTreeMap<ObjectId, (u64, BTreeSet<InstanceId>)>);

impl Downloads {
    pub(super) fn new(pipeline: &Pipeline, graph: &Graph, externals: &Externals) -> Downloads {
        let mut waiting: BTreeMap<ObjectId, (u64, BTreeSet<InstanceId>)> = BTreeMap::new();
        for id in graph.needed() {
            for pinned in externals.references(pipeline, id).values() {
                for file in pinned.files.values() {
                    let entry = waiting.entry(file.id).or_default();
                    entry.0 = file.size;
                    entry.1.insert(id);
                }
            }
        }
        Downloads(waiting)
    }

    /// An instance has its record: what nobody else waits for may go.
    pub(super) fn settled(&mut self, id: InstanceId, cache: &Cache) {
        self.0.retain(|file, (size, waiting)| {
            if waiting.remove(&id) && waiting.is_empty() {
                cache.download_landed(file, *size);
            }
            !waiting.is_empty()
        });
    }
}
