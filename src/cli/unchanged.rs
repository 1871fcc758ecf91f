//! A run that has nothing to do, told without reading the pipeline: nothing has
//! moved of what the last run rested on (see [`Grounds`]). It tells the events
//! and the answer that the long way would tell.
#![expect(clippy::print_stdout, reason = "the command's output")]
use std::{
    collections::BTreeMap,
    env, fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf, absolute},
    time::Instant,
};

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    cache::{Cache, Grounds, StatIndex},
    cli::{
        answer::{self, Answer},
        args,
        exit::{Exit, Failure},
        run::{self, jobs, results_folder},
        workplace::Written,
    },
    digest::Digest,
    engine::{Event, Externals, Graph, Moment, Outcome, RunTotals, StagePlan},
    pipeline::{InstanceId, Pipeline},
};

/// All that tells one call of `vgh run` from another, but files and variables.
pub(super) struct Call {
    name: Digest,
    cache_root: PathBuf,
}

/// What a run leaves for the next one that is called like it.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    pipeline: String,
    stages: Vec<StagePlan>,
    /// Stage and label of each instance.
    instances: Vec<(String, String)>,
    /// Digests of the variables that count; null is unset.
    variables: BTreeMap<String, Option<Digest>>,
    answer: Answer,
}

impl Call {
    /// None where a look is wanted in any case, or the call cannot be named.
    pub(super) fn of(args: &args::Run, written: &Written) -> Option<Call> {
        if !args.force.force.is_empty() {
            return None;
        }
        let results = absolute(results_folder(args)).ok()?;
        let folder = absolute(Path::new(".").join(&written.folder)).ok()?;
        let parts = json!({
            "program": program()?,
            "text": Digest::of(written.source.text.as_bytes()),
            "folder": folder,
            "results": results,
            "words": args.place.words,
            "set": args.place.set,
        });
        Some(Call {
            name: Digest::of_json(&parts),
            cache_root: written.cache_root.clone(),
        })
    }

    /// The whole run, if nothing has moved since the last one.
    ///
    /// # Errors
    /// The file of events cannot be written.
    pub(super) fn repeat(&self, args: &args::Run) -> Result<Option<Exit>, Failure> {
        let begun = Instant::now();
        let Some((cache, note)) = self.note() else {
            return Ok(None);
        };
        let run_id = run::run_id();
        let mut watchers = run::watchers(args, &cache, &run_id)?;
        let mut tell = |event: &Event| {
            let at = Moment::now();
            for watcher in &mut watchers {
                watcher.see(event, at);
            }
        };
        let jobs = jobs(args);
        tell(&Event::opening(&run_id, &note.pipeline, jobs, note.stages));
        let cached = note.instances.len();
        for (stage, instance) in note.instances {
            tell(&Event::Cached { stage, instance });
        }
        let totals = RunTotals {
            cached,
            wall_s: begun.elapsed().as_secs_f64(),
            ..RunTotals::default()
        };
        tell(&Event::RunFinished(totals.clone()));
        if !args.json {
            for line in note.answer.lines(&answer::counts(&totals, 0)) {
                println!("{line}");
            }
        }
        Ok(Some(Exit::Done))
    }

    fn note(&self) -> Option<(Cache, Note)> {
        let cache = Cache::open_existing(&self.cache_root).ok()??;
        let note: Note = serde_json::from_str(&cache.proof(&self.name)?).ok()?;
        let same = |(name, value): (&String, &Option<Digest>)| {
            let now = env::var(name).ok().map(|now| Digest::of(now.as_bytes()));
            now == *value
        };
        note.variables.iter().all(same).then_some((cache, note))
    }

    /// Leaves word for the next run, where this one has all that was asked for.
    /// Best effort: without it the next run looks at everything.
    pub(super) fn remember(&self, cache: &Cache, done: &Finished<'_>) {
        if done.outcome.totals.failed > 0
            || done.outcome.totals.interrupted
            || done.outcome.results.len() != done.graph.needed().count()
        {
            return;
        }
        if let Ok(note) = serde_json::to_string(&done.note()) {
            let _ = cache.leave_proof(&self.name, done.grounds(cache), &note);
        }
    }
}

/// A run that is over.
pub(super) struct Finished<'a> {
    pub(super) pipeline: &'a Pipeline,
    pub(super) graph: &'a Graph,
    pub(super) externals: &'a Externals,
    pub(super) stat: &'a StatIndex,
    pub(super) outcome: &'a Outcome,
    pub(super) answer: &'a Answer,
    /// Copies for people.
    pub(super) copies: &'a [PathBuf],
}

impl Finished<'_> {
    fn note(&self) -> Note {
        let pipeline = self.pipeline;
        let needed = |id: &InstanceId| self.graph.is_needed(*id);
        let stages = pipeline.stages.iter().map(|stage| {
            let instances = stage.instances.clone().map(InstanceId).filter(needed);
            let count = instances.count();
            StagePlan {
                stage: stage.name.clone(),
                instances: count,
                cached: count,
                ..StagePlan::default()
            }
        });
        let variables = self.externals.variables().into_iter();
        let instance = |id: InstanceId| (pipeline.stage_of(id).name.clone(), pipeline.label(id));
        Note {
            pipeline: pipeline.name.clone(),
            stages: stages.filter(|stage| stage.instances > 0).collect(),
            instances: self.graph.needed().map(instance).collect(),
            variables: variables
                .map(|(name, value)| {
                    let digest = value.map(|value| Digest::of(value.as_bytes()));
                    (name.to_owned(), digest)
                })
                .collect(),
            answer: self.answer.clone(),
        }
    }

    /// What the long way would look at: externals, records, bytes that somebody
    /// asked for, copies.
    fn grounds(&self, cache: &Cache) -> Grounds {
        let mut grounds = Grounds::default();
        for place in self.externals.places() {
            grounds.external(place, self.stat);
        }
        let root = cache.root();
        for (id, done) in &self.outcome.results {
            grounds.file(root, &cache.record_path(&done.key));
            if self.graph.is_target(*id) {
                for content in done.outputs.values() {
                    grounds.content(cache, content);
                }
            }
        }
        for copy in self.copies {
            match absolute(copy) {
                Ok(copy) => grounds.file(root, &copy),
                Err(_) => grounds.doubt(),
            }
        }
        grounds
    }
}

/// The program's own file, as `stat` sees it.
fn program() -> Option<(String, u64, i64, i64, u64)> {
    let path = env::current_exe().ok()?;
    let found = fs::metadata(&path).ok()?;
    Some((
        path.to_str()?.to_owned(),
        found.len(),
        found.mtime(),
        found.mtime_nsec(),
        found.ino(),
    ))
}
