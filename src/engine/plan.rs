//! What a run would do, without doing it: three-valued, and exact.
//!
//! What a run executes lies between `Run` and `Run` plus `Maybe`. An instance
//! is `Maybe` when its key is not known yet (something before it runs) and a
//! record of its shape exists, so that early cutoff may spare it; or when its
//! bytes are gone and only a `Maybe` wants them. An instance counts as
//! executed when the run makes its key's result, for itself or for another.
mod cost;
mod disk;
mod estimate;
mod passes;

use std::{
    cell::OnceCell,
    collections::{BTreeSet, HashSet},
    time::SystemTime,
};

use serde::Serialize;

use crate::{
    cache::{Cache, Content, IndexEntry, RecordIndex},
    digest::Key,
    engine::{
        externals::Externals,
        graph::Graph,
        key::{Manifest, Settled},
        plan::estimate::{Asked, Earlier},
    },
    pipeline::{InstanceId, Pipeline},
};

pub use cost::Cost;
pub use disk::DiskCost;
pub use estimate::Basis;
pub use passes::Pass;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The key is known and no record has it.
    NoRecord,
    /// The key is known, and its record was retired: dropped, or found damaged.
    Dropped,
    /// The key is not known yet, and nothing of this shape was ever run.
    NewShape,
    /// There is a record, but bytes that are wanted are gone.
    BytesMissing,
    /// Something before it runs.
    InputsChange,
    /// Asked for by `--force`, whatever the records say.
    Forced,
    /// A reference to a hub was never resolved, so the key is not known.
    Unresolved,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", content = "reason", rename_all = "kebab-case")]
pub enum State {
    Cached,
    Run(Reason),
    Maybe(Reason),
}

#[derive(Debug, Clone)]
pub struct Planned {
    pub id: InstanceId,
    pub state: State,
    /// Known when the outputs of everything before it are.
    pub key: Option<Key>,
    /// The key's record, where there is one with every output.
    pub record: Option<IndexEntry>,
    /// Who is behind the state: producers without a known result, or, for
    /// missing bytes, the consumers that want them. Sorted.
    pub because_of: Vec<InstanceId>,
    /// Median duration of the last results like it, see `basis`. None for what is cached.
    pub estimate_ms: Option<u64>,
    /// Median size of all outputs of the same results.
    pub output_bytes: Option<u64>,
    /// Which earlier results the estimates are taken from.
    pub basis: Option<Basis>,
}

/// The instances that a run needs, producers first.
pub struct Plan {
    pub entries: Vec<Planned>,
    /// What the cache said of removals before the first look.
    pub(super) removals: Option<SystemTime>,
    /// Updates that progressive passes will really do.
    pub passes: Vec<Pass>,
}

impl Planned {
    /// Known when there is a record.
    pub fn outputs(&self) -> Option<&Settled> {
        self.record.as_ref().map(|record| &*record.outputs)
    }
}

impl Plan {
    /// How many instances are cached, to run, and maybe.
    pub fn counts(&self) -> (usize, usize, usize) {
        let count = |want: fn(&State) -> bool| {
            self.entries
                .iter()
                .filter(|entry| want(&entry.state))
                .count()
        };
        (
            count(|state| matches!(state, State::Cached)),
            count(|state| matches!(state, State::Run(_))),
            count(|state| matches!(state, State::Maybe(_))),
        )
    }

    /// The entry of an instance; none if the run does not need it.
    pub fn entry(&self, id: InstanceId) -> Option<&Planned> {
        let at = self.entries.binary_search_by_key(&id, |entry| entry.id);
        at.ok().map(|at| &self.entries[at])
    }
}

/// Reads records and looks for bytes; executes and writes nothing.
///
/// `cache` is `None` where there is none yet: then everything runs.
pub fn plan(
    pipeline: &Pipeline,
    graph: &Graph,
    externals: &Externals,
    cache: Option<(&Cache, &RecordIndex)>,
) -> Plan {
    plan_forcing(pipeline, graph, externals, cache, &BTreeSet::new())
}

