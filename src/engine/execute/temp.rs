//! Temporary bytes: those of a `temp` stage go once everything in this run that
//! reads them is done. The record stays, so that everything after it is a hit.
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant, SystemTime},
};

use anyhow::Result;

use crate::{
    cache::{Doomed, Pin},
    engine::execute::Run,
    pipeline::InstanceId,
};

/// Of the time, letting go may take one part in this many.
const SHARE: u32 = 20;

/// Instances whose bytes may have become useless.
#[derive(Default)]
pub(super) struct Passing {
    candidates: BTreeSet<InstanceId>,
    /// When the bytes of each were published.
    published: BTreeMap<InstanceId, SystemTime>,
    not_before: Option<Instant>,
}

impl Passing {
    pub(super) fn consider(&mut self, id: InstanceId) {
        self.candidates.insert(id);
    }

    pub(super) fn published(&mut self, id: InstanceId, at: SystemTime) {
        self.published.insert(id, at);
    }
}

impl Run<'_> {
    /// Removes temporary bytes that nobody in this run will read. They stay
    /// while another run is live on this cache: `gc` takes them later, and they
    /// count no longer as this run's.
    pub(super) fn let_go(&mut self, pin: &Pin, last: bool) -> Result<()> {
        let early = |at: Instant| Instant::now() < at;
        if self.passing.candidates.is_empty()
            || (!last && self.passing.not_before.is_some_and(early))
        {
            return Ok(());
        }
        let candidates = std::mem::take(&mut self.passing.candidates);
        let useless = candidates.into_iter().filter(|id| self.is_useless(*id));
        let useless = useless.collect();
        self.remove(useless, pin)
    }

    fn remove(&mut self, useless: Vec<InstanceId>, pin: &Pin) -> Result<()> {
        if useless.is_empty() {
            return Ok(());
        }
        let doomed = useless.iter().filter_map(|id| {
            let done = &self.results[id];
            Some(Doomed {
                key: done.key,
                contents: done.outputs.values().copied().collect(),
                published: self.passing.published.remove(id)?,
            })
        });
        let doomed: Vec<Doomed> = doomed.collect();
        let begun = Instant::now();
        self.cache.discard(&doomed, pin)?;
        for id in useless {
            self.schedule.removed(id);
        }
        self.look_at_disk();
        let pause = (begun.elapsed() * SHARE).max(Duration::from_millis(1));
        self.passing.not_before = Some(Instant::now() + pause);
        Ok(())
    }

    /// Whether its bytes go once its last consumer is done.
    pub(super) fn is_passing(&self, id: InstanceId) -> bool {
        self.graph.is_passing(self.pipeline, id)
    }

    fn is_useless(&self, id: InstanceId) -> bool {
        self.is_read_by_none(id, &BTreeSet::new())
    }

    /// Whether no consumer of a temporary result will read it any more, those
    /// that are `hopeless` left aside.
    fn is_read_by_none(&self, id: InstanceId, hopeless: &BTreeSet<InstanceId>) -> bool {
        let done = |id: InstanceId| {
            !self.graph.is_needed(id) || self.schedule.is_settled(id) || hopeless.contains(&id)
        };
        self.is_passing(id)
            && self.schedule.is_settled(id)
            && self.graph.consumers(id).all(done)
            && self.results.contains_key(&id)
    }

    /// Nothing runs, and what is ready finds no room on the disk. Makes some,
    /// or lets one go on without looking further; whether that was possible.
    pub(super) fn make_room(&mut self, pin: &Pin) -> Result<bool> {
        if !self.passing.candidates.is_empty() {
            self.let_go(pin, true)?;
            return Ok(true);
        }
        // What only failed stages would read is kept for the next run, if it can be.
        let hopeless = self.schedule.hopeless();
        let kept = self.results.keys().copied();
        let useless: Vec<InstanceId> = kept
            .filter(|id| self.schedule.holds(*id) && self.is_read_by_none(*id, &hopeless))
            .collect();
        if !useless.is_empty() {
            self.remove(useless, pin)?;
            return Ok(true);
        }
        // Somebody else may have made some since the last look.
        let before = self.disk_now;
        self.look_at_disk();
        Ok(self.disk_now > before || self.schedule.press())
    }
}
