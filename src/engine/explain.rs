//! Why an instance runs, or does not: its manifest beside that of the nearest
//! earlier result, and the way up to what set it off.
//!
//! Reads records; runs and writes nothing. The plan says *that* something
//! runs, this says *what changed*, and the two never disagree, since both
//! start from the same manifests.
mod difference;
mod earlier;
mod root;

use std::{collections::BTreeMap, rc::Rc};

use serde::Serialize;

use crate::{
    artifact::show_coords,
    cache::{Cache, Provenance, RecordIndex},
    digest::Key,
    engine::{
        explain::{
            difference::{Entries, Place},
            earlier::{Earlier, Past, Sought},
        },
        externals::Externals,
        key::Manifest,
        plan::{Plan, Reason, State},
    },
    pipeline::{InstanceId, Pipeline},
};

pub use difference::{Change, Difference, differences};
pub use earlier::Nearness;
pub use root::{Cause, Root};

/// All that can be said about one instance.
#[derive(Debug, Clone, Serialize)]
pub struct Explanation {
    pub stage: String,
    pub instance: String,
    pub plan: State,
    pub key: Option<Key>,
    /// How the result that stands was made.
    pub made: Option<Made>,
    /// The earlier result that it is compared with.
    pub compared: Option<Compared>,
    /// In what it differs from that.
    pub differences: Vec<Difference>,
    /// Producers whose results are not known before they have run.
    pub waits_for: Vec<String>,
    /// Consumers that want its bytes, where those are gone.
    pub wanted_by: Vec<String>,
    /// What set it off, each with the way down to this instance.
    pub roots: Vec<Root>,
}

/// The provenance of a result, for people.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Made {
    /// RFC 3339.
    pub started: String,
    pub duration_ms: u64,
    pub host: String,
    pub device: String,
    pub program_version: String,
    /// The run, and what it called the instance; empty in old records.
    pub run: String,
    pub instance: String,
}

