//! A run of which the last one like it left a proof: what the proof allows to
//! tell without reading the pipeline. Where nothing has moved since (see
//! [`Grounds`]) that is the whole run, events and answer as the long way would
//! tell them; where only files outside moved, it may be a part (see `partly`).
#![expect(clippy::print_stdout, reason = "the command's output")]
use std::{
    env, fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf, absolute},
    time::Instant,
};

use serde_json::json;

use crate::{
    cache::{Cache, Grounds, Proof, StatIndex},
    cli::{
        answer::{self, Answer, Spent},
        args,
        exit::{Exit, Failure},
        note::{Detail, Head, Note, places, unexecuted},
        partly,
        rest::Rest,
        results::Published,
        run::{self, jobs, results_folder},
        workplace::Written,
    },
    digest::Digest,
    engine::{Event, Externals, Graph, Moment, Outcome, RunTotals},
    pipeline::Pipeline,
};

/// All that tells one call of `vgh run` from another, but files and variables.
pub(super) struct Call {
    name: Digest,
    cache_root: PathBuf,
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
            "lock": Digest::of(written.lock_text.as_bytes()),
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

    /// The whole run, if the proof of the last one tells it or all but a part.
    ///
    /// # Errors
    /// The file of events cannot be written, and where a part runs, those of a run.
    pub(super) fn answer(
        &self,
        args: &args::Run,
        written: &Written,
    ) -> Result<Option<Exit>, Failure> {
        let begun = Instant::now();
        let Some((cache, proof)) = self.proof() else {
            return Ok(None);
        };
        let Some(note) = note(&proof) else {
            return Ok(None);
        };
        if proof.moved().is_empty() {
            return repeat(args, &cache, &note, begun).map(Some);
        }
        partly::run((args, self), written, (&cache, &proof), &note)
    }

    fn proof(&self) -> Option<(Cache, Proof)> {
        let cache = Cache::open_existing(&self.cache_root).ok()??;
        let proof = cache.proof(&self.name)?;
        Some((cache, proof))
    }

    /// Leaves word for the next run, after one that has all that was asked for.
    /// `lines` are the results as the folder of a run has them. Best effort:
    /// without it the next run looks at everything.
    pub(super) fn remember(&self, cache: &Cache, done: &Finished<'_>, lines: &[String]) {
        let labels = done.labels();
        let note = Note {
            head: done.head(),
            instances: labels
                .iter()
                .map(|(stage, label)| (*stage, label.as_str()))
                .collect(),
        };
        if let Some(note) = note.write() {
            let (grounds, details) = done.grounds(cache, lines);
            self.leave(cache, &grounds, (&note, &details), None);
        }
    }

    /// The same where a part was done and the rest is as it was.
    pub(super) fn remember_part(
        &self,
        cache: &Cache,
        rest: &Rest<'_>,
        done: &Finished<'_>,
        results: (&Published, &[String]),
    ) {
        if let Some((grounds, note, details)) = rest.word(cache, done, results) {
            self.leave(cache, &grounds, (&note, &details), Some(rest.proof));
        }
    }

    fn leave(
        &self,
        cache: &Cache,
        grounds: &Grounds,
        texts: (&str, &str),
        earlier: Option<&Proof>,
    ) {
        let _ = cache.leave_proof(&self.name, grounds, texts, earlier);
    }
}

/// What a proof says, if the variables that count are what they were.
fn note(proof: &Proof) -> Option<Note<'_>> {
    let note = Note::read(proof.note())?;
    let same = |(name, value): (&String, &Option<Digest>)| {
        let now = env::var(name).ok().map(|now| Digest::of(now.as_bytes()));
        now == *value
    };
    note.head.variables.iter().all(same).then_some(note)
}

