//! What was downloaded for results, until nobody in the run waits for it: one
//! file may belong to many checkpoints, which then take it from the first.
use std::collections::{BTreeMap, BTreeSet};

use crate::{
    cache::Cache,
    digest::ObjectId,
    engine::{externals::Externals, graph::Graph},
    pipeline::{InstanceId, Pipeline},
};

#[derive(Debug, Default)]
pub(super) struct Downloads {
    /// Files of hubs for which somebody waits: the size in bytes, and how many wait.
    files: BTreeMap<ObjectId, (u64, usize)>,
    /// The files of each instance that has no result.
    of: BTreeMap<InstanceId, BTreeSet<ObjectId>>,
}

impl Downloads {
    pub(super) fn new(pipeline: &Pipeline, graph: &Graph, externals: &Externals) -> Downloads {
        let mut downloads = Downloads::default();
        for id in graph.needed() {
            let files = externals.files(pipeline, id);
            for (file, size) in &files {
                downloads.files.entry(*file).or_insert((*size, 0)).1 += 1;
            }
            if !files.is_empty() {
                downloads.of.insert(id, files.into_keys().collect());
            }
        }
        downloads
    }

    /// The files that somebody waits for, by size.
    pub(super) fn awaited(&self) -> impl Iterator<Item = (ObjectId, u64)> {
        self.files.iter().map(|(file, (size, _))| (*file, *size))
    }

    /// An instance has its record: what nobody else waits for may go.
    pub(super) fn settled(&mut self, id: InstanceId, cache: &Cache) {
        for file in self.of.remove(&id).unwrap_or_default() {
            if let Some((size, waiting)) = self.files.get_mut(&file) {
                *waiting -= 1;
                if *waiting == 0 {
                    cache.download_landed(&file, *size);
                    self.files.remove(&file);
                }
            }
        }
    }
}
