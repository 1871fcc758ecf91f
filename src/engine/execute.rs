//! Carries a plan out: obeys the schedule, looks keys up, writes records.
//!
//! The only writer of records (`hear`). A stage's bytes are made safe by the
//! executor before it reports them; the record comes last.
mod again;
mod deliver;
mod differ;
mod downloads;
mod elsewhere;
mod guard;
mod hear;
mod lookup;
mod mend;
mod nodes;
mod opening;
mod retry;
mod stop;
mod temp;
mod voice;

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, atomic::AtomicBool},
    time::Instant,
};

use anyhow::{Context as _, Result};

use crate::{
    cache::{Cache, Content, Pin, RecordIndex, StatIndex},
    digest::{Digest, Key},
    engine::{
        capacity::Capacity,
        event::{Event, RunTotals},
        execute::{
            downloads::Downloads,
            elsewhere::{Elsewhere, LOOK},
            guard::Guarded,
            mend::Mending,
            retry::Delayed,
            stop::STOP_POLL,
            temp::Passing,
            voice::Voice,
        },
        executor::{Begun, Executor},
        externals::{Externals, paths},
        graph::Graph,
        key::{Manifest, Settled, mark},
        plan::Plan,
        schedule::{Ask, Schedule, Start},
        task::{Task, TaskInput, TaskResume},
    },
    pipeline::{InstanceId, Pipeline, Snapshots},
};

pub use deliver::Deliver;
use nodes::nodes;
use opening::opening;

pub struct Options<'a> {
    /// Counted processors.
    pub jobs: u32,
    /// What else is counted.
    pub capacity: &'a Capacity,
    /// After a failure, run what does not depend on it.
    pub keep_going: bool,
    /// Set from outside to stop: nothing new starts, what runs is told.
    pub stop: &'a AtomicBool,
    /// The run's name, for events.
    pub run: &'a str,
    /// Keys, spelled, of results that the plan says nothing of and the run needs.
    pub beside: &'a [&'a str],
    /// What the externals were hashed with.
    pub stat: &'a StatIndex,
    pub deliver: &'a Deliver<'a>,
}

/// What a run left behind.
#[derive(Debug)]
pub struct Outcome {
    pub totals: RunTotals,
    /// Results by instance, cached or executed.
    pub results: BTreeMap<InstanceId, Done>,
    /// Keeps the results where they are until whoever asked has them.
    pub pin: Pin,
}

/// The result of one instance.
#[derive(Debug, Clone)]
pub struct Done {
    pub key: Key,
    pub outputs: Arc<Settled>,
    /// What making it took, whenever that was.
    pub duration_ms: u64,
    /// Whether this run executed it.
    pub executed: bool,
}

/// Runs what `plan` says, telling `watch` everything that happens.
///
/// # Errors
/// When the cache cannot be written or a worker cannot be started. A failing
/// stage is no error: it is an event, and counted.
pub fn execute(
    (pipeline, graph, externals): (&Pipeline, &Graph, &Externals),
    plan: &Plan,
    (cache, index): (&Cache, &mut RecordIndex),
    executor: &mut dyn Executor,
    options: &Options<'_>,
    watch: &mut dyn FnMut(Event),
) -> Result<Outcome> {
    let roots = plan.roots(pipeline, externals);
    let pin = cache.pin_beside(options.run, &roots, options.beside)?;
    watch(opening(pipeline, plan, options));
    let mut run = Run {
        pipeline,
        graph,
        externals,
        plan,
        cache,
        index,
        voice: Voice::new(watch),
        schedule: Schedule::new(
            nodes((pipeline, graph, externals), plan, options.capacity),
            options.capacity.total(options.jobs),
            options.keep_going,
        )
        .with_budget(options.capacity.budget_bytes),
        capacity: options.capacity,
        disk_now: options.capacity.disk_bytes,
        attempts: BTreeMap::new(),
        delayed: Vec::new(),
        results: BTreeMap::new(),
        believed: plan.removals.is_some() && plan.removals == cache.removals(),
        manifests: BTreeMap::new(),
        passes: BTreeMap::new(),
        made: BTreeMap::new(),
        failed: BTreeSet::new(),
        name: options.run,
        elsewhere: Elsewhere::new(),
        downloads: Downloads::new(pipeline, graph, externals),
        mending: Mending::default(),
        stat: RefCell::new(options.stat.later()),
        passing: Passing::default(),
        totals: RunTotals::default(),
        begun: Instant::now(),
    };
    loop {
        run.drive(executor, options, &pin)?;
        run.let_go(&pin, true)?;
        if run.deliver(options) {
            return Ok(run.close(pin));
        }
    }
}