fn repeat(
    args: &args::Run,
    cache: &Cache,
    note: &Note<'_>,
    begun: Instant,
) -> Result<Exit, Failure> {
    let run_id = run::run_id();
    let mut watchers = run::watchers(args, cache, &run_id)?;
    let mut tell = |event: &Event| {
        let at = Moment::now();
        for watcher in &mut watchers {
            watcher.see(event, at);
        }
    };
    let head = &note.head;
    tell(&Event::opening(
        &run_id,
        &head.pipeline,
        jobs(args),
        note.stages(),
    ));
    for (stage, label) in &note.instances {
        tell(&cached(stage, label));
    }
    let totals = RunTotals {
        cached: note.instances.len(),
        wall_s: begun.elapsed().as_secs_f64(),
        ..RunTotals::default()
    };
    tell(&Event::RunFinished(totals.clone()));
    if !args.json {
        for line in head.answer.lines(&answer::counts(&totals, 0)) {
            println!("{line}");
        }
    }
    Ok(Exit::Done)
}

/// That a result was there.
pub(super) fn cached(stage: &str, label: &str) -> Event {
    Event::Cached {
        stage: stage.to_owned(),
        instance: label.to_owned(),
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
    pub(super) spent: &'a [Spent],
    pub(super) report: bool,
    /// Copies for people.
    pub(super) copies: &'a [PathBuf],
}

impl Finished<'_> {
    /// Whether all that was asked for is there.
    pub(super) fn is_whole(&self) -> bool {
        let totals = &self.outcome.totals;
        totals.failed == 0
            && !totals.interrupted
            && self.outcome.results.len() == self.graph.needed().count()
    }

    fn labels(&self) -> Vec<(&str, String)> {
        let pipeline = self.pipeline;
        let needed = self.graph.needed();
        needed
            .map(|id| (pipeline.stage_of(id).name.as_str(), pipeline.label(id)))
            .collect()
    }

    fn head(&self) -> Head {
        let variables = self.externals.variables().into_iter();
        Head {
            pipeline: self.pipeline.name.clone(),
            variables: variables
                .map(|(name, value)| {
                    let digest = value.map(|value| Digest::of(value.as_bytes()));
                    (name.to_owned(), digest)
                })
                .collect(),
            answer: self.answer.clone(),
            spent: self.spent.to_owned(),
            report: self.report,
        }
    }

    /// What the long way would look at: externals, records, bytes that somebody
    /// asked for, copies. And what a part needs to know.
    fn grounds(&self, cache: &Cache, lines: &[String]) -> (Grounds, String) {
        let (mut grounds, mut details) = (Grounds::default(), String::new());
        let mut positions = vec![None; self.pipeline.instances.len()];
        let results = self.outcome.results.iter().zip(lines);
        for (i, ((id, done), line)) in results.enumerate() {
            positions[id.0] = Some(i);
            let before = grounds.len();
            grounds.file(cache.root(), &cache.record_path(&done.key));
            let target = self.graph.is_target(*id);
            if target {
                for content in done.outputs.values() {
                    grounds.content(cache, content);
                }
            }
            let producers = self.graph.producers(*id);
            let detail = Detail {
                target,
                position: id.0 - self.pipeline.stage_of(*id).instances.start,
                files: grounds.len() - before,
                producers: producers.filter_map(|id| positions[id.0]).collect(),
                line: &unexecuted(line),
            };
            detail.write(&mut details);
        }
        for copy in self.copies {
            match absolute(copy) {
                Ok(copy) => grounds.file(cache.root(), &copy),
                Err(_) => grounds.doubt(),
            }
        }
        let mut untold = 0;
        for (place, readers) in self.externals.places() {
            let mut who: Vec<usize> = readers.iter().filter_map(|id| positions[id.0]).collect();
            who.dedup();
            let mut text = String::new();
            places(&who, &mut text);
            if !grounds.external(place, self.stat, &text) {
                untold += who.len();
            }
        }
        // The next run would have to look at everything anyway.
        if untold > partly::most(self.outcome.results.len()) {
            grounds.doubt();
        }
        (grounds, details)
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
