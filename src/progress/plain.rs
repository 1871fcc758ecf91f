//! Events as lines of text, for logs and pipes.
use std::{collections::BTreeMap, io::Write};

use crate::{
    engine::Event,
    progress::{Reader, duration, plural},
};

pub struct Plain<W: Write> {
    out: W,
    total: usize,
    done: usize,
    /// Running passes: how people name them.
    names: BTreeMap<u64, String>,
}

impl<W: Write> Plain<W> {
    pub fn new(out: W) -> Plain<W> {
        Plain {
            out,
            total: 0,
            done: 0,
            names: BTreeMap::new(),
        }
    }

    fn say(&mut self, line: &str) {
        let _ = writeln!(self.out, "{line}");
    }
}

/// `quickstart: 450 instances: 2 cached, 448 to run, 0 maybe`.
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

/// `grpo@lr=1e-4 to 10, 20, 30 from 10`.
pub(super) fn pass_name(instance: &str, marks: &[u64], resumed_at: Option<u64>) -> String {
    let marks: Vec<String> = marks.iter().map(u64::to_string).collect();
    let reach = match marks.as_slice() {
        [] | [_] => String::new(),
        [first, .., last] if marks.len() > 4 => {
            format!(" ({} marks, {first} to {last})", marks.len())
        }
        several => format!(" (marks {})", several.join(", ")),
    };
    let resumed = resumed_at.map(|mark| format!(", resumed at {mark}"));
    format!("{instance}{reach}{}", resumed.unwrap_or_default())
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

impl<W: Write> Reader for Plain<W> {
    fn see(&mut self, event: &Event) {
        match event {
            Event::RunStarted { instances, .. } => {
                self.total = *instances;
                if let Some(line) = opening(event) {
                    self.say(&line);
                }
            }
            Event::Cached { .. } | Event::Finished { .. } => self.done += 1,
            Event::Started {
                pass,
                instance,
                marks,
                resumed_at,
                ..
            } => {
                self.names
                    .insert(*pass, pass_name(instance, marks, *resumed_at));
            }
            Event::PassFinished {
                pass, duration_ms, ..
            } => {
                let name = self.names.remove(pass).unwrap_or_default();
                let line = format!(
                    "[{}/{}] {name}  {}",
                    self.done,
                    self.total,
                    duration(*duration_ms)
                );
                self.say(&line);
            }
            Event::Failed {
                instance, error, ..
            } => self.say(&format!("failed: {instance}: {error}")),
            Event::Retrying { pass, .. } => {
                self.names.remove(pass);
                if let Some(line) = retrying(event) {
                    self.say(&line);
                }
            }
            Event::Log { pass, line } => {
                let line = format!(
                    "{}: {line}",
                    self.names.get(pass).map_or("", String::as_str)
                );
                self.say(&line);
            }
            Event::Warning { message } => self.say(&format!("warning: {message}")),
            // A failure has been said; what it holds up is counted at the end.
            Event::Progress { .. } | Event::Skipped { .. } | Event::RunFinished(_) => {}
        }
    }
}
