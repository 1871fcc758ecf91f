//! The instances that could start, in the order in which they should. Grouped
//! by what they take, so that one look at each group finds the best that fits.
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap},
};

use crate::{digest::Digest, engine::schedule::amounts::Amounts, pipeline::InstanceId};

/// Larger is earlier: what frees temporary bytes, then the longest way to the
/// end, then the order of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    /// Temporary bytes of others that it brings nearer to their end.
    pub(super) frees: u64,
    /// Estimated time from its start to the end of the longest chain after it.
    pub(super) path: u64,
    pub(super) first: Reverse<InstanceId>,
}

#[derive(Default)]
struct Group {
    all: BTreeSet<Rank>,
    /// By the digest of what a worker would keep for the next task.
    by_model: HashMap<Digest, BTreeSet<Rank>>,
}

#[derive(Default)]
pub(super) struct Queue {
    groups: BTreeMap<Amounts, Group>,
}

impl Queue {
    pub(super) fn insert(&mut self, takes: Amounts, model: Option<Digest>, rank: Rank) {
        let group = self.groups.entry(takes).or_default();
        group.all.insert(rank);
        if let Some(model) = model {
            group.by_model.entry(model).or_default().insert(rank);
        }
    }

    pub(super) fn remove(&mut self, takes: Amounts, model: Option<Digest>, rank: Rank) {
        let Some(group) = self.groups.get_mut(&takes) else {
            return;
        };
        group.all.remove(&rank);
        if let Some(model) = model
            && let Some(ranks) = group.by_model.get_mut(&model)
        {
            ranks.remove(&rank);
            if ranks.is_empty() {
                group.by_model.remove(&model);
            }
        }
        if group.all.is_empty() {
            self.groups.remove(&takes);
        }
    }

    /// The best that fits into `free`. `held` is what idle workers keep: among
    /// those that free as much, an instance that uses it comes first.
    pub(super) fn best(&self, free: &Amounts, held: &[Digest]) -> Option<InstanceId> {
        let fitting = self.groups.iter().filter(|(takes, _)| takes.within(free));
        let best = fitting.flat_map(|(_, group)| {
            let warm = held.iter().filter_map(|digest| group.by_model.get(digest));
            let warm = warm
                .filter_map(|ranks| ranks.last())
                .map(|rank| (rank, true));
            warm.chain(group.all.last().map(|rank| (rank, false)))
        });
        best.max_by_key(|(rank, warm)| (rank.frees, *warm, rank.path, rank.first))
            .map(|(rank, _)| rank.first.0)
    }

    /// All that wait here, best first.
    pub(super) fn ids(&self) -> Vec<InstanceId> {
        let mut ranks: Vec<Rank> = self
            .groups
            .values()
            .flat_map(|group| group.all.iter().copied())
            .collect();
        ranks.sort_unstable_by_key(|rank| Reverse(*rank));
        ranks.into_iter().map(|rank| rank.first.0).collect()
    }
}
