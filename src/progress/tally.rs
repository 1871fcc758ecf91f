//! What a run has come to so far: its events added up. Plain data that
//! displays speak from and that the run's folder keeps for `vgh status`.
use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use crate::{
    engine::{Event, Moment, RunTotals, StagePlan, Unit},
    progress::{Reader, amount, duration, pace::Pace},
};

/// Lines of a pass's log that are kept for when it fails.
const TAIL_LINES: usize = 8;
/// Characters of such a line.
const TAIL_WIDTH: usize = 300;
/// Stages that are listed in any case.
const LISTED: usize = 100;
/// Failed passes that are kept in full; the count goes on.
const FAILURES: usize = 100;

/// See the header.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tally {
    pub run: String,
    pub pipeline: String,
    pub begun: Moment,
    /// When the last event was told.
    pub updated: Moment,
    pub jobs: u32,
    pub instances: usize,
    /// Instances whose result is there.
    pub done: usize,
    pub failed: usize,
    /// In the order of the pipeline; of many only those in which something may
    /// run, and last those of which the plan did not say so.
    pub stages: Vec<StageTally>,
    /// The others, and how many results were there.
    pub idle_stages: usize,
    pub idle_cached: usize,
    /// Passes at work, by number.
    pub running: BTreeMap<u64, Running>,
    /// Passes that failed, in the order in which they did.
    pub failures: Vec<Failure>,
    /// Once the run is over.
    pub totals: Option<RunTotals>,
    #[serde(skip)]
    positions: HashMap<String, usize>,
}

/// One stage: what was planned and what became of it, in instances.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StageTally {
    pub stage: String,
    pub plan: StagePlan,
    pub cached: usize,
    pub executed: usize,
    pub failed: usize,
    pub skipped: usize,
    /// Summed over executed instances.
    pub spent_ms: u64,
}

/// A pass at work.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Running {
    pub stage: String,
    /// As selectors name the last of its instances.
    pub instance: String,
    /// Wanted marks of a progressive pass.
    pub marks: Vec<u64>,
    pub resumed_at: Option<u64>,
    pub since: Moment,
    /// Instances that it will still finish.
    pub instances: usize,
    /// `done` when it was first told, so that resumed work is not counted.
    pub began_at: u64,
    pub done: u64,
    pub total: u64,
    pub unit: Unit,
    /// Of bytes, how many come in a second, once that is known.
    pub rate: Option<u64>,
    #[serde(skip)]
    pace: Pace,
    pub note: String,
    pub log_lines: usize,
    pub log_tail: Vec<String>,
}

/// A pass that failed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Failure {
    pub pass: u64,
    pub stage: String,
    /// The instances that have no result because of it.
    pub instances: Vec<String>,
    pub error: String,
    pub log_lines: usize,
    pub log_tail: Vec<String>,
}

/// The file below a run's `logs/` that has the output of a pass.
pub fn log_name(pass: u64, stage: &str) -> String {
    format!("{pass:04}-{stage}.log")
}

impl StageTally {
    /// Instances that the plan does not call cached and that are not over.
    pub fn left(&self) -> usize {
        let cached = self.cached.max(self.plan.cached);
        self.plan
            .instances
            .saturating_sub(cached + self.executed + self.failed + self.skipped)
    }
}

impl Running {
    /// `grpo@lr=1e-4 (marks 10, 20, 30), resumed at 10`.
    pub fn name(&self) -> String {
        let marks: Vec<String> = self.marks.iter().map(u64::to_string).collect();
        let reach = match marks.as_slice() {
            [] | [_] => String::new(),
            [first, .., last] if marks.len() > 4 => {
                format!(" ({} marks, {first} to {last})", marks.len())
            }
            several => format!(" (marks {})", several.join(", ")),
        };
        let resumed = self.resumed_at.map(|mark| format!(", resumed at {mark}"));
        format!("{}{reach}{}", self.instance, resumed.unwrap_or_default())
    }

