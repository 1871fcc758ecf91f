//! The instances that could start, in the order in which they should. Grouped
//! by what they take, so that one look at each group finds the best that fits.
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap},
};

use crate::{digest::Digest, engine::schedule::amounts::Amounts, pipeline::InstanceId};

/// How many that need disk are tried before the next change.
const TRIES: usize = 8;

/// Larger is earlier: what frees temporary bytes, one after another, then the
/// longest way to the end, then the order of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    /// The size, in powers of two, of the largest temporary result that it reads.
    pub(super) frees: u32,
    /// Which that is: all that reads the first of a ladder comes before all that
    /// reads the second.
    pub(super) turn: Reverse<InstanceId>,
    /// Estimated time from its start to the end of the longest chain after it.
    pub(super) path: u64,
    pub(super) first: Reverse<InstanceId>,
}

/// A rank, seen by idle workers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Standing {
    frees: u32,
    turn: Reverse<InstanceId>,
    warm: bool,
    path: u64,
    first: Reverse<InstanceId>,
}

impl Standing {
    fn new(rank: &Rank, warm: bool) -> Standing {
        Standing {
            frees: rank.frees,
            turn: rank.turn,
            warm,
            path: rank.path,
            first: rank.first,
        }
    }
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
    /// those that free the same, an instance that uses it comes first. Of those
    /// that need disk only what `may` allows.
    pub(super) fn best(
        &self,
        free: &Amounts,
        held: &[Digest],
        mut may: impl FnMut(InstanceId) -> bool,
    ) -> Option<InstanceId> {
        let (mut best, mut on_disk) = (None, Vec::new());
        for (takes, group) in &self.groups {
            if !takes.within(free) {
                continue;
            }
            let warm = held.iter().filter_map(|digest| group.by_model.get(digest));
            let warm = warm.filter_map(|ranks| ranks.last());
            let warm = warm.map(|rank| Standing::new(rank, true));
            if takes.disk_bytes > 0 {
                on_disk.extend(warm);
                on_disk.extend(
                    group
                        .all
                        .iter()
                        .rev()
                        .take(TRIES)
                        .map(|rank| Standing::new(rank, false)),
                );
            } else {
                let first = group.all.last().map(|rank| Standing::new(rank, false));
                best = warm.chain(first).chain(best).max();
            }
        }
        on_disk.retain(|one| best.is_none_or(|best| *one > best));
        on_disk.sort_unstable_by_key(|one| Reverse(*one));
        let tried = on_disk.into_iter().take(TRIES);
        let allowed = tried.map(|one| one.first.0).find(|id| may(*id));
        allowed.or(best.map(|best| best.first.0))
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
