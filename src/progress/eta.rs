//! How long a run will still take: what is left of each stage times what an
//! instance of it takes, over how many run at once.
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    engine::{Moment, Unit},
    progress::{Running, StageTally, Tally},
};

/// A run shorter than this says little about how many stages run at once.
const WARM_MS: u64 = 2000;

/// The time a run will still take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    pub ms: u64,
    /// Some stage has never run, so that its time is not counted.
    pub at_least: bool,
}

/// `about 40 s left`; `more than 40 s left` where a stage is unknown.
impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = if self.at_least { "more than" } else { "about" };
        let s = self.ms.div_ceil(1000).max(1);
        match s {
            1..=119 => write!(f, "{how} {s} s left"),
            120..=7199 => write!(f, "{how} {} min left", s.div_ceil(60)),
            _ => write!(f, "{how} {} h {:02} min left", s / 3600, s % 3600 / 60),
        }
    }
}

impl Tally {
    /// None before anything is known, and once the run is over.
    pub fn left(&self, now: Moment) -> Option<Left> {
        if self.totals.is_some() || self.begun == Moment::default() {
            return None;
        }
        let mut left = Left {
            ms: 0,
            at_least: false,
        };
        // No run ends before its longest pass.
        let mut longest = 0;
        let mut known = false;
        for stage in &self.stages {
            let running: Vec<&Running> = self
                .running
                .values()
                .filter(|pass| pass.stage == stage.stage)
                .collect();
            let held: usize = running.iter().map(|pass| pass.instances).sum();
            let waiting = stage.left().saturating_sub(held) as u64;
            let each = stage.instance_ms();
            for pass in running {
                match pass.left_ms(each, now) {
                    Some(ms) => {
                        known = true;
                        left.ms += ms;
                        longest = longest.max(ms);
                    }
                    None => left.at_least = true,
                }
            }
            match each {
                Some(each) if waiting > 0 => {
                    known = true;
                    left.ms += each * waiting;
                }
                None if waiting > 0 => left.at_least = true,
                _ => {}
            }
        }
        left.ms = ((left.ms as f64 / self.at_once(now)) as u64).max(longest);
        known.then_some(left)
    }

    /// Stages at work at once: as observed, else as allowed.
    fn at_once(&self, now: Moment) -> f64 {
        let wall = now.ms_since(self.begun);
        let allowed = f64::from(self.jobs.max(1));
        if wall < WARM_MS {
            return allowed;
        }
        let finished: u64 = self.stages.iter().map(|stage| stage.spent_ms).sum();
        let running: u64 = self
            .running
            .values()
            .map(|pass| now.ms_since(pass.since))
            .sum();
        ((finished + running) as f64 / wall as f64).clamp(1.0, allowed)
    }
}

impl StageTally {
    /// What an instance takes: the mean of this run, else of earlier ones.
    fn instance_ms(&self) -> Option<u64> {
        self.spent_ms
            .checked_div(self.executed as u64)
            .or(self.plan.estimate_ms)
    }
}

impl Running {
    /// By its own progress, else by what its instances take.
    fn left_ms(&self, each: Option<u64>, now: Moment) -> Option<u64> {
        if self.instances == 0 {
            return Some(0);
        }
        if self.unit == Unit::Bytes
            && let Some(ms) = self.transfer_ms()
        {
            return Some(ms);
        }
        let spent = now.ms_since(self.since);
        if self.done > self.began_at && self.total >= self.done {
            let share = (self.total - self.done) as f64 / (self.done - self.began_at) as f64;
            return Some((spent as f64 * share) as u64);
        }
        Some((each? * self.instances as u64).saturating_sub(spent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_rounded_up() {
        let cases = [
            (0, false),
            (40_001, true),
            (125_000, false),
            (7_260_000, true),
        ];
        let said = cases.map(|(ms, at_least)| Left { ms, at_least }.to_string());
        let expected = [
            "about 1 s left",
            "more than 41 s left",
            "about 3 min left",
            "more than 2 h 01 min left",
        ];
        assert_eq!(said, expected);
    }
}