struct PassState {
    stage: String,
    /// Wanted mark to the instances that want it; 0 for kinds without marks.
    by_mark: BTreeMap<u64, Vec<InstanceId>>,
    /// What it reads outside the cache.
    guarded: Vec<Guarded>,
    begun: Instant,
    /// Counts from 1.
    attempt: u32,
    /// The devices that it was given.
    gpus: Vec<String>,
}

struct Run<'a> {
    pipeline: &'a Pipeline,
    graph: &'a Graph,
    externals: &'a Externals,
    plan: &'a Plan,
    cache: &'a Cache,
    index: &'a mut RecordIndex,
    voice: Voice<'a>,
    schedule: Schedule,
    capacity: &'a Capacity,
    /// Bytes free where the cache is, as last seen.
    disk_now: u64,
    /// Attempts begun of what is not settled.
    attempts: BTreeMap<InstanceId, u32>,
    delayed: Vec<Delayed>,
    results: BTreeMap<InstanceId, Done>,
    /// Nothing was removed between the plan's look and this run's pin.
    believed: bool,
    manifests: BTreeMap<InstanceId, Manifest>,
    passes: BTreeMap<u64, PassState>,
    /// Keys whose results this run made, with the pass that did.
    made: BTreeMap<Key, u64>,
    /// Failed or stopped, though there may be a record.
    failed: BTreeSet<InstanceId>,
    /// The run's name.
    name: &'a str,
    elsewhere: Elsewhere,
    downloads: Downloads,
    mending: Mending,
    /// Digests of externals.
    stat: RefCell<StatIndex>,
    passing: Passing,
    totals: RunTotals,
    begun: Instant,
}

