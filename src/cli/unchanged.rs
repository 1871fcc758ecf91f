//! A run of which the last one like it left a proof: what the proof allows to
//! tell without reading the pipeline. Where nothing has moved since (see
//! [`Grounds`]) that is the whole run, events and answer as the long way would
//! tell them; where only files outside moved, it may be a part (see `partly`).
#![expect(clippy::print_stdout, reason = "the command's output")]
use std::{
    borrow::Cow,
    env, fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf, absolute},
    time::{Instant, SystemTime},
};

use serde_json::json;

use crate::{
    cache::{Cache, Grounds, Lines, Proof, StatIndex, Texts},
    cli::{
        answer::{self, Answer, Spent},
        args,
        details::Row,
        exit::{Exit, Failure},
        note::{Head, Note, instance_lines, places},
        partly,
        rest::Rest,
        results::Published,
        run::{self, OwnLines, jobs, results_folder},
        workplace::Written,
    },
    digest::Digest,
    engine::{Done, Event, Externals, Graph, Moment, Outcome, RunTotals},
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
        let Some((cache, proof, removals)) = self.proof() else {
            return Ok(None);
        };
        let Some(note) = note(&proof) else {
            return Ok(None);
        };
        if proof.moved().is_empty() {
            return repeat(args, &cache, &note, begun).map(Some);
        }
        partly::run((args, self), written, (&cache, &proof, removals), &note)
    }

    /// With what the cache said of removals before the look.
    fn proof(&self) -> Option<(Cache, Proof, Option<SystemTime>)> {
        let cache = Cache::open_existing(&self.cache_root).ok()??;
        let removals = cache.removals();
        let proof = cache.proof(&self.name)?;
        Some((cache, proof, removals))
    }

    /// Leaves word for the next run, after one that has all that was asked for.
    /// `own` are the lines of the results, `lines` is where they come from. Best
    /// effort: without it the next run looks at everything.
    pub(super) fn remember(
        &self,
        cache: &Cache,
        done: &Finished<'_>,
        (own, lines): (&OwnLines, &Lines<'_>),
    ) {
        if let Some(word) = done.word(cache, own) {
            self.leave(cache, &word, lines, None);
        }
    }

    /// The same where a part was done and the rest is as it was.
    pub(super) fn remember_part(
        &self,
        cache: &Cache,
        rest: &Rest<'_>,
        done: &Finished<'_>,
        (own, lines): (&OwnLines, &Lines<'_>),
    ) {
        if let Some(word) = rest.word(cache, done, own) {
            let before = Lines::AsBefore(rest.stamp);
            let lines = if rest.are_as_before(own) {
                &before
            } else {
                lines
            };
            self.leave(cache, &word, lines, Some(rest.proof));
        }
    }

    fn leave(&self, cache: &Cache, word: &Word<'_>, lines: &Lines<'_>, earlier: Option<&Proof>) {
        let texts = Texts {
            note: &word.note,
            details: &word.details,
            lines,
        };
        let _ = cache.leave_proof(&self.name, &word.grounds, &texts, earlier);
    }
}

/// What is left for the next run.
pub(super) struct Word<'a> {
    /// What the whole rests on.
    pub(super) grounds: Grounds<'a>,
    /// See [`Note`].
    pub(super) note: Vec<Cow<'a, str>>,
    /// See [`Details`](crate::cli::details::Details).
    pub(super) details: Vec<Cow<'a, str>>,
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
    /// Copies for people.
    pub(super) published: &'a Published,
    /// The report.
    pub(super) page: Option<&'a Path>,
}

impl Finished<'_> {
    /// Whether all that was asked for is there.
    pub(super) fn is_whole(&self) -> bool {
        let totals = &self.outcome.totals;
        totals.failed == 0
            && !totals.interrupted
            && self.outcome.results.len() == self.graph.needed().count()
    }

    /// None for names that a note has no room for.
    fn word(&self, cache: &Cache, lines: &OwnLines) -> Option<Word<'static>> {
        let pipeline = self.pipeline;
        let named = |id| (pipeline.stage_of(id).name.as_str(), pipeline.label(id));
        let instances: Vec<(&str, String)> = self.graph.needed().map(named).collect();
        let (grounds, details) = self.grounds(cache, lines);
        Some(Word {
            grounds,
            note: vec![
                self.head().line()?.into(),
                instance_lines(&instances)?.into(),
            ],
            details: vec![details.into()],
        })
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
            report: self.page.is_some(),
        }
    }

    /// What the long way would look at: externals, records, bytes that somebody
    /// asked for, copies. And what a part needs to know.
    fn grounds(&self, cache: &Cache, own: &OwnLines) -> (Grounds<'static>, String) {
        let (mut grounds, mut table) = (Grounds::default(), String::new());
        let mut positions = vec![None; self.pipeline.instances.len()];
        for (i, (id, done)) in self.outcome.results.iter().enumerate() {
            positions[id.0] = Some(i);
            let (before, target) = (grounds.len(), self.graph.is_target(*id));
            stand_on(&mut grounds, cache, done, target);
            let producers = self.graph.producers(*id);
            let producers: Vec<usize> = producers.filter_map(|id| positions[id.0]).collect();
            let row = Row {
                target,
                files: grounds.len() - before,
                line: own.get(id).map_or(0, String::len),
                producers: &producers,
            };
            row.write(&mut table);
        }
        let page = self.page.map(Path::to_owned);
        for copy in self.published.files().chain(page) {
            match absolute(&copy) {
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
        (grounds, table)
    }
}

/// A result rests on its record, and on its bytes where they were asked for.
pub(super) fn stand_on(grounds: &mut Grounds<'_>, cache: &Cache, done: &Done, target: bool) {
    grounds.file(cache.root(), &cache.record_path(&done.key));
    if target {
        for content in done.outputs.values() {
            grounds.content(cache, content);
        }
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