    /// `12/30 loss 0.31`, or `3.1 GB of 5.9 GB, 42 MB/s, 67 s left, NAME`; empty
    /// before the first word.
    pub fn progress(&self) -> String {
        if self.total == 0 {
            return self.note.clone();
        }
        if self.unit == Unit::Bytes {
            let mut text = format!("{} of {}", amount(self.done), amount(self.total));
            if let Some(rate) = self.rate {
                text.push_str(&format!(", {}/s", amount(rate)));
            }
            if let Some(ms) = self.transfer_ms() {
                let left = match ms / 1000 {
                    s @ 0..10 => format!("{s} s"),
                    _ => duration(ms),
                };
                text.push_str(&format!(", {left} left"));
            }
            return format!("{text}, {}", self.note);
        }
        let text = format!("{}/{} {}", self.done, self.total, self.note);
        text.trim_end().to_owned()
    }

    /// What the rest of the bytes will take at their rate, in whole seconds.
    pub(super) fn transfer_ms(&self) -> Option<u64> {
        let rate = self.rate.filter(|rate| *rate > 0)?;
        let left = self.total.saturating_sub(self.done);
        Some(left.div_ceil(rate) * 1000)
    }

    fn advance(&mut self, (done, total): (u64, u64), unit: Unit, note: &str, at: Moment) {
        if self.total == 0 {
            self.began_at = self.resumed_at.unwrap_or(0);
        }
        (self.done, self.total, self.unit) = (done, total, unit);
        if unit == Unit::Bytes {
            self.rate = self.pace.see(done, at);
        }
        note.clone_into(&mut self.note);
    }

    fn keep(&mut self, line: &str) {
        self.log_lines += 1;
        if self.log_tail.len() == TAIL_LINES {
            self.log_tail.remove(0);
        }
        self.log_tail.push(line.chars().take(TAIL_WIDTH).collect());
    }
}

impl Tally {
    fn listed(&mut self, name: &str) -> Option<&mut StageTally> {
        let position = *self.positions.get(name)?;
        self.stages.get_mut(position)
    }

    /// A stage in which something happens; also one of which the plan did not say so.
    fn stage(&mut self, name: &str) -> &mut StageTally {
        let next = self.stages.len();
        let position = *self.positions.entry(name.to_owned()).or_insert(next);
        if position == next {
            let plan = StagePlan {
                stage: name.to_owned(),
                ..StagePlan::default()
            };
            self.stages.push(planned(&plan));
            self.idle_stages = self.idle_stages.saturating_sub(1);
        }
        &mut self.stages[position]
    }

    fn fail(&mut self, pass: u64, stage: &str, instance: &str, error: &str) {
        self.failed += 1;
        self.stage(stage).failed += 1;
        if let Some(known) = self.failures.iter_mut().rfind(|known| known.pass == pass) {
            known.instances.push(instance.to_owned());
            return;
        }
        let was = self.running.remove(&pass).unwrap_or_default();
        if self.failures.len() < FAILURES {
            self.failures.push(Failure {
                pass,
                stage: stage.to_owned(),
                instances: vec![instance.to_owned()],
                error: error.to_owned(),
                log_lines: was.log_lines,
                log_tail: was.log_tail,
            });
        }
    }
}

impl Tally {
    fn open(&mut self, event: &Event, at: Moment) {
        if let Event::RunStarted {
            run,
            pipeline,
            instances,
            jobs,
            stages,
            ..
        } = event
        {
            run.clone_into(&mut self.run);
            pipeline.clone_into(&mut self.pipeline);
            (self.begun, self.jobs, self.instances) = (at, *jobs, *instances);
            let few = stages.len() <= LISTED;
            let listed = |stage: &&StagePlan| few || stage.cached < stage.instances;
            self.stages = stages.iter().filter(listed).map(planned).collect();
            self.idle_stages = stages.len() - self.stages.len();
            let names = self.stages.iter().map(|stage| stage.stage.clone());
            self.positions = names.zip(0..).collect();
        }
    }
}

