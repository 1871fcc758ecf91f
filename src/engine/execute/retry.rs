//! Further attempts: when, how often, and what is said. Failures are evidence,
//! never results: an attempt leaves events and nothing in the cache.
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::{
    cache::Pin,
    digest::Digest,
    engine::{
        capacity::Capacity, event::Event, execute::Run, executor::Placement, schedule::Start,
    },
    pipeline::InstanceId,
    seed::Seed,
};

/// The wait before the second attempt, without jitter.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// No wait is longer.
const LONGEST_WAIT: Duration = Duration::from_mins(2);

/// Members of a pass that wait for their next attempt.
pub(super) struct Delayed {
    due: Instant,
    pass: u64,
    ids: Vec<InstanceId>,
    /// Why the last attempt failed.
    error: String,
}

/// Doubles with each attempt; a part between a half and all of it, so that
/// many that failed together do not come back together. `attempt` counts from 1.
fn wait_after(attempt: u32, family: &Digest) -> Duration {
    let whole = FIRST_WAIT
        .saturating_mul(2_u32.saturating_pow(attempt - 1))
        .min(LONGEST_WAIT);
    let label = format!("retry {family}");
    let part = 0.5 + 0.5 * Seed(0).stream(&label, &[u64::from(attempt)]).uniform();
    whole.mul_f64(part)
}

impl Run<'_> {
    /// Plans the next attempt of what the pass did not reach, if its stage has
    /// one left; whether it did.
    pub(super) fn try_again(&mut self, pass: u64, error: &str) -> bool {
        let Some(last) = self.schedule.unfinished(pass).pop() else {
            return false;
        };
        let retries = self.pipeline.stage_of(last).execution.retries;
        let attempt = self.passes.get(&pass).map_or(1, |state| state.attempt);
        if attempt > retries || self.schedule.is_closed() {
            return false;
        }
        let family = self.manifests[&last].family(self.pipeline.stage_of(last).kind);
        let wait = wait_after(attempt, &family);
        let ids = self.schedule.again(pass);
        self.passes.remove(&pass);
        let (stage, instance) = self.names(last);
        self.voice.say(Event::Retrying {
            pass,
            stage,
            instance,
            attempt,
            retries,
            reason: error.to_owned(),
            wait_ms: wait.as_millis() as u64,
        });
        self.delayed.push(Delayed {
            due: Instant::now() + wait,
            pass,
            ids,
            error: error.to_owned(),
        });
        true
    }

    /// Where and how long a pass may run.
    pub(super) fn placement(&self, start: &Start, last: InstanceId) -> Placement {
        let names = || {
            start
                .place
                .gpus
                .iter()
                .map(|gpu| self.capacity.gpus[*gpu].clone())
        };
        let limit = self.pipeline.stage_of(last).execution.resources.time_s;
        Placement {
            slot: start.place.slot,
            gpus: (!self.capacity.gpus.is_empty()).then(|| names().collect()),
            evict: start.place.evict.clone(),
            // Further ahead than a clock can count is no limit.
            limit: limit.and_then(|s| Duration::try_from_secs_f64(s).ok()),
        }
    }

    /// Counts an attempt of each member; the largest of the counts.
    pub(super) fn attempt_of(&mut self, members: &[InstanceId]) -> u32 {
        let counts = members.iter().map(|id| {
            let count = self.attempts.entry(*id).or_default();
            *count += 1;
            *count
        });
        counts.max().unwrap_or(1)
    }

    /// The system gives no further process now: what runs goes on, and fewer
    /// run at once from here.
    pub(super) fn begin_later(&mut self, start: &Start, why: &str) -> Result<()> {
        let others = self.schedule.running() - 1;
        ensure!(others > 0, "no worker can be started: {why}");
        for id in &start.members {
            self.attempts.entry(*id).and_modify(|count| *count -= 1);
        }
        self.schedule.put_back(start.pass);
        let message =
            format!("no further worker can be started ({why}); {others} at once from here");
        self.voice.say(Event::Warning { message });
        Ok(())
    }

    /// Lets those go on whose wait is over.
    pub(super) fn wake(&mut self) {
        if self.delayed.is_empty() {
            return;
        }
        let now = Instant::now();
        for delayed in &self.delayed {
            if delayed.due <= now {
                self.schedule.due(&delayed.ids);
            }
        }
        self.delayed.retain(|delayed| delayed.due > now);
    }

    /// How long nothing is due for, at most `longest`.
    pub(super) fn patience(&self, longest: Duration) -> Duration {
        let now = Instant::now();
        let waits = self.delayed.iter().map(|delayed| delayed.due - now);
        waits.min().map_or(longest, |wait| wait.min(longest))
    }

    /// Nothing runs and nothing can start: whether the run is over. What waits
    /// for another attempt will be heard of, unless nothing starts any more.
    pub(super) fn nothing_left(&mut self, pin: &Pin) -> Result<bool> {
        if self.schedule.delayed() > 0 && !self.schedule.is_closed() {
            return Ok(false);
        }
        let starved = self.schedule.starved();
        if !starved.is_empty() {
            if !self.make_room(pin)? {
                for id in starved {
                    let lack = self.lack_now(id);
                    self.schedule.give_up(id);
                    self.fail(id, 0, &lack);
                }
            }
            return Ok(false);
        }
        let delayed = std::mem::take(&mut self.delayed);
        if !self.totals.interrupted {
            for Delayed {
                pass, ids, error, ..
            } in delayed
            {
                self.schedule.fail(&ids);
                for id in ids {
                    self.fail(id, pass, &error);
                }
            }
        }
        Ok(true)
    }

    fn lack_now(&self, id: InstanceId) -> String {
        let takes = self.schedule.takes(id);
        let lack = Capacity::lack(&takes, &self.capacity.total(u32::MAX));
        let held = self.schedule.of_budget();
        let disk = self
            .capacity
            .disk_lack(takes.disk_bytes, held, self.disk_now);
        disk.or(lack)
            .unwrap_or_else(|| "asks for more than this machine has".to_owned())
    }

    /// What running passes wrote is gone from what the next may have.
    pub(super) fn look_at_disk(&mut self) {
        if self.capacity.disk_bytes < u64::MAX
            && let Some(free_bytes) = self.cache.room_bytes(self.downloads.awaited())
        {
            self.disk_now = free_bytes;
            self.schedule.set_disk(free_bytes);
        }
    }

    /// Says that an instance has failed, and counts it.
    pub(super) fn fail(&mut self, id: InstanceId, pass: u64, error: &str) {
        self.totals.failed += 1;
        self.failed.insert(id);
        let (stage, instance) = self.names(id);
        self.voice.say(Event::Failed {
            pass,
            stage,
            instance,
            error: error.to_owned(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_within_their_jitter_and_are_bounded() {
        let family = Digest::of(b"f");
        for attempt in 1..=40 {
            let whole = FIRST_WAIT
                .saturating_mul(2_u32.saturating_pow(attempt - 1))
                .min(LONGEST_WAIT);
            let wait = wait_after(attempt, &family);
            assert!(wait >= whole / 2 && wait <= whole, "{attempt}: {wait:?}");
            assert_eq!(wait, wait_after(attempt, &family));
        }
        assert_ne!(wait_after(1, &family), wait_after(1, &Digest::of(b"g")));
    }
}
