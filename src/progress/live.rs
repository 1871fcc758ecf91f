//! Events as bars that move, for a terminal: one for the run, one for each
//! slot at work.
use std::{collections::BTreeMap, time::Duration};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::{
    engine::Event,
    progress::{
        Reader,
        plain::{opening, pass_name, retrying},
    },
};

pub struct Live {
    bars: MultiProgress,
    run: ProgressBar,
    passes: BTreeMap<u64, ProgressBar>,
}

impl Live {
    pub fn new() -> Live {
        let bars = MultiProgress::new();
        let run = bars
            .add(ProgressBar::new(0).with_style(style("{pos}/{len} [{bar:28}] {elapsed} {msg}")));
        Live {
            bars,
            run,
            passes: BTreeMap::new(),
        }
    }

    fn say(&self, line: &str) {
        let _ = self.bars.println(line);
    }
}

impl Default for Live {
    fn default() -> Live {
        Live::new()
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .expect("the template is a constant")
        .progress_chars("=> ")
}

impl Reader for Live {
    fn see(&mut self, event: &Event) {
        match event {
            Event::RunStarted { instances, .. } => {
                if let Some(line) = opening(event) {
                    self.say(&line);
                }
                self.run.set_length(*instances as u64);
                self.run.enable_steady_tick(Duration::from_millis(250));
            }
            Event::Cached { .. } | Event::Finished { .. } => self.run.inc(1),
            Event::Started {
                pass,
                instance,
                marks,
                resumed_at,
                ..
            } => {
                let bar = ProgressBar::new(0).with_style(style("  {msg}"));
                let bar = self.bars.add(bar);
                bar.set_message(pass_name(instance, marks, *resumed_at));
                self.passes.insert(*pass, bar);
            }
            Event::Progress {
                pass,
                done,
                total,
                note,
            } => {
                if let Some(bar) = self.passes.get(pass) {
                    bar.set_length(*total);
                    bar.set_position(*done);
                    bar.set_prefix(note.clone());
                    bar.set_style(style("  [{bar:20}] {msg} {pos}/{len} {prefix}"));
                }
            }
            Event::PassFinished { pass, .. } => {
                if let Some(bar) = self.passes.remove(pass) {
                    bar.finish_and_clear();
                }
            }
            Event::Failed {
                pass,
                instance,
                error,
                ..
            } => {
                if let Some(bar) = self.passes.remove(pass) {
                    bar.finish_and_clear();
                }
                self.say(&format!("failed: {instance}: {error}"));
            }
            Event::Retrying { pass, .. } => {
                if let Some(bar) = self.passes.remove(pass) {
                    bar.finish_and_clear();
                }
                if let Some(line) = retrying(event) {
                    self.say(&line);
                }
            }
            Event::Log { line, .. } => self.say(&format!("  {line}")),
            Event::Warning { message } => self.say(&format!("warning: {message}")),
            Event::Skipped { .. } => {}
            Event::RunFinished(_) => {
                for bar in self.passes.values() {
                    bar.finish_and_clear();
                }
                self.run.finish_and_clear();
            }
        }
    }
}