/// As [`plan`]; what is in `forced` runs whatever the records say.
pub fn plan_forcing(
    pipeline: &Pipeline,
    graph: &Graph,
    externals: &Externals,
    cache: Option<(&Cache, &RecordIndex)>,
    forced: &BTreeSet<InstanceId>,
) -> Plan {
    let removals = cache.and_then(|(cache, _)| cache.removals());
    let mut draft = Draft {
        pipeline,
        graph,
        externals,
        cache,
        forced,
        retired: OnceCell::new(),
        entries: vec![None; pipeline.instances.len()],
        wanted: vec![Wanted::default(); pipeline.instances.len()],
    };
    for id in graph.needed() {
        draft.entries[id.0] = Some(draft.first_look(id));
    }
    for id in graph.needed().rev() {
        draft.demand_bytes(id);
    }
    draft.estimate();
    let passes = passes::passes(&draft);
    Plan {
        entries: draft.entries.into_iter().flatten().collect(),
        removals,
        passes,
    }
}

/// Who wants bytes of an instance: consumers that run, and that may run.
#[derive(Debug, Clone, Default)]
struct Wanted {
    run: Vec<(InstanceId, &'static str)>,
    maybe: Vec<(InstanceId, &'static str)>,
}

struct Draft<'a> {
    pipeline: &'a Pipeline,
    graph: &'a Graph,
    externals: &'a Externals,
    cache: Option<(&'a Cache, &'a RecordIndex)>,
    forced: &'a BTreeSet<InstanceId>,
    /// Keys whose records were retired; looked up when the first is missing.
    retired: OnceCell<HashSet<Key>>,
    entries: Vec<Option<Planned>>,
    wanted: Vec<Wanted>,
}

impl Draft<'_> {
    /// The state by records alone.
    fn first_look(&self, id: InstanceId) -> Planned {
        let (instance, stage) = (self.pipeline.instance(id), self.pipeline.stage_of(id));
        let mut planned = Planned {
            id,
            state: State::Cached,
            key: None,
            record: None,
            because_of: Vec::new(),
            estimate_ms: None,
            output_bytes: None,
            basis: None,
        };
        let forced = self.forced.contains(&id);
        if let Some(manifest) = self.manifest(id) {
            let key = manifest.key();
            planned.key = Some(key);
            // A record that lacks an output is of an older form of the kind.
            let complete = |outputs: &Settled| {
                (stage.outputs.iter()).all(|port| outputs.contains_key(port.name))
            };
            planned.record = self
                .cache
                .and_then(|(_, index)| index.lookup(&key))
                .filter(|record| complete(&record.outputs));
            if forced {
                planned.state = State::Run(Reason::Forced);
            } else if planned.record.is_none() {
                planned.state = State::Run(if self.is_retired(&key) {
                    Reason::Dropped
                } else {
                    Reason::NoRecord
                });
            }
            return planned;
        }
        let unknown = |producer: &InstanceId| self.outputs(*producer).is_none();
        planned.because_of = self.graph.producers(id).filter(unknown).collect();
        planned.because_of.sort_unstable();
        planned.state = if !self.externals.of(id).unresolved.is_empty() {
            State::Run(Reason::Unresolved)
        } else if forced {
            State::Run(Reason::Forced)
        } else if self.cache.is_some_and(|(_, index)| {
            let shape = Manifest::shape(stage.kind, instance, self.externals.of(id));
            index.known_shape(&shape.digest())
        }) {
            State::Maybe(Reason::InputsChange)
        } else {
            State::Run(Reason::NewShape)
        };
        planned
    }

    fn is_retired(&self, key: &Key) -> bool {
        let look = || self.cache.map(|(cache, _)| cache.retired());
        let retired = self.retired.get_or_init(|| look().unwrap_or_default());
        retired.contains(key)
    }

    fn outputs(&self, id: InstanceId) -> Option<&Settled> {
        self.entries[id.0].as_ref()?.outputs()
    }

