//! Events as lines that move, for a terminal: one for the run, one for each
//! pass at work. Failures and logs scroll away above them.
use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::{
    engine::{Event, Moment},
    progress::{
        Reader, Tally,
        plain::{failure, opening, retrying},
    },
};

const TICK: Duration = Duration::from_millis(250);
/// How often what is left is worked out at most.
const HEAD_MS: u64 = 100;
/// Of a pass without a measure of its progress.
const UNMEASURED: &str = "  {elapsed:>5} {wide_msg}";
const MEASURED: &str = "  {elapsed:>5} [{bar:16}] {wide_msg}";
const RUN: &str = "{elapsed:>7} [{bar:16}] {wide_msg}";

pub struct Live {
    bars: MultiProgress,
    run: ProgressBar,
    passes: BTreeMap<u64, ProgressBar>,
    tally: Tally,
    logs: PathBuf,
    /// What is left, and when that was last worked out.
    left: String,
    headed: Moment,
}

impl Live {
    /// `logs` is where the logs of passes lie, to be told of a failure.
    pub fn new(logs: PathBuf) -> Live {
        let bars = MultiProgress::new();
        let run = bars.add(ProgressBar::new(0).with_style(style(RUN)));
        Live {
            bars,
            run,
            passes: BTreeMap::new(),
            tally: Tally::default(),
            logs,
            left: String::new(),
            headed: Moment::default(),
        }
    }

    fn say(&self, line: &str) {
        let _ = self.bars.println(line);
    }

    fn head(&mut self, at: Moment) {
        if at.ms_since(self.headed) >= HEAD_MS {
            self.headed = at;
            let left = self.tally.left(at).map(|left| format!(", {left}"));
            self.left = left.unwrap_or_default();
        }
        let tally = &self.tally;
        let failed = tally.failed;
        self.run.set_position((tally.done + failed) as u64);
        let mut text = format!("{} of {} done", tally.done, tally.instances);
        if failed > 0 {
            text.push_str(&format!(", {failed} failed"));
        }
        text.push_str(&format!(", {} running", tally.running.len()));
        text.push_str(&self.left);
        self.run.set_message(text);
    }

    fn begin(&mut self, pass: u64) {
        let Some(running) = self.tally.running.get(&pass) else {
            return;
        };
        let bar = self
            .bars
            .add(ProgressBar::new(0).with_style(style(UNMEASURED)));
        bar.set_message(running.name());
        bar.enable_steady_tick(TICK);
        self.passes.insert(pass, bar);
    }

    fn advance(&self, pass: u64) {
        let Some((bar, running)) = self.passes.get(&pass).zip(self.tally.running.get(&pass)) else {
            return;
        };
        if bar.length() == Some(0) {
            bar.set_style(style(MEASURED));
        }
        bar.set_length(running.total);
        bar.set_position(running.done);
        bar.set_message(format!("{}  {}", running.instance, running.progress()));
    }

    fn end(&mut self, pass: u64) {
        if let Some(bar) = self.passes.remove(&pass) {
            bar.finish_and_clear();
            self.bars.remove(&bar);
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .expect("the template is a constant")
        .progress_chars("=> ")
}

impl Reader for Live {
    fn see(&mut self, event: &Event, at: Moment) {
        self.tally.see(event, at);
        match event {
            Event::RunStarted { instances, .. } => {
                if let Some(line) = opening(event) {
                    self.say(&line);
                }
                self.run.set_length(*instances as u64);
                self.run.enable_steady_tick(TICK);
            }
            Event::Started { pass, .. } => self.begin(*pass),
            Event::Progress { pass, .. } => self.advance(*pass),
            Event::PassFinished { pass, .. } => self.end(*pass),
            Event::Failed { pass, .. } => {
                self.end(*pass);
                for line in failure(&self.tally, &self.logs, event) {
                    self.say(&line);
                }
            }
            Event::Retrying { pass, .. } => {
                self.end(*pass);
                if let Some(line) = retrying(event) {
                    self.say(&line);
                }
            }
            Event::Log { pass, line } => {
                let name = self.tally.running.get(pass);
                let name = name.map_or("", |running| running.instance.as_str());
                self.say(&format!("{name}: {line}"));
            }
            Event::Warning { message } => self.say(&format!("warning: {message}")),
            Event::Cached { .. } | Event::Finished { .. } | Event::Skipped { .. } => {}
            Event::RunFinished(_) => {
                for bar in self.passes.values() {
                    bar.finish_and_clear();
                }
                self.run.finish_and_clear();
                return;
            }
        }
        self.head(at);
    }
}
