//! Carries a plan out: obeys the schedule, looks keys up, writes records.
//!
//! The only writer of records. A stage's bytes are made safe by the executor
//! before it reports them; the record comes last.
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

use crate::{
    cache::{Cache, Committed, Content, IndexEntry, Provenance, Record, RecordIndex},
    digest::Key,
    engine::{
        event::{Event, RunTotals},
        executor::Executor,
        externals::Externals,
        graph::Graph,
        key::{Manifest, Settled, mark},
        plan::{Plan, State},
        schedule::{Ask, NodeSpec, Schedule, Start},
        task::{Report, Task, TaskInput, TaskResume, Usage},
    },
    pipeline::{InstanceId, Pipeline, Snapshots},
};

/// How often a blocked engine looks whether it was asked to stop.
const STOP_POLL: Duration = Duration::from_millis(100);

pub struct Options<'a> {
    /// Counted processors.
    pub jobs: u32,
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
    let (cached, to_run, maybe) = plan.counts();
    watch(Event::RunStarted {
        run: options.run.to_owned(),
        pipeline: pipeline.name.clone(),
        instances: plan.entries.len(),
        cached,
        to_run,
        maybe,
    });
    let mut run = Run {
        pipeline,
        graph,
        externals,
        cache,
        index,
        watch,
        schedule: Schedule::new(
            nodes(pipeline, graph, plan),
            options.jobs,
            options.keep_going,
        ),
        results: BTreeMap::new(),
        manifests: BTreeMap::new(),
        passes: BTreeMap::new(),
        totals: RunTotals::default(),
        begun: Instant::now(),
    };
    run.drive(executor, options)?;
    Ok(run.close())
}

fn nodes(pipeline: &Pipeline, graph: &Graph, plan: &Plan) -> Vec<NodeSpec> {
    let spec = |entry: &crate::engine::plan::Planned| NodeSpec {
        id: entry.id,
        producers: graph.producers(entry.id).collect(),
        // What is cached costs nothing; an unknown duration counts as a second.
        weight: if entry.state == State::Cached {
            0
        } else {
            entry.estimate_ms.unwrap_or(1000)
        },
        cpu: pipeline.stage_of(entry.id).execution.resources.cpu,
    };
    plan.entries.iter().map(spec).collect()
}

struct PassState {
    stage: String,
    /// Wanted mark to the instances that want it; 0 for kinds without marks.
    by_mark: BTreeMap<u64, Vec<InstanceId>>,
    begun: Instant,
}

