//! Events as lines of text, for logs and pipes: what finished, now and then
//! what runs, what stages say, and each failure with the place of its log.
use std::{
    io::Write,
    path::{Path, PathBuf},
};

use crate::{
    engine::{Event, Moment},
    progress::{Reader, Running, Tally, duration, log_name, plural},
};

/// How often what runs is said.
const HEARTBEAT_MS: u64 = 30_000;
/// Passes that a heartbeat names.
const NAMED: usize = 4;

pub struct Plain<W: Write> {
    out: W,
    tally: Tally,
    /// Where the logs of passes lie, to be told of a failure.
    logs: PathBuf,
    /// When the last heartbeat was, or the run's beginning.
    beat: Moment,
}

impl<W: Write> Plain<W> {
    pub fn new(out: W, logs: PathBuf) -> Plain<W> {
        Plain {
            out,
            tally: Tally::default(),
            logs,
            beat: Moment::default(),
        }
    }

    fn say(&mut self, line: &str) {
        let _ = writeln!(self.out, "{line}");
    }

    fn beat(&mut self, at: Moment) {
        if at.ms_since(self.beat) < HEARTBEAT_MS {
            return;
        }
        self.beat = at;
        let line = heartbeat(&self.tally, at);
        self.say(&line);
    }
}

/// `quickstart: 450 instances, 2 cached, 448 to run, 3 maybe`.
pub(super) fn opening(event: &Event) -> Option<String> {
    let Event::RunStarted {
        pipeline,
        instances,
        cached,
        to_run,
        maybe,
        ..
    } = event
    else {
        return None;
    };
    let maybe = if *maybe > 0 {
        format!(", {maybe} maybe")
    } else {
        String::new()
    };
    Some(format!(
        "{pipeline}: {}, {cached} cached, {to_run} to run{maybe}",
        plural(*instances, "instance")
    ))
}

/// `41 s: 60 of 444 done, about 40 s left; grpo@step=25 12/30 (3.10 s)`.
fn heartbeat(tally: &Tally, at: Moment) -> String {
    let mut line = format!(
        "{}: {} of {} done",
        duration(at.ms_since(tally.begun)),
        tally.done,
        tally.instances
    );
    if let Some(left) = tally.left(at) {
        line.push_str(&format!(", {left}"));
    }
    for (n, pass) in tally.running.values().take(NAMED).enumerate() {
        let progress = pass.progress();
        line.push_str(&format!(
            "{} {}{}{progress} ({})",
            if n == 0 { ";" } else { "," },
            pass.instance,
            if progress.is_empty() { "" } else { " " },
            duration(at.ms_since(pass.since))
        ));
    }
    if tally.running.len() > NAMED {
        line.push_str(&format!(" and {} more", tally.running.len() - NAMED));
    }
    line
}

/// `attempt 1 of 3 failed: grpo@lr=1e-4: REASON; the next in 0.81 s`.
pub(super) fn retrying(event: &Event) -> Option<String> {
    let Event::Retrying {
        instance,
        attempt,
        retries,
        reason,
        wait_ms,
        ..
    } = event
    else {
        return None;
    };
    let all = u64::from(*retries) + 1;
    Some(format!(
        "attempt {attempt} of {all} failed: {instance}: {reason}; the next in {}",
        duration(*wait_ms)
    ))
}

/// What is said of a failure that the tally has just taken in: nothing new for
/// the further instances of a pass.
pub(super) fn failure(tally: &Tally, logs: &Path, event: &Event) -> Vec<String> {
    let Event::Failed {
        pass,
        instance,
        stage,
        error,
    } = event
    else {
        return Vec::new();
    };
    let known = tally.failures.iter().rfind(|known| known.pass == *pass);
    if known.is_some_and(|known| known.instances.len() > 1) {
        return vec![format!("failed: {instance}, with the same pass")];
    }
    let mut lines = vec![format!("failed: {instance}: {error}")];
    // Its lines were told when it said them.
    if let Some(known) = known.filter(|known| known.log_lines > 0) {
        let lines_said = plural(known.log_lines, "line");
        let path = logs.join(log_name(*pass, stage));
        lines.push(format!("  {lines_said} above, in {}", path.display()));
    }
    lines
}

