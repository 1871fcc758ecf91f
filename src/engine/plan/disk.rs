//! What a plan will download, and what it needs of the disk at a time.
use std::collections::HashMap;

use serde::Serialize;

use crate::{
    engine::{
        capacity::{disk_leaves, disk_needs},
        externals::Externals,
        graph::Graph,
        plan::{Plan, State},
        schedule::{Item, Outlook, Stand},
    },
    pipeline::{InstanceId, Pipeline},
};

/// What surely runs, as the disk and the network see it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct DiskCost {
    /// Bytes of the files that references stand for, where they are resolved.
    pub download_bytes: u64,
    /// Instances that download those.
    pub downloads: usize,
    /// Instances whose references are not resolved: their downloads are in no sum.
    pub unresolved: usize,
    /// The most that is on the disk at once if one instance runs after another:
    /// what stages ask for, and what downloads and temporary results hold until
    /// their last consumer is done. Results of stages that ask for no disk are
    /// not in it.
    pub peak_disk_bytes: u64,
}

impl Plan {
    /// What surely runs will download, and hold at a time.
    pub fn disk(&self, told: (&Pipeline, &Graph, &Externals)) -> DiskCost {
        let (outlook, stands, held) = self.outlook(told);
        let mut cost = DiskCost {
            peak_disk_bytes: held.saturating_add(outlook.walk(&stands, i128::MAX).peak),
            ..DiskCost::default()
        };
        let (_, _, externals) = told;
        for entry in &self.entries {
            let outside = externals.of(entry.id);
            if matches!(entry.state, State::Run(_)) {
                cost.unresolved += usize::from(!outside.unresolved.is_empty());
                cost.downloads += usize::from(outside.download_bytes > 0);
                cost.download_bytes += outside.download_bytes;
            }
        }
        cost
    }

    /// What surely runs, as the disk sees it, and the temporary bytes that are
    /// there already and wanted.
    pub(in crate::engine) fn outlook(
        &self,
        (pipeline, graph, externals): (&Pipeline, &Graph, &Externals),
    ) -> (Outlook, Vec<Stand>, u64) {
        let runs = |id: InstanceId| {
            let entry = self.entry(id);
            entry.is_some_and(|entry| matches!(entry.state, State::Run(_)))
        };
        let places = self.entries.iter().enumerate();
        let places: HashMap<InstanceId, usize> = places.map(|(at, entry)| (entry.id, at)).collect();
        let (mut items, mut stands, mut held) = (Vec::new(), Vec::new(), 0);
        for entry in &self.entries {
            let id = entry.id;
            let temp = graph.is_passing(pipeline, id);
            items.push(Item {
                id,
                needs: disk_needs(pipeline, externals, id),
                leaves: disk_leaves(pipeline, externals, id),
                temp,
                producers: (graph.producers(id))
                    .filter_map(|producer| places.get(&producer).copied())
                    .collect(),
            });
            let left = match &entry.record {
                Some(record) if temp && graph.consumers(id).any(runs) => record.bytes(),
                _ => 0,
            };
            stands.push(if runs(id) {
                Stand::Open
            } else {
                held += left;
                Stand::Done(left)
            });
        }
        (Outlook::new(items), stands, held)
    }
}