impl Run<'_> {
    fn drive(
        &mut self,
        executor: &mut dyn Executor,
        options: &Options<'_>,
        pin: &Pin,
    ) -> Result<()> {
        loop {
            self.heed_stop(executor, options.stop);
            self.wake();
            self.make_durable_in_time()?;
            let longest = if self.elsewhere.awaited() {
                LOOK
            } else {
                STOP_POLL
            };
            match self.schedule.next() {
                Some(Ask::Consider(id)) => self.consider(id),
                Some(Ask::Start(start)) => {
                    if self.may_start(&start)? {
                        self.start(&start, executor)?;
                    }
                }
                None if self.schedule.running() == 0
                    && !self.is_waiting()
                    && self.nothing_left(pin)? =>
                {
                    return self.make_durable();
                }
                None => {
                    let patience = self.until_durable(self.patience(longest));
                    if let Some(report) = executor.wait(patience)? {
                        self.hear(report)?;
                    }
                }
            }
            self.look_elsewhere();
            self.let_go(pin, false)?;
            for message in self.cache.take_notices() {
                self.voice.say(Event::Warning { message });
            }
        }
    }

    /// The artifact that `source` of `input` delivers; it has settled.
    fn content(&self, id: InstanceId, input: usize, source: usize) -> &Content {
        let source = &self.pipeline.instance(id).inputs[input].sources[source];
        &self.results[&source.instance].outputs[source.output.name]
    }

    fn names(&self, id: InstanceId) -> (String, String) {
        (
            self.pipeline.stage_of(id).name.clone(),
            self.pipeline.label(id),
        )
    }

    fn start(&mut self, start: &Start, executor: &mut dyn Executor) -> Result<()> {
        let last = *start.members.last().context("a pass has members")?;
        let (instance, stage) = (self.pipeline.instance(last), self.pipeline.stage_of(last));
        let progressive = stage.kind.progressive.is_some();
        let mut by_mark: BTreeMap<u64, Vec<InstanceId>> = BTreeMap::new();
        for &id in &start.members {
            by_mark
                .entry(mark(stage.kind, self.pipeline.instance(id)).unwrap_or(0))
                .or_default()
                .push(id);
        }
        let marks: Vec<u64> = by_mark.keys().copied().filter(|_| progressive).collect();
        let family = self.manifests[&last].family(stage.kind);
        let resume = self.resume(&start.members, marks.first(), &family)?;
        let (name, label) = self.names(last);
        let task = Task {
            id: start.pass,
            kind: stage.kind.name.to_owned(),
            params: (*instance.params).clone(),
            inputs: self.task_inputs(last),
            externals: paths(self.pipeline, last),
            references: self.externals.references(self.pipeline, last),
            foreign: self.externals.foreign(self.pipeline, last),
            marks: marks.clone(),
            resume: resume.clone(),
            snapshots: (progressive && stage.execution.snapshots == Snapshots::Last)
                .then_some(family),
        };
        let (guarded, changed) = match self.guard(last) {
            Ok(guarded) => (guarded, None),
            Err(changed) => (Vec::new(), Some(changed)),
        };
        let place = self.placement(start, last);
        let gpus = place.gpus.clone().unwrap_or_default();
        let attempt = self.attempt_of(&start.members);
        if changed.is_none()
            && let Begun::NotNow(why) = executor.start(task, place)?
        {
            self.elsewhere.release(start.pass);
            return self.begin_later(start, &why);
        }
        self.passes.insert(
            start.pass,
            PassState {
                stage: name.clone(),
                by_mark,
                guarded,
                begun: Instant::now(),
                attempt,
                gpus,
            },
        );
        if let Some(changed) = changed {
            self.void(start.pass, changed);
            return Ok(());
        }
        self.voice.say(Event::Started {
            pass: start.pass,
            stage: name,
            instance: label,
            marks,
            resumed_at: resume.map(|resume| resume.mark),
            slot: start.place.slot,
        });
        Ok(())
    }

    /// Where a pass may go on from; a forced one computes everything anew.
    fn resume(
        &self,
        members: &[InstanceId],
        first: Option<&u64>,
        family: &Digest,
    ) -> Result<Option<TaskResume>> {
        let Some(first) = first.filter(|_| !members.iter().any(|id| self.forced(*id))) else {
            return Ok(None);
        };
        let found = self.cache.snapshot(family)?;
        let found = found.filter(|snapshot| snapshot.mark < *first);
        Ok(found.map(|snapshot| TaskResume {
            mark: snapshot.mark,
            folder: snapshot.dir,
        }))
    }

    fn task_inputs(&self, id: InstanceId) -> BTreeMap<String, Vec<TaskInput>> {
        let inputs = self.pipeline.instance(id).inputs.iter().enumerate();
        let delivered = inputs.map(|(i, input)| {
            let sources = input.sources.iter().enumerate();
            let artifacts = sources.map(|(j, source)| TaskInput {
                coords: source.coords.clone(),
                content: *self.content(id, i, j),
            });
            (input.port.name.to_owned(), artifacts.collect())
        });
        delivered.collect()
    }

    fn close(mut self, pin: Pin) -> Outcome {
        for (id, because) in self.schedule.skip_rest() {
            self.totals.skipped += 1;
            self.failed.insert(id);
            let (stage, instance) = self.names(id);
            let because = match because {
                Some(producer) => format!("`{}` has no result", self.pipeline.label(producer)),
                None => "the run was stopped".to_owned(),
            };
            self.voice.say(Event::Skipped {
                stage,
                instance,
                because,
            });
        }
        let executed = |done: &&Done| done.executed;
        self.totals.executed = self.results.values().filter(executed).count();
        self.totals.cached = self.results.len() - self.totals.executed;
        self.totals.wall_s = self.begun.elapsed().as_secs_f64();
        self.voice.say(Event::RunFinished(self.totals.clone()));
        Outcome {
            totals: self.totals,
            results: self.results,
            pin,
        }
    }
}
