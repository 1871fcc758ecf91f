//! Carries a plan out: obeys the schedule, looks keys up, writes records.
//!
//! The only writer of records (`hear`). A stage's bytes are made safe by the
//! executor before it reports them; the record comes last.
mod hear;
mod opening;
mod retry;

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

use crate::{
    cache::{Cache, Content, IndexEntry, RecordIndex},
    digest::{Digest, Key},
    engine::{
        capacity::Capacity,
        event::{Event, RunTotals},
        execute::retry::Delayed,
        executor::{Begun, Executor},
        externals::Externals,
        graph::Graph,
        key::{Manifest, Settled, mark},
        plan::{Plan, State},
        schedule::{Ask, NodeSpec, Schedule, Start},
        task::{Task, TaskInput, TaskResume},
    },
    pipeline::{InstanceId, Pipeline, Snapshots},
};

use opening::opening;

/// How often a blocked engine looks whether it was asked to stop.
const STOP_POLL: Duration = Duration::from_millis(100);

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
}

/// What a run left behind.
#[derive(Debug)]
pub struct Outcome {
    pub totals: RunTotals,
    /// Results by instance, cached or executed.
    pub results: BTreeMap<InstanceId, Done>,
}

/// The result of one instance.
#[derive(Debug, Clone)]
pub struct Done {
    pub key: Key,
    pub outputs: Settled,
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
    watch(opening(pipeline, plan, options));
    let mut run = Run {
        pipeline,
        graph,
        externals,
        cache,
        index,
        watch,
        schedule: Schedule::new(
            nodes((pipeline, graph), plan, options.capacity),
            options.capacity.total(options.jobs),
            options.keep_going,
        ),
        capacity: options.capacity,
        disk_now: options.capacity.disk_bytes,
        attempts: BTreeMap::new(),
        delayed: Vec::new(),
        results: BTreeMap::new(),
        manifests: BTreeMap::new(),
        passes: BTreeMap::new(),
        totals: RunTotals::default(),
        begun: Instant::now(),
    };
    run.drive(executor, options)?;
    Ok(run.close())
}

fn nodes(
    (pipeline, graph): (&Pipeline, &Graph),
    plan: &Plan,
    capacity: &Capacity,
) -> Vec<NodeSpec> {
    let spec = |entry: &crate::engine::plan::Planned| NodeSpec {
        id: entry.id,
        producers: graph.producers(entry.id).collect(),
        // What is cached costs nothing; an unknown duration counts as a second.
        weight: if entry.state == State::Cached {
            0
        } else {
            entry.estimate_ms.unwrap_or(1000)
        },
        takes: capacity.takes(pipeline, entry.id),
    };
    plan.entries.iter().map(spec).collect()
}

struct PassState {
    stage: String,
    /// Wanted mark to the instances that want it; 0 for kinds without marks.
    by_mark: BTreeMap<u64, Vec<InstanceId>>,
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
    cache: &'a Cache,
    index: &'a mut RecordIndex,
    watch: &'a mut dyn FnMut(Event),
    schedule: Schedule,
    capacity: &'a Capacity,
    /// Bytes free where the cache is, as last seen.
    disk_now: u64,
    /// Attempts begun of what is not settled.
    attempts: BTreeMap<InstanceId, u32>,
    delayed: Vec<Delayed>,
    results: BTreeMap<InstanceId, Done>,
    manifests: BTreeMap<InstanceId, Manifest>,
    passes: BTreeMap<u64, PassState>,
    totals: RunTotals,
    begun: Instant,
}