struct Run<'a> {
    pipeline: &'a Pipeline,
    graph: &'a Graph,
    externals: &'a Externals,
    cache: &'a Cache,
    index: &'a mut RecordIndex,
    watch: &'a mut dyn FnMut(Event),
    schedule: Schedule,
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
            match self.schedule.next() {
                Some(Ask::Consider(id)) => self.consider(id)?,
                Some(Ask::Start(start)) => self.start(&start, executor)?,
                None if self.schedule.running() == 0 => return Ok(()),
                None => {
                    if let Some(report) = executor.wait(STOP_POLL)? {
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
    fn consider(&mut self, id: InstanceId) -> Result<()> {
        let instance = self.pipeline.instance(id);
        let kind = self.pipeline.stage_of(id).kind;
        let manifest = Manifest::full(kind, instance, self.externals.of(id), |input, source| {
            self.content(id, input, source)
        });
        let key = manifest.key();
        let found = self.index.lookup(&key);
        let complete = |outputs: &Settled| {
            kind.ports
                .outputs
                .iter()
                .all(|port| outputs.contains_key(port.name))
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
            self.schedule.hit(id);
            let (stage, instance) = self.names(id);
            (self.watch)(Event::Cached { stage, instance });
            return Ok(());
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
        let family = manifest.family(kind);
        self.manifests.insert(id, manifest);
        self.schedule
            .miss(id, family, mark(kind, instance).unwrap_or(0), &lost);
        Ok(())
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
            marks: marks.clone(),
            resume: resume.clone(),
            snapshots: (progressive && stage.execution.snapshots == Snapshots::Last)
                .then_some(family),
        };
        self.passes.insert(
            start.pass,
            PassState {
                stage: name.clone(),
                by_mark,
                begun: Instant::now(),
            },
        );
        let slot = executor.start(task)?;
        (self.watch)(Event::Started {
            pass: start.pass,
            stage: name,
            instance: label,
            marks,
            resumed_at: resume.map(|resume| resume.mark),
            slot,
        });
        Ok(())
    }

    fn task_inputs(&self, id: InstanceId) -> BTreeMap<String, Vec<TaskInput>> {
        let inputs = self.pipeline.instance(id).inputs.iter().enumerate();
        let delivered = inputs.map(|(i, input)| {
            let sources = input.sources.iter().enumerate();
            let artifacts = sources.map(|(j, source)| TaskInput {
                coords: source.coords.clone(),
                content: self.content(id, i, j).clone(),
            });
            (input.port.name.to_owned(), artifacts.collect())
        });
        delivered.collect()
    }

    fn hear(&mut self, report: Report) -> Result<()> {
        match report {
            Report::Progress {
                task,
                done,
                total,
                note,
            } => {
                (self.watch)(Event::Progress {
                    pass: task,
                    done,
                    total,
                    note,
                });
            }
            Report::Log { task, line } => (self.watch)(Event::Log { pass: task, line }),
            Report::Reached {
                task,
                mark,
                outputs,
                usage,
            } => self.commit_mark(task, mark, &outputs, &usage)?,
            Report::Finished {
                task,
                outputs,
                usage,
            } => {
                let last = self
                    .passes
                    .get(&task)
                    .and_then(|pass| pass.by_mark.keys().last().copied());
                self.commit_mark(task, last.unwrap_or(0), &outputs, &usage)?;
                self.over(task, "the kind returned without reaching this mark");
            }
            Report::Failed { task, error } => self.over(task, &error),
            Report::Stopped { task } => self.over(task, "stopped"),
        }
        Ok(())
    }

    /// Writes the records of all instances that wanted this mark.
    fn commit_mark(
        &mut self,
        pass: u64,
        mark: u64,
        outputs: &Settled,
        usage: &Usage,
    ) -> Result<()> {
        let members = self
            .passes
            .get_mut(&pass)
            .and_then(|state| state.by_mark.remove(&mark));
        for id in members.into_iter().flatten() {
            let outputs = self.commit(id, outputs, usage)?;
            let key = self.manifests[&id].key();
            self.results.insert(
                id,
                Done {
                    key,
                    outputs,
                    duration_ms: usage.duration_ms,
                    executed: true,
                },
            );
            self.totals.executed += 1;
            self.schedule.reached(id);
            let (stage, instance) = self.names(id);
            (self.watch)(Event::Finished {
                pass,
                stage,
                instance,
                duration_ms: usage.duration_ms,
            });
        }
        Ok(())
    }

    fn commit(&mut self, id: InstanceId, outputs: &Settled, usage: &Usage) -> Result<Settled> {
        let stage = self.pipeline.stage_of(id);
        let manifest = &self.manifests[&id];
        let shape = Manifest::shape(
            stage.kind,
            self.pipeline.instance(id),
            self.externals.of(id),
        );
        let record = Record {
            format: crate::cache::FORMAT_VERSION,
            key: manifest.key(),
            family: manifest.family(stage.kind),
            shape: shape.digest(),
            manifest: manifest.0.clone(),
            outputs: outputs.clone(),
            provenance: provenance(usage),
        };
        let committed = self.cache.commit(&record)?;
        let settled = match committed {
            Committed::New | Committed::Same => outputs.clone(),
            Committed::Differs { canonical }
                if canonical
                    .outputs
                    .values()
                    .all(|content| self.cache.has(content)) =>
            {
                self.warn_differs(id, "the first result stays; the other is kept beside it");
                canonical.outputs
            }
            Committed::Differs { canonical } => {
                self.cache.supersede(&record, &canonical)?;
                self.warn_differs(
                    id,
                    "the first result's bytes are lost, so this one takes its place",
                );
                outputs.clone()
            }
        };
        self.index.note(&record);
        Ok(settled)
    }

    fn warn_differs(&mut self, id: InstanceId, then: &str) {
        let label = self.pipeline.label(id);
        let message =
            format!("`{label}` gave other bytes than an earlier run with the same key: {then}");
        (self.watch)(Event::Warning { message });
    }

    /// The pass is over; what it did not reach has failed with `error`.
    fn over(&mut self, pass: u64, error: &str) {
        let unfinished = self.schedule.finished(pass);
        let Some(state) = self.passes.remove(&pass) else {
            return;
        };
        let reached_all = unfinished.is_empty();
        for id in unfinished {
            let (stage, instance) = self.names(id);
            if self.totals.interrupted {
                self.totals.skipped += 1;
                (self.watch)(Event::Skipped {
                    stage,
                    instance,
                    because: "the run was stopped".into(),
                });
            } else {
                self.totals.failed += 1;
                (self.watch)(Event::Failed {
                    pass,
                    stage,
                    instance,
                    error: error.to_owned(),
                });
            }
        }
        if reached_all {
            let duration_ms = state.begun.elapsed().as_millis() as u64;
            (self.watch)(Event::PassFinished {
                pass,
                stage: state.stage,
                duration_ms,
            });
        }
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

fn provenance(usage: &Usage) -> Provenance {
    Provenance {
        started: usage.started.clone(),
        duration_ms: usage.duration_ms,
        peak_rss_bytes: usage.peak_rss_bytes,
        host: usage.host.clone(),
        device: usage.device.clone(),
        instruction_set: usage.instruction_set.clone(),
        program_version: env!("CARGO_PKG_VERSION").to_owned(),
        attempts: 1,
        ..Provenance::default()
    }
}
