//! Places for workers: which are busy, which devices each is bound to, and what
//! it keeps in memory for the next task.
use std::{cmp::Reverse, collections::BTreeSet};

use crate::digest::Digest;

/// Where a pass runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::engine) struct Place {
    pub(in crate::engine) slot: usize,
    /// Positions in the machine's list of devices.
    pub(in crate::engine) gpus: Vec<usize>,
    /// Slots whose idle workers must end first: they may hold memory of these devices.
    pub(in crate::engine) evict: Vec<usize>,
}

#[derive(Default)]
struct Slot {
    busy: bool,
    /// A worker was started here, bound to these devices.
    bound: Option<Vec<usize>>,
    keeps: Option<Digest>,
}

pub(super) struct Slots {
    slots: Vec<Slot>,
    gpus_free: BTreeSet<usize>,
}

impl Slots {
    pub(super) fn new(count: usize, gpus: usize) -> Slots {
        Slots {
            slots: (0..count.max(1)).map(|_| Slot::default()).collect(),
            gpus_free: (0..gpus).collect(),
        }
    }

    pub(super) fn any_idle(&self) -> bool {
        self.slots.iter().any(|slot| !slot.busy)
    }

    /// What idle workers keep, each once.
    pub(super) fn kept(&self) -> Vec<Digest> {
        let idle = self.slots.iter().filter(|slot| !slot.busy);
        let mut kept: Vec<Digest> = idle.filter_map(|slot| slot.keeps).collect();
        kept.sort_unstable();
        kept.dedup();
        kept
    }

    /// Occupies a slot and `gpus` free devices. Best is a worker that keeps
    /// `model` and has its devices already; then one that can be used as it
    /// is; then a new one; a worker bound to other devices comes last.
    pub(super) fn occupy(&mut self, gpus: usize, model: Option<Digest>) -> Option<Place> {
        if self.gpus_free.len() < gpus {
            return None;
        }
        let usable = |slot: &Slot| {
            slot.bound.as_ref().is_some_and(|bound| {
                bound.len() == gpus && bound.iter().all(|gpu| self.gpus_free.contains(gpu))
            })
        };
        let worth = |slot: &Slot| match (usable(slot), slot.keeps) {
            (true, keeps) if model.is_some() && keeps == model => 4,
            (true, None) => 3,
            (true, Some(_)) => 2,
            (false, _) if slot.bound.is_none() => 1,
            (false, _) => 0,
        };
        let idle = self.slots.iter().enumerate().filter(|(_, slot)| !slot.busy);
        let (slot, found) = idle.max_by_key(|(at, slot)| (worth(slot), Reverse(*at)))?;
        let gpus: Vec<usize> = match &found.bound {
            Some(bound) if usable(found) => bound.clone(),
            _ => self.gpus_free.iter().copied().take(gpus).collect(),
        };
        let mut evict = Vec::new();
        for (at, other) in self.slots.iter_mut().enumerate() {
            let shares = |bound: &Vec<usize>| bound.iter().any(|gpu| gpus.contains(gpu));
            if at != slot && !other.busy && other.bound.as_ref().is_some_and(shares) {
                *other = Slot::default();
                evict.push(at);
            }
        }
        for gpu in &gpus {
            self.gpus_free.remove(gpu);
        }
        self.slots[slot] = Slot {
            busy: true,
            bound: Some(gpus.clone()),
            keeps: None,
        };
        Some(Place { slot, gpus, evict })
    }

    /// The slot is idle again; its worker keeps `keeps`.
    pub(super) fn release(&mut self, place: &Place, keeps: Option<Digest>) {
        self.gpus_free.extend(&place.gpus);
        self.slots[place.slot].busy = false;
        self.slots[place.slot].keeps = keeps;
    }
}
