//! What a run would do, without doing it: three-valued, and exact.
//!
//! What a run executes lies between `Run` and `Run` plus `Maybe`. An instance
//! is `Maybe` when its key is not known yet (something before it runs) and a
//! record of its shape exists, so that early cutoff may spare it; or when its
//! bytes are gone and only a `Maybe` wants them.
use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    cache::{Cache, RecordIndex},
    digest::{Digest, Key},
    engine::{
        externals::Externals,
        graph::Graph,
        key::{Manifest, Settled, mark},
    },
    pipeline::{InputSource, InstanceId, Pipeline},
};

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The key is known and no record has it.
    NoRecord,
    /// The key is not known yet, and nothing of this shape was ever run.
    NewShape,
    /// There is a record, but bytes that are wanted are gone.
    BytesMissing,
    /// Something before it runs.
    InputsChange,
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
    /// Known when everything before it is settled.
    pub key: Option<Key>,
    /// Known when there is a record.
    pub outputs: Option<Settled>,
    /// Duration of an earlier result of the same shape or kind.
    pub estimate_ms: Option<u64>,
}

/// The instances that a run needs, producers first.
pub struct Plan {
    pub entries: Vec<Planned>,
    /// Updates that progressive passes will really do: (stage, from, to).
    pub passes: Vec<Pass>,
}

/// What one family of a progressive kind will really compute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pass {
    pub stage: String,
    pub instance: String,
    /// Where resume state lets it start.
    pub from: u64,
    pub to: u64,
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
    let mut draft = Draft {
        pipeline,
        graph,
        cache,
        entries: vec![None; pipeline.instances.len()],
    };
    let mut families: BTreeMap<(Digest, String), Vec<(InstanceId, u64)>> = BTreeMap::new();
    for id in graph.needed() {
        let (planned, family) = draft.first_look(id, externals);
        if let (Some((family, mark)), State::Run(_)) = (family, &planned.state) {
            families
                .entry((family, pipeline.stage_of(id).name.clone()))
                .or_default()
                .push((id, mark));
        }
        draft.entries[id.0] = Some(planned);
    }
    for id in graph.needed().rev() {
        draft.demand_bytes(id);
    }
    let passes = families
        .into_iter()
        .filter_map(|((family, stage), wanted)| {
            let (first, last) = (wanted.first()?, wanted.last()?);
            let resume = cache.and_then(|(cache, _)| cache.snapshot_mark(&family).ok().flatten());
            let from = resume.unwrap_or(0);
            Some(Pass {
                stage,
                instance: pipeline.label(last.0),
                from: if from < first.1 { from } else { 0 },
                to: last.1,
            })
        });
    let passes = passes.collect();
    Plan {
        entries: draft.entries.into_iter().flatten().collect(),
        passes,
    }
}

struct Draft<'a> {
    pipeline: &'a Pipeline,
    graph: &'a Graph,
    cache: Option<(&'a Cache, &'a RecordIndex)>,
    entries: Vec<Option<Planned>>,
}

impl Draft<'_> {
    /// The state by records alone, and the family of a progressive instance.
    fn first_look(
        &self,
        id: InstanceId,
        externals: &Externals,
    ) -> (Planned, Option<(Digest, u64)>) {
        let (instance, kind) = (self.pipeline.instance(id), self.pipeline.stage_of(id).kind);
        let mut planned = Planned {
            id,
            state: State::Cached,
            key: None,
            outputs: None,
            estimate_ms: None,
        };
        let shape = || Manifest::shape(kind, instance, externals.of(id)).digest();
        let estimate = |shape: &Digest| {
            let (_, index) = self.cache?;
            index.estimate_ms(shape, kind.name)
        };
        if let Some(manifest) = self.manifest(id, externals) {
            let key = manifest.key();
            planned.key = Some(key);
            planned.outputs = self
                .cache
                .and_then(|(_, index)| Some(index.lookup(&key)?.outputs));
            if planned.outputs.is_none() {
                planned.state = State::Run(Reason::NoRecord);
                planned.estimate_ms = estimate(&shape());
            }
            let family = mark(kind, instance).map(|mark| (manifest.family(kind), mark));
            return (planned, family);
        }
        let shape = shape();
        planned.estimate_ms = estimate(&shape);
        let known = self
            .cache
            .is_some_and(|(_, index)| index.known_shape(&shape));
        planned.state = if known {
            State::Maybe(Reason::InputsChange)
        } else {
            State::Run(Reason::NewShape)
        };
        (planned, None)
    }

    fn manifest(&self, id: InstanceId, externals: &Externals) -> Option<Manifest> {
        let instance = self.pipeline.instance(id);
        for producer in self.graph.producers(id) {
            let planned = self.entries[producer.0].as_ref()?;
            planned
                .outputs
                .as_ref()
                .filter(|_| planned.state == State::Cached)?;
        }
        let outputs = |source: &InputSource| {
            self.entries[source.instance.0]
                .as_ref()
                .and_then(|planned| planned.outputs.as_ref()?.get(source.output.name))
        };
        // A record that lacks an output is of an older form of the kind.
        let complete = instance
            .inputs
            .iter()
            .flat_map(|input| &input.sources)
            .all(|source| outputs(source).is_some());
        complete.then(|| {
            Manifest::full(
                self.pipeline.stage_of(id).kind,
                instance,
                externals.of(id),
                |input, source| {
                    outputs(&instance.inputs[input].sources[source])
                        .expect("every source was looked up above")
                },
            )
        })
    }

    /// Consumers were settled before: does anyone want bytes that are gone?
    fn demand_bytes(&mut self, id: InstanceId) {
        let Some((cache, _)) = self.cache else { return };
        let Some(planned) = self.entries[id.0]
            .as_ref()
            .filter(|planned| planned.state == State::Cached)
        else {
            return;
        };
        let state_of = |consumer: InstanceId| {
            self.entries[consumer.0]
                .as_ref()
                .map(|planned| &planned.state)
        };
        let consumers = || self.graph.consumers(id).filter_map(state_of);
        let wanted =
            self.graph.is_target(id) || consumers().any(|state| matches!(state, State::Run(_)));
        let maybe = consumers().any(|state| matches!(state, State::Maybe(_)));
        if !wanted && !maybe {
            return;
        }
        let present = planned
            .outputs
            .iter()
            .flatten()
            .all(|(_, content)| cache.has(content));
        if present {
            return;
        }
        let state = if wanted {
            State::Run(Reason::BytesMissing)
        } else {
            State::Maybe(Reason::BytesMissing)
        };
        if let Some(planned) = &mut self.entries[id.0] {
            planned.state = state;
        }
    }
}