impl Run<'_> {
    fn drive(&mut self, executor: &mut dyn Executor, options: &Options<'_>) -> Result<()> {
        loop {
            if options.stop.load(Ordering::Relaxed) && !self.totals.interrupted {
                self.totals.interrupted = true;
                self.schedule.close();
                executor.stop();
            }
            self.wake();
            match self.schedule.next() {
                Some(Ask::Consider(id)) => self.consider(id),
                Some(Ask::Start(start)) => self.start(&start, executor)?,
                None if self.schedule.running() == 0 && self.nothing_left() => return Ok(()),
                None => {
                    if let Some(report) = executor.wait(self.patience(STOP_POLL))? {
                        self.hear(report)?;
                    }
                }
            }
            for message in self.cache.take_notices() {
                (self.watch)(Event::Warning { message });
            }
        }
    }

    /// Finds the key of an instance whose inputs are settled, and looks it up.
    fn consider(&mut self, id: InstanceId) {
        let instance = self.pipeline.instance(id);
        let kind = self.pipeline.stage_of(id).kind;
        let manifest = Manifest::full(kind, instance, self.externals.of(id), |input, source| {
            self.content(id, input, source)
        });
        let key = manifest.key();
        let found = self.index.lookup(&key);
        let complete = |outputs: &Settled| {
            let ports = &self.pipeline.stage_of(id).outputs;
            ports.iter().all(|port| outputs.contains_key(port.name))
        };
        let usable = |entry: &IndexEntry| {
            let present = || {
                entry
                    .outputs
                    .values()
                    .all(|content| self.cache.has(content))
            };
            complete(&entry.outputs) && (!self.graph.is_target(id) || present())
        };
        if !self.schedule.must_remake(id)
            && let Some(entry) = found.filter(usable)
        {
            let IndexEntry {
                outputs,
                duration_ms,
                ..
            } = entry;
            self.results.insert(
                id,
                Done {
                    key,
                    outputs,
                    duration_ms,
                    executed: false,
                },
            );
            self.totals.cached += 1;
            self.note_temporary(id);
            self.schedule.hit(id);
            let (stage, instance) = self.names(id);
            (self.watch)(Event::Cached { stage, instance });
            return;
        }
        let mut lost: Vec<InstanceId> = Vec::new();
        for (i, input) in instance.inputs.iter().enumerate() {
            for (j, source) in input.sources.iter().enumerate() {
                if !self.cache.has(self.content(id, i, j)) {
                    lost.push(source.instance);
                }
            }
        }
        lost.sort_unstable();
        lost.dedup();
        let there = self.capacity.total(u32::MAX);
        if let Some(lack) = Capacity::lack(&self.schedule.takes(id), &there) {
            self.schedule.refuse(id);
            self.fail(id, 0, &lack);
            return;
        }
        self.schedule.keeps(id, self.largest_input(id));
        let family = manifest.family(kind);
        self.manifests.insert(id, manifest);
        self.schedule
            .miss(id, family, mark(kind, instance).unwrap_or(0), &lost);
    }

    /// What a worker most likely keeps in memory for the next task.
    fn largest_input(&self, id: InstanceId) -> Option<Digest> {
        let inputs = self.pipeline.instance(id).inputs.iter();
        let contents = inputs.flat_map(|input| &input.sources).map(|source| {
            let content = &self.results[&source.instance].outputs[source.output.name];
            (content.size, content.digest)
        });
        contents.max().map(|(_, digest)| digest)
    }

    /// The bytes of a result that may go once its consumers are done.
    fn note_temporary(&mut self, id: InstanceId) {
        if self.pipeline.stage_of(id).execution.temp
            && let Some(done) = self.results.get(&id)
        {
            let bytes = done.outputs.values().map(|content| content.size).sum();
            self.schedule.temporary(id, bytes);
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
        let resume = match marks.first() {
            Some(first) => self
                .cache
                .snapshot(&family)?
                .filter(|snapshot| snapshot.mark < *first),
            None => None,
        };
        let resume = resume.map(|snapshot| TaskResume {
            mark: snapshot.mark,
            folder: snapshot.dir,
        });
        let (name, label) = self.names(last);
        let task = Task {
            id: start.pass,
            kind: stage.kind.name.to_owned(),
            params: instance.params.clone(),
            inputs: self.task_inputs(last),
            externals: self.externals.paths(last),
            foreign: self.externals.foreign(self.pipeline, last),
            marks: marks.clone(),
            resume: resume.clone(),
            snapshots: (progressive && stage.execution.snapshots == Snapshots::Last)
                .then_some(family),
        };
        let place = self.placement(start, last);
        let gpus = place.gpus.clone().unwrap_or_default();
        let attempt = self.attempt_of(&start.members);
        if let Begun::NotNow(why) = executor.start(task, place)? {
            return self.begin_later(start, &why);
        }
        self.passes.insert(
            start.pass,
            PassState {
                stage: name.clone(),
                by_mark,
                begun: Instant::now(),
                attempt,
                gpus,
            },
        );
        (self.watch)(Event::Started {
            pass: start.pass,
            stage: name,
            instance: label,
            marks,
            resumed_at: resume.map(|resume| resume.mark),
            slot: start.place.slot,
        });
        Ok(())
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

    fn close(mut self) -> Outcome {
        for (id, because) in self.schedule.skip_rest() {
            self.totals.skipped += 1;
            let (stage, instance) = self.names(id);
            let because = match because {
                Some(producer) => format!("`{}` has no result", self.pipeline.label(producer)),
                None => "the run was stopped".to_owned(),
            };
            (self.watch)(Event::Skipped {
                stage,
                instance,
                because,
            });
        }
        self.totals.wall_s = self.begun.elapsed().as_secs_f64();
        (self.watch)(Event::RunFinished(self.totals.clone()));
        Outcome {
            totals: self.totals,
            results: self.results,
        }
    }
}