impl Reader for Tally {
    fn see(&mut self, event: &Event, at: Moment) {
        self.updated = at;
        match event {
            Event::RunStarted { .. } => self.open(event, at),
            Event::Cached { stage, .. } => {
                self.done += 1;
                match self.listed(stage) {
                    Some(stage) => stage.cached += 1,
                    None => self.idle_cached += 1,
                }
            }
            Event::Started { pass, .. } => {
                if let Some(running) = begun(event, at) {
                    self.running.insert(*pass, running);
                }
            }
            Event::Progress {
                pass,
                done,
                total,
                unit,
                note,
            } => {
                if let Some(running) = self.running.get_mut(pass) {
                    running.advance((*done, *total), *unit, note, at);
                }
            }
            Event::Log { pass, line } => {
                if let Some(running) = self.running.get_mut(pass) {
                    running.keep(line);
                }
            }
            Event::Finished {
                pass,
                stage,
                duration_ms,
                ..
            } => {
                self.done += 1;
                if let Some(running) = self.running.get_mut(pass) {
                    running.instances = running.instances.saturating_sub(1);
                }
                let stage = self.stage(stage);
                stage.executed += 1;
                stage.spent_ms += duration_ms;
            }
            Event::PassFinished { pass, .. } | Event::Retrying { pass, .. } => {
                self.running.remove(pass);
            }
            Event::Failed {
                pass,
                stage,
                instance,
                error,
            } => self.fail(*pass, stage, instance, error),
            Event::Skipped { stage, .. } => self.stage(stage).skipped += 1,
            Event::Warning { .. } => {}
            Event::RunFinished(totals) => {
                self.running.clear();
                self.totals = Some(totals.clone());
            }
        }
    }
}

fn planned(plan: &StagePlan) -> StageTally {
    StageTally {
        stage: plan.stage.clone(),
        plan: plan.clone(),
        ..StageTally::default()
    }
}

fn begun(event: &Event, at: Moment) -> Option<Running> {
    let Event::Started {
        stage,
        instance,
        marks,
        resumed_at,
        ..
    } = event
    else {
        return None;
    };
    Some(Running {
        stage: stage.clone(),
        instance: instance.clone(),
        marks: marks.clone(),
        resumed_at: *resumed_at,
        since: at,
        instances: marks.len().max(1),
        ..Running::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After the plan of so many stages, in the first of which one of two is to run.
    fn opened(count: usize) -> Tally {
        let stage = |n: usize| StagePlan {
            stage: format!("s{n}"),
            instances: 2,
            cached: 2 - usize::from(n == 0),
            to_run: usize::from(n == 0),
            ..StagePlan::default()
        };
        let stages = (0..count).map(stage).collect();
        let mut tally = Tally::default();
        tally.see(&Event::opening("run", "p", 1, stages), Moment::default());
        for n in 0..count {
            for instance in usize::from(n == 0)..2 {
                let event = Event::Cached {
                    stage: format!("s{n}"),
                    instance: format!("s{n}@i={instance}"),
                };
                tally.see(&event, Moment::default());
            }
        }
        tally
    }

    #[test]
    fn of_many_stages_those_without_work_are_counted_only() {
        let few = opened(3);
        assert_eq!((few.stages.len(), few.idle_stages), (3, 0));
        let mut many = opened(LISTED + 1);
        assert_eq!((many.stages.len(), many.idle_stages), (1, LISTED));
        assert_eq!((many.stages[0].cached, many.stages[0].left()), (1, 1));
        assert_eq!((many.idle_cached, many.done), (2 * LISTED, 2 * LISTED + 1));
        // One of them has something to do nevertheless.
        let event = Event::Skipped {
            stage: "s7".to_owned(),
            instance: "s7@i=1".to_owned(),
            because: String::new(),
        };
        many.see(&event, Moment::default());
        assert_eq!((many.stages.len(), many.idle_stages), (2, LISTED - 1));
        assert_eq!(
            (many.stages[1].stage.as_str(), many.stages[1].skipped),
            ("s7", 1)
        );
    }
}
