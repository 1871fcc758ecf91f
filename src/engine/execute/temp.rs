//! Temporary bytes: those of a `temp` stage go once everything in this run that
//! reads them is done. The record stays, so that everything after it is a hit.
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use anyhow::Result;

use crate::{cache::Pin, engine::execute::Run, pipeline::InstanceId};

/// Of the time, letting go may take one part in this many.
const SHARE: u32 = 20;

/// Instances whose bytes may have become useless.
#[derive(Default)]
pub(super) struct Passing {
    candidates: BTreeSet<InstanceId>,
    not_before: Option<Instant>,
}

impl Passing {
    pub(super) fn consider(&mut self, id: InstanceId) {
        self.candidates.insert(id);
    }
}

impl Run<'_> {
    /// Removes temporary bytes that nobody in this run will read. They stay
    /// while another run is live on this cache: `gc` takes them later.
    pub(super) fn let_go(&mut self, pin: &Pin, last: bool) -> Result<()> {
        let early = |at: Instant| Instant::now() < at;
        if self.passing.candidates.is_empty()
            || (!last && self.passing.not_before.is_some_and(early))
        {
            return Ok(());
        }
        let candidates = std::mem::take(&mut self.passing.candidates);
        let useless = candidates.into_iter().filter(|id| self.is_useless(*id));
        let doomed: Vec<_> = useless
            .map(|id| {
                let done = &self.results[&id];
                (done.key, done.outputs.values().copied().collect())
            })
            .collect();
        if doomed.is_empty() {
            return Ok(());
        }
        let begun = Instant::now();
        self.cache.discard(&doomed, pin)?;
        let pause = (begun.elapsed() * SHARE).max(Duration::from_millis(1));
        self.passing.not_before = Some(Instant::now() + pause);
        Ok(())
    }

    fn is_useless(&self, id: InstanceId) -> bool {
        let mut consumers = self.graph.consumers(id);
        self.pipeline.stage_of(id).execution.temp
            && !self.graph.is_target(id)
            && self.schedule.is_settled(id)
            && consumers.all(|id| !self.graph.is_needed(id) || self.schedule.is_settled(id))
            && self.results.contains_key(&id)
    }
}
