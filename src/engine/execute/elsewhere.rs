//! Other runs on the same cache: the lease of each family that this run works
//! on, and waiting for results that others make now.
//!
//! Waiting holds nothing and stops nothing else: a pass whose lease is taken
//! goes back to the schedule, and is looked up again when its record appears
//! or the lease is free.
use std::{
    collections::{BTreeMap, BTreeSet},
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;

use crate::{
    cache::{Lease, Leased},
    digest::Digest,
    engine::{event::Event, execute::Run, schedule::Start},
    pipeline::InstanceId,
};

/// How often others are looked at, at most.
pub(super) const LOOK: Duration = Duration::from_millis(40);
/// Of the time, looking may take one part in this many.
const SHARE: u32 = 20;

/// What this run holds, and what it waits for.
pub(super) struct Elsewhere {
    held: BTreeMap<u64, Lease>,
    waiting: BTreeMap<Digest, Vec<InstanceId>>,
    /// Instances that were left to another run at least once.
    waited: BTreeSet<InstanceId>,
    /// Whom people were told about.
    told: BTreeSet<String>,
    look_at: Instant,
}

impl Elsewhere {
    pub(super) fn new() -> Elsewhere {
        Elsewhere {
            held: BTreeMap::new(),
            waiting: BTreeMap::new(),
            waited: BTreeSet::new(),
            told: BTreeSet::new(),
            look_at: Instant::now(),
        }
    }

    /// Whether a result is awaited that another run makes.
    pub(super) fn awaited(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether another run may have made what this instance was to make.
    pub(super) fn left_to_others(&self, id: InstanceId) -> bool {
        self.waited.contains(&id)
    }

    /// The pass is over, its records are written.
    pub(super) fn release(&mut self, pass: u64) {
        self.held.remove(&pass);
    }
}

impl Run<'_> {
    /// Takes the lease of the pass's family. False if the pass cannot begin
    /// now; it has then been given back to the schedule.
    pub(super) fn may_start(&mut self, start: &Start) -> Result<bool> {
        let Some(&last) = start.members.last() else {
            return Ok(true);
        };
        if start.members.iter().any(|id| self.outdated(*id)) {
            let members = self.schedule.postpone(start.pass);
            self.schedule.retry(&members);
            return Ok(false);
        }
        let family = self.manifests[&last].family(self.pipeline.stage_of(last).kind);
        match self.cache.try_lease(&family)? {
            Leased::Busy { holder } => {
                let members = self.schedule.postpone(start.pass);
                self.tell_wait(last, &holder);
                self.elsewhere.waited.extend(&members);
                self.elsewhere
                    .waiting
                    .entry(family)
                    .or_default()
                    .extend(members);
                Ok(false)
            }
            Leased::Held(lease) => {
                // The last holder may have finished between our look and our lease.
                if start.members.iter().any(|id| self.has_result(*id)) {
                    drop(lease);
                    let members = self.schedule.postpone(start.pass);
                    self.schedule.retry(&members);
                    return Ok(false);
                }
                self.elsewhere.held.insert(start.pass, lease);
                Ok(true)
            }
        }
    }

    fn tell_wait(&mut self, id: InstanceId, holder: &str) {
        if self.elsewhere.told.insert(holder.to_owned()) {
            let label = self.pipeline.label(id);
            let who = if holder.is_empty() {
                "another run"
            } else {
                holder
            };
            let message = format!("`{label}` is being made already: waits for {who}");
            self.voice.say(Event::Warning { message });
        }
    }

    /// Whether an instance that had to run could be taken from the cache by now.
    fn has_result(&self, id: InstanceId) -> bool {
        self.manifests
            .get(&id)
            .is_some_and(|manifest| self.usable(id, &manifest.key()).is_some())
    }

    /// Whether the run goes on only because another run makes what it wants.
    pub(super) fn is_waiting(&self) -> bool {
        self.elsewhere.awaited() && !self.schedule.is_closed()
    }

    /// Looks whether results that others make have come, from time to time.
    pub(super) fn look_elsewhere(&mut self) {
        if !self.elsewhere.awaited() {
            return;
        }
        let begun = Instant::now();
        if begun < self.elsewhere.look_at {
            if self.schedule.running() == 0 {
                thread::sleep(self.elsewhere.look_at - begun);
            }
            return;
        }
        let mut free = Vec::new();
        for (family, members) in &self.elsewhere.waiting {
            let come = members.iter().any(|id| self.has_result(*id));
            if come || self.cache.lease_is_free(family) {
                free.push(*family);
            }
        }
        for family in free {
            let members = self.elsewhere.waiting.remove(&family);
            self.schedule.retry(&members.unwrap_or_default());
        }
        self.elsewhere.look_at = Instant::now() + LOOK.max(begun.elapsed() * SHARE);
    }
}
