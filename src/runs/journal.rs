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

use crate::{
    cache::{Cache, Content, LiveRun},
    digest::Key,
    disk,
    engine::{Done, Event, Moment},
    pipeline::{InstanceId, Pipeline},
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
    /// JSON.
    pub plan: String,
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

impl ResultLine {
    /// What a run that is over says of an instance.
    pub fn of(pipeline: &Pipeline, id: InstanceId, done: &Done) -> ResultLine {
        let stage = pipeline.stage_of(id);
        ResultLine {
            instance: pipeline.label(id),
            stage: stage.name.clone(),
            kind: stage.kind.name.to_owned(),
            key: done.key,
            executed: done.executed,
            duration_ms: done.duration_ms,
            outputs: (*done.outputs).clone(),
        }
    }
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

    /// Keeps keys and outputs, once the run is over: a [`ResultLine`] each, as
    /// JSON, in the order of the pipeline.
    pub fn keep_results(&self, lines: &[String]) {
        if let Folder::Open(open) = &self.folder {
            let text = format!("{{\"instances\":[{}]}}", lines.join(","));
            let _ = replace(&open.place.join(RESULTS), text.as_bytes());
        }
    }

    /// Whether anything of the run is kept.
    pub fn is_open(&self) -> bool {
        matches!(self.folder, Folder::Open(_))
    }

    fn begin(&self, at: Moment) -> Result<Open> {
        let live = self.cache.hold_run(self.id)?;
        let place = self.cache.run_dir(self.id)?;
        let papers = (self.papers)();
        write(&place.join(PIPELINE), papers.pipeline.as_bytes())?;
        write(&place.join(PLAN), papers.plan.as_bytes())?;
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

fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    replace(path, &serde_json::to_vec(value)?)
}

/// Whoever reads meanwhile sees the old or the new.
fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let beside = path.with_extension("new");
    write(&beside, bytes)?;
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