impl Made {
    fn of(provenance: &Provenance) -> Made {
        Made {
            started: provenance.started.clone(),
            duration_ms: provenance.duration_ms,
            host: provenance.host.clone(),
            device: provenance.device.clone(),
            program_version: provenance.program_version.clone(),
            run: provenance.run.clone(),
            instance: provenance.instance.clone(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Compared {
    pub key: Key,
    pub nearness: Nearness,
    pub made: Made,
}

/// What an instance is compared with, and the outcome.
#[derive(Default)]
pub struct Study {
    pub compared: Option<Compared>,
    pub differences: Vec<Difference>,
    /// By port and coordinates, what the compared one was given.
    inputs_before: BTreeMap<Place, serde_json::Value>,
}

/// Answers questions about one plan.
pub struct Explainer<'a> {
    pipeline: &'a Pipeline,
    externals: &'a Externals,
    plan: &'a Plan,
    /// None where there is no cache yet.
    earlier: Option<Earlier<'a>>,
}

impl<'a> Explainer<'a> {
    pub fn new(
        (pipeline, externals): (&'a Pipeline, &'a Externals),
        plan: &'a Plan,
        cache: Option<(&'a Cache, &'a RecordIndex)>,
    ) -> Explainer<'a> {
        Explainer {
            pipeline,
            externals,
            plan,
            earlier: cache.map(|(cache, index)| Earlier::of(cache, index)),
        }
    }

    /// Everything about an instance of the plan; none if the plan lacks it.
    pub fn explain(&mut self, id: InstanceId) -> Option<Explanation> {
        let entry = self.plan.entry(id)?;
        let made = entry
            .key
            .filter(|_| entry.record.is_some())
            .and_then(|key| {
                let record = self.earlier.as_ref()?.record(&key)?;
                Some(Made::of(&record.provenance))
            });
        let settled = entry.state == State::Cached || entry.record.is_some();
        let study = (!settled).then(|| self.study(id, None));
        let roots = if entry.state == State::Cached {
            Vec::new()
        } else {
            self.roots(id)
        };
        let labels = |ids: &[InstanceId]| -> Vec<String> {
            ids.iter().map(|id| self.pipeline.label(*id)).collect()
        };
        let behind = labels(&entry.because_of);
        let (waits_for, wanted_by) = if entry.record.is_some() {
            (Vec::new(), behind)
        } else {
            (behind, Vec::new())
        };
        let (compared, differences) = study.map_or((None, Vec::new()), |study| {
            (study.compared, study.differences)
        });
        Some(Explanation {
            stage: self.pipeline.stage_of(id).name.clone(),
            instance: self.pipeline.label(id),
            plan: entry.state.clone(),
            key: entry.key,
            made,
            compared,
            differences,
            waits_for,
            wanted_by,
            roots,
        })
    }

    /// Compares an instance with the nearest earlier result, or with `used`,
    /// which made what its consumer used before. What was dropped is compared
    /// with nothing: no change of its own set it off.
    pub fn study(&mut self, id: InstanceId, used: Option<Key>) -> Study {
        if self.is_dropped(id) {
            return Study::default();
        }
        let manifest = self.manifest(id);
        let now = Entries::of(&manifest.0);
        let nearest = self.nearest(id, (&manifest, &now), used);
        let Some((past, at, nearness)) = nearest else {
            return Study::default();
        };
        let past = &past[at];
        let mut differences = past.entries.differences(&now);
        let producers = self.producers(id);
        for (place, difference) in &mut differences {
            if let Difference::Input { producer, .. } = difference {
                let found = producers.get(place);
                *producer = found.map(|(id, _)| self.pipeline.label(*id));
            }
        }
        let differences = differences.into_iter().map(|(_, difference)| difference);
        let before = past.entries.0.iter();
        let inputs_before = before.filter(|(place, _)| matches!(place, Place::Input { .. }));
        Study {
            compared: Some(Compared {
                key: past.record.key,
                nearness,
                made: Made::of(&past.record.provenance),
            }),
            differences: differences.collect(),
            inputs_before: inputs_before
                .map(|(place, digest)| (place.clone(), digest.clone()))
                .collect(),
        }
    }

    fn is_dropped(&self, id: InstanceId) -> bool {
        let entry = self.plan.entry(id);
        entry.is_some_and(|entry| entry.state == State::Run(Reason::Dropped))
    }

    /// The manifest as far as it is known.
    fn manifest(&self, id: InstanceId) -> Manifest {
        let instance = self.pipeline.instance(id);
        Manifest::partial(
            self.pipeline.stage_of(id).kind,
            instance,
            self.externals.of(id),
            |input, source| {
                let source = &instance.inputs[input].sources[source];
                let producer = self.plan.entry(source.instance)?;
                producer.outputs()?.get(source.output.name)
            },
        )
    }

    fn nearest(
        &mut self,
        id: InstanceId,
        (manifest, now): (&Manifest, &Entries),
        used: Option<Key>,
    ) -> Option<(Rc<[Past]>, usize, Nearness)> {
        let (instance, kind) = (self.pipeline.instance(id), self.pipeline.stage_of(id).kind);
        let shape = Manifest::shape(kind, instance, self.externals.of(id));
        let known = self.plan.entry(id).and_then(|entry| entry.key);
        let sought = Sought {
            kind: kind.name,
            pipeline: &self.pipeline.name,
            label: &self.pipeline.label(id),
            entries: now,
            shape: shape.digest(),
            // A family has its inputs: it is known once all of them are.
            family: known.map(|_| manifest.family(kind)),
            but: known,
            used,
        };
        self.earlier.as_mut()?.nearest(&sought)
    }

    /// Who delivers what stands on a port at some coordinates, and which output.
    fn producers(&self, id: InstanceId) -> BTreeMap<Place, (InstanceId, &'static str)> {
        let mut producers = BTreeMap::new();
        for input in &self.pipeline.instance(id).inputs {
            for source in &input.sources {
                let mut place = Place::Input {
                    port: input.port.name.to_owned(),
                    at: show_coords(&source.coords),
                    turn: 0,
                };
                while producers.contains_key(&place) {
                    place.next_turn();
                }
                producers.insert(place, (source.instance, source.output.name));
            }
        }
        producers
    }
}
