//! Writes a run's folder while it runs. It is for people afterwards: a full
//! disk is told by what needs it, and stops no run here.
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::{
    cache::{Cache, LiveRun},
    disk,
    engine::{Event, Moment},
    progress::{Json, Reader, Tally, log_name},
    runs::{
        Environment,
        results::{Piece, write_results},
    },
};

const PIPELINE: &str = "pipeline.toml";
const PLAN: &str = "plan.json";
pub(super) const ENVIRONMENT: &str = "environment.json";
pub(super) const EVENTS: &str = "events.jsonl";
pub(super) const LOGS: &str = "logs";
pub(super) const RESULTS: &str = "results.json";
pub(super) const STATUS: &str = "status.json";
/// Bytes put together before they are written.
pub(super) const BUFFER: usize = 1 << 16;
/// The tally is written at most this often.
const STATUS_MS: u64 = 1000;

/// What a run starts from.
pub struct Papers<'a> {
    /// The text of the pipeline.
    pub pipeline: &'a str,
    /// Writes the plan as JSON.
    pub plan: &'a dyn Fn(&mut dyn Write) -> io::Result<()>,
    pub jobs: u32,
}

/// Made at the first thing that executes; a run that does nothing leaves nothing.
pub struct Journal<'a> {
    cache: &'a Cache,
    id: &'a str,
    papers: &'a Papers<'a>,
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
    /// `papers` are written when the folder is made.
    pub fn new(cache: &'a Cache, id: &'a str, papers: &'a Papers<'a>) -> Journal<'a> {
        Journal {
            cache,
            id,
            papers,
            tally: Tally::default(),
            waiting: Vec::new(),
            folder: Folder::NotYet,
        }
    }

    /// Keeps keys and outputs, once the run is over; where, if anything of the
    /// run is kept.
    pub fn keep_results(&self, pieces: &[Piece<'_>]) -> Option<PathBuf> {
        let Folder::Open(open) = &self.folder else {
            return None;
        };
        let path = open.place.join(RESULTS);
        write_results(&path, pieces).ok().map(|()| path)
    }

    /// Whether anything of the run is kept.
    pub fn is_open(&self) -> bool {
        matches!(self.folder, Folder::Open(_))
    }

    fn begin(&self, at: Moment) -> Result<Open> {
        let live = self.cache.hold_run(self.id)?;
        let place = self.cache.run_dir(self.id)?;
        let papers = self.papers;
        write(&place.join(PIPELINE), papers.pipeline.as_bytes())?;
        write_pieces(&place.join(PLAN), papers.plan)?;
        write_json(&place.join(ENVIRONMENT), &Environment::here(papers.jobs))?;
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
    let text = serde_json::to_vec(value)?;
    write_pieces(path, &|out| out.write_all(&text))
}

/// What is too long to be put together first. Whoever reads meanwhile sees the
/// old or the new.
pub(super) fn write_pieces(
    path: &Path,
    tell: &dyn Fn(&mut dyn Write) -> io::Result<()>,
) -> Result<()> {
    let beside = path.with_extension("new");
    let write = || {
        let mut file = BufWriter::with_capacity(BUFFER, File::create(&beside)?);
        tell(&mut file)?;
        file.flush()?;
        disk::supersede(&beside, path)
    };
    write()
        .inspect_err(|_| {
            // What cannot be removed either is no worse.
            let _ = fs::remove_file(&beside);
        })
        .with_context(|| format!("write {}", path.display()))
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