impl<W: Write> Reader for Plain<W> {
    fn see(&mut self, event: &Event, at: Moment) {
        let name = match event {
            Event::PassFinished { pass, .. } | Event::Log { pass, .. } => {
                self.tally.running.get(pass).map(Running::name)
            }
            _ => None,
        };
        self.tally.see(event, at);
        match event {
            Event::RunStarted { .. } => {
                self.beat = at;
                if let Some(line) = opening(event) {
                    self.say(&line);
                }
            }
            Event::PassFinished { duration_ms, .. } => {
                let line = format!(
                    "[{}/{}] {}  {}",
                    self.tally.done,
                    self.tally.instances,
                    name.unwrap_or_default(),
                    duration(*duration_ms)
                );
                self.say(&line);
            }
            Event::Failed { .. } => {
                for line in failure(&self.tally, &self.logs, event) {
                    self.say(&line);
                }
            }
            Event::Retrying { .. } => {
                if let Some(line) = retrying(event) {
                    self.say(&line);
                }
            }
            Event::Log { line, .. } => {
                self.say(&format!("{}: {line}", name.unwrap_or_default()));
            }
            Event::Warning { message } => self.say(&format!("warning: {message}")),
            // A failure has been said; what it holds up is counted at the end.
            Event::Cached { .. }
            | Event::Started { .. }
            | Event::Finished { .. }
            | Event::Progress { .. }
            | Event::Skipped { .. }
            | Event::RunFinished(_) => {}
        }
        if !matches!(event, Event::RunFinished(_)) {
            self.beat(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{RunTotals, StagePlan, Unit};

    fn plan(stage: &str, instances: usize, estimate_ms: Option<u64>) -> StagePlan {
        StagePlan {
            stage: stage.to_owned(),
            instances,
            to_run: instances,
            estimate_ms,
            ..StagePlan::default()
        }
    }

    fn started(pass: u64, stage: &str, instance: &str, marks: &[u64]) -> Event {
        Event::Started {
            pass,
            stage: stage.to_owned(),
            instance: instance.to_owned(),
            marks: marks.to_vec(),
            resumed_at: None,
            slot: 0,
        }
    }

    fn finished(pass: u64, stage: &str, instance: &str, duration_ms: u64) -> Event {
        Event::Finished {
            pass,
            stage: stage.to_owned(),
            instance: instance.to_owned(),
            duration_ms,
        }
    }

    fn failed(pass: u64, stage: &str, instance: &str) -> Event {
        Event::Failed {
            pass,
            stage: stage.to_owned(),
            instance: instance.to_owned(),
            error: "told to fail".to_owned(),
        }
    }

    /// Seconds after the beginning, and what was told then.
    fn story() -> Vec<(u32, Event)> {
        let begin = Event::RunStarted {
            format: 1,
            run: "r".into(),
            pipeline: "toy".into(),
            program: "vgh".into(),
            instances: 7,
            cached: 1,
            to_run: 6,
            maybe: 0,
            jobs: 2,
            stages: vec![
                StagePlan {
                    cached: 1,
                    to_run: 0,
                    ..plan("a", 1, None)
                },
                plan("b", 4, Some(20_000)),
                plan("c", 2, None),
            ],
        };
        let cached = Event::Cached {
            stage: "a".into(),
            instance: "a".into(),
        };
        let progress = |done| Event::Progress {
            pass: 1,
            done,
            total: 40,
            unit: Unit::Steps,
            note: "loss 0.5".into(),
        };
        let log = |n: u32| Event::Log {
            pass: 2,
            line: format!("line {n}"),
        };
        let over = |pass, stage: &str, duration_ms| Event::PassFinished {
            pass,
            stage: stage.into(),
            duration_ms,
        };
        let mut story = vec![
            (0, begin),
            (0, cached),
            (0, started(1, "b", "b@to=40", &[10, 40])),
            (0, started(2, "b", "b@to=1", &[])),
            (10, progress(10)),
            (12, finished(1, "b", "b@to=10", 12_000)),
            (31, progress(20)),
            (62, finished(1, "b", "b@to=40", 50_000)),
            (62, over(1, "b", 62_000)),
        ];
        story.extend((1..=10).map(|n| (62, log(n))));
        story.push((63, failed(2, "b", "b@to=1")));
        story.push((63, failed(2, "b", "b@to=2")));
        story.push((64, Event::RunFinished(RunTotals::default())));
        story
    }

    #[test]
    fn a_run_reads_as_a_story() {
        let mut plain = Plain::new(Vec::new(), "cache/runs/r/logs".into());
        for (second, event) in story() {
            let at = format!("2026-01-01T00:{:02}:{:02}Z", second / 60, second % 60);
            plain.see(&event, at.parse().unwrap());
        }
        let expected = "\
toy: 7 instances, 1 cached, 6 to run
31 s: 2 of 7 done, more than 31 s left; b@to=40 20/40 loss 0.5 (31 s), b@to=1 (31 s)
62 s: 3 of 7 done, more than 16 s left; b@to=40 20/40 loss 0.5 (62 s), b@to=1 (62 s)
[3/7] b@to=40 (marks 10, 40)  62 s
b@to=1: line 1
b@to=1: line 2
b@to=1: line 3
b@to=1: line 4
b@to=1: line 5
b@to=1: line 6
b@to=1: line 7
b@to=1: line 8
b@to=1: line 9
b@to=1: line 10
failed: b@to=1: told to fail
  10 lines above, in cache/runs/r/logs/0002-b.log
failed: b@to=2, with the same pass
";
        let said = String::from_utf8(plain.out).unwrap();
        assert_eq!(said, expected);
    }

    #[test]
    fn a_download_is_told_with_rate_and_time_left() {
        let mut plain = Plain::new(Vec::new(), "logs".into());
        let begin = Event::RunStarted {
            format: 1,
            run: "r".into(),
            pipeline: "ladder".into(),
            program: "vgh".into(),
            instances: 1,
            cached: 0,
            to_run: 1,
            maybe: 0,
            jobs: 1,
            stages: vec![plan("checkpoint", 1, None)],
        };
        let progress = |done| Event::Progress {
            pass: 1,
            done,
            total: 5_940_000_000,
            unit: Unit::Bytes,
            note: "model.safetensors".into(),
        };
        let mut story = vec![
            (0, begin),
            (0, started(1, "checkpoint", "checkpoint@step=1000", &[])),
        ];
        // What was there already is hashed fast; then 42 MB come a second.
        story.push((1, progress(500_000_000)));
        story.push((2, progress(1_800_000_000)));
        story.extend((3..=31).map(|s| (s, progress(1_800_000_000 + (s - 2) * 42_000_000))));
        for (second, event) in story {
            let at = format!("2026-01-01T00:00:{second:02}Z");
            plain.see(&event, at.parse().unwrap());
        }
        let said = String::from_utf8(plain.out).unwrap();
        let last = said.lines().last().unwrap();
        assert_eq!(
            last,
            "30 s: 0 of 1 done, about 71 s left; checkpoint@step=1000 3.0 GB of 5.9 GB, 42 MB/s, \
             71 s left, model.safetensors (30 s)"
        );
    }
}
