//! Writes a run's folder while it runs. It is for people afterwards: a full
//! disk is told by what needs it, and stops no run here.
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    cache::{Cache, Content, LiveRun},
    digest::Key,
    disk,
    engine::{Event, Moment, Outcome},
    pipeline::Pipeline,
    progress::{Json, Reader, Tally, log_name},
    runs::Environment,
};

const PIPELINE: &str = "pipeline.toml";
const PLAN: &str = "plan.json";
pub(super) const ENVIRONMENT: &str = "environment.json";
pub(super) const EVENTS: &str = "events.jsonl";
pub(super) const LOGS: &str = "logs";
pub(super) const RESULTS: &str = "results.json";
pub(super) const STATUS: &str = "status.json";
/// The tally is written at most this often.
const STATUS_MS: u64 = 1000;

/// What a run starts from.
pub struct Papers {
    pub pipeline: String,
    pub plan: Value,
    pub environment: Environment,
}

/// What a run ended with.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// In the order of the pipeline.
    pub instances: Vec<ResultLine>,
}

/// One instance that has a result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResultLine {
    pub instance: String,
    pub stage: String,
    pub kind: String,
    pub key: Key,
    /// By this run, rather than an earlier one.
    pub executed: bool,
    pub duration_ms: u64,
    pub outputs: BTreeMap<String, Content>,
}

/// Made at the first thing that executes; a run that does nothing leaves nothing.
pub struct Journal<'a> {
    cache: &'a Cache,
    id: &'a str,
    papers: &'a dyn Fn() -> Papers,
    tally: Tally,
    waiting: Vec<(Event, Moment)>,
    folder: Folder,
}

enum Folder {
    NotYet,
    Open(Open),
    /// It could not be made; the run goes on without.
    Given,
}

struct Open {
    place: PathBuf,
    events: Json<BufWriter<File>>,
    logs: BTreeMap<u64, File>,
    saved: Moment,
    _live: LiveRun,
}

impl<'a> Journal<'a> {
    /// `papers` are asked for when the folder is made.
    pub fn new(cache: &'a Cache, id: &'a str, papers: &'a dyn Fn() -> Papers) -> Journal<'a> {
        Journal {
            cache,
            id,
            papers,
            tally: Tally::default(),
            waiting: Vec::new(),
            folder: Folder::NotYet,
        }
    }

    /// Keeps keys and outputs, once the run is over.
    pub fn keep_results(&self, pipeline: &Pipeline, outcome: &Outcome) {
        let Folder::Open(open) = &self.folder else {
            return;
        };
        let line = |(&id, done): (_, &crate::engine::Done)| ResultLine {
            instance: pipeline.label(id),
            stage: pipeline.stage_of(id).name.clone(),
            kind: pipeline.stage_of(id).kind.name.to_owned(),
            key: done.key,
            executed: done.executed,
            duration_ms: done.duration_ms,
            outputs: (*done.outputs).clone(),
        };
        let results = Results {
            instances: outcome.results.iter().map(line).collect(),
        };
        let _ = write_json(&open.place.join(RESULTS), &results);
    }

    fn begin(&self, at: Moment) -> Result<Open> {
        let live = self.cache.hold_run(self.id)?;
        let place = self.cache.run_dir(self.id)?;
        let papers = (self.papers)();
        write(&place.join(PIPELINE), papers.pipeline.as_bytes())?;
        write_json(&place.join(PLAN), &papers.plan)?;
        write_json(&place.join(ENVIRONMENT), &papers.environment)?;
        write_json(&place.join(STATUS), &self.tally)?;
        let path = place.join(EVENTS);
        let file = File::create(&path).with_context(|| format!("create {}", path.display()))?;
        Ok(Open {
            place,
            events: Json::new(BufWriter::new(file)),
            logs: BTreeMap::new(),
            saved: at,
            _live: live,
        })
    }
}

impl Open {
    fn take(&mut self, event: &Event, tally: &Tally, at: Moment) -> Result<()> {
        match event {
            Event::Log { pass, line } => {
                let stage = tally.running.get(pass).map(|running| &running.stage);
                if let Some(stage) = stage {
                    self.log(*pass, stage, line)?;
                }
            }
            Event::Failed {
                pass, stage, error, ..
            } => {
                let first = tally.failures.iter().rfind(|known| known.pass == *pass);
                if first.is_some_and(|known| known.instances.len() == 1) {
                    self.log(*pass, stage, &format!("error: {error}"))?;
                    self.logs.remove(pass);
                }
            }
            Event::Retrying {
                pass,
                stage,
                attempt,
                reason,
                ..
            } => {
                self.log(*pass, stage, &format!("attempt {attempt} failed: {reason}"))?;
                self.logs.remove(pass);
            }
            Event::PassFinished { pass, .. } => {
                self.logs.remove(pass);
            }
            _ => {}
        }
        if !matches!(
            event,
            Event::Progress { .. } | Event::Cached { .. } | Event::Log { .. }
        ) {
            self.events.see(event, at);
        }
        if tally.totals.is_some() || at.ms_since(self.saved) >= STATUS_MS {
            self.saved = at;
            write_json(&self.place.join(STATUS), tally)?;
        }
        Ok(())
    }

    fn log(&mut self, pass: u64, stage: &str, line: &str) -> Result<()> {
        if !self.logs.contains_key(&pass) {
            let folder = self.place.join(LOGS);
            fs::create_dir_all(&folder)?;
            let path = folder.join(log_name(pass, stage));
            let file = File::options().create(true).append(true).open(path)?;
            self.logs.insert(pass, file);
        }
        if let Some(file) = self.logs.get_mut(&pass) {
            file.write_all(format!("{line}\n").as_bytes())?;
        }
        Ok(())
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    disk::write(path, bytes)
}

/// Whoever reads meanwhile sees the old or the new.
fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let beside = path.with_extension("new");
    write(&beside, &serde_json::to_vec(value)?)?;
    fs::rename(&beside, path).with_context(|| format!("write {}", path.display()))
}

impl Reader for Journal<'_> {
    fn see(&mut self, event: &Event, at: Moment) {
        self.tally.see(event, at);
        let begins = matches!(event, Event::Started { .. } | Event::Failed { .. });
        if matches!(self.folder, Folder::NotYet) && begins {
            self.folder = match self.begin(at) {
                Ok(mut open) => {
                    for (event, at) in self.waiting.drain(..) {
                        open.events.see(&event, at);
                    }
                    Folder::Open(open)
                }
                Err(_) => Folder::Given,
            };
        }
        match &mut self.folder {
            Folder::Open(open) => {
                let _ = open.take(event, &self.tally, at);
            }
            Folder::NotYet if !matches!(event, Event::Cached { .. }) => {
                self.waiting.push((event.clone(), at));
            }
            Folder::NotYet | Folder::Given => {}
        }
    }
}