    /// The manifest, where the outputs of all producers are known. What must
    /// only be made again counts as known.
    fn manifest(&self, id: InstanceId) -> Option<Manifest> {
        if !self.externals.of(id).unresolved.is_empty() {
            return None;
        }
        let instance = self.pipeline.instance(id);
        let content = |input: usize, source: usize| -> Option<&Content> {
            let source = &instance.inputs[input].sources[source];
            self.outputs(source.instance)?.get(source.output.name)
        };
        let known = instance.inputs.iter().enumerate().all(|(i, input)| {
            let mut sources = 0..input.sources.len();
            sources.all(|j| content(i, j).is_some())
        });
        known.then(|| {
            Manifest::full(
                self.pipeline.stage_of(id).kind,
                instance,
                self.externals.of(id),
                |input, source| content(input, source).expect("every source was looked up above"),
            )
        })
    }

    /// Consumers were settled before: does anyone want bytes that are gone?
    fn demand_bytes(&mut self, id: InstanceId) {
        let Some((cache, _)) = self.cache else { return };
        let wanted = std::mem::take(&mut self.wanted[id.0]);
        let is_target = self.graph.is_target(id);
        let Some(planned) = &mut self.entries[id.0] else {
            return;
        };
        if planned.state == State::Cached {
            let outputs = planned.outputs().into_iter().flatten();
            let gone: Vec<&str> = outputs
                .filter(|(name, _)| {
                    let wants = |(_, wanted): &(InstanceId, &str)| wanted == name;
                    is_target || wanted.run.iter().any(wants) || wanted.maybe.iter().any(wants)
                })
                .filter(|(_, content)| !cache.has(content))
                .map(|(name, _)| name.as_str())
                .collect();
            let wanting = |wants: &[(InstanceId, &'static str)]| {
                let wants = wants.iter().filter(|(_, name)| gone.contains(name));
                wants
                    .map(|(consumer, _)| *consumer)
                    .collect::<BTreeSet<_>>()
            };
            let (run, maybe) = (wanting(&wanted.run), wanting(&wanted.maybe));
            if is_target && !gone.is_empty() || !run.is_empty() {
                planned.state = State::Run(Reason::BytesMissing);
                planned.because_of = run.into_iter().collect();
            } else if !maybe.is_empty() {
                planned.state = State::Maybe(Reason::BytesMissing);
                planned.because_of = maybe.into_iter().collect();
            }
        }
        let state = planned.state.clone();
        if state == State::Cached {
            return;
        }
        let sources = self.pipeline.instance(id).inputs.iter();
        for source in sources.flat_map(|input| &input.sources) {
            let wanted = &mut self.wanted[source.instance.0];
            let want = (id, source.output.name);
            match state {
                State::Run(_) => wanted.run.push(want),
                _ => wanted.maybe.push(want),
            }
        }
    }

    /// Earlier results are looked through only where something may run.
    fn estimate(&mut self) {
        let Some((_, index)) = self.cache else { return };
        let entries = self.entries.iter().flatten();
        let idle = |entry: &&Planned| entry.state == State::Cached;
        let busy: Vec<&Planned> = entries.filter(|entry| !idle(entry)).collect();
        if busy.is_empty() {
            return;
        }
        let kind = |entry: &Planned| self.pipeline.stage_of(entry.id).kind;
        let kinds = busy.iter().map(|entry| kind(entry).name).collect();
        let kinds = index.known_kinds(&kinds);
        let busy = (busy.into_iter()).filter(|entry| kinds.contains(kind(entry).name));
        let asked = busy.map(|entry| {
            let instance = self.pipeline.instance(entry.id);
            let kind = kind(entry);
            let shape = Manifest::shape(kind, instance, self.externals.of(entry.id));
            // A family of its own has no more results than the key.
            let manifest = (kind.progressive).and_then(|_| self.manifest(entry.id));
            let asked = Asked {
                kind: kind.name,
                key: entry.key,
                shape: shape.digest(),
                family: manifest.map(|manifest| manifest.family(kind)),
            };
            (entry.id, asked)
        });
        let (ids, asked): (Vec<InstanceId>, Vec<Asked<'_>>) = asked.unzip();
        let earlier = Earlier::of(index, &asked);
        for (id, asked) in ids.into_iter().zip(&asked) {
            if let (Some(known), Some(entry)) = (earlier.estimate(asked), &mut self.entries[id.0]) {
                entry.estimate_ms = Some(known.ms);
                entry.output_bytes = Some(known.bytes);
                entry.basis = Some(known.basis);
            }
        }
    }
}
