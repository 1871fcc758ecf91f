//! Sums over a plan: what it will take, as far as earlier results tell.
use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::{
    engine::{
        graph::Graph,
        plan::{Plan, Planned, State},
    },
    pipeline::{InstanceId, Pipeline},
};

/// What some instances of a plan will take. Instances of which nothing similar
/// was ever run are counted in `unknown` and add nothing else.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Cost {
    /// Time in stages, summed: what one processor slot would take for all.
    pub stage_ms: u64,
    /// The same, each stage times its `resources.cpu`.
    pub cpu_ms: u64,
    /// Of stages whose `device` is `cuda`, times their `resources.gpu`, at least 1.
    pub gpu_ms: u64,
    /// The longest chain of instances that wait for each other: no number of
    /// processors makes the run shorter.
    pub chain_ms: u64,
    /// New bytes in the cache. What several results share counts each time.
    pub new_bytes: u64,
    pub known: usize,
    pub unknown: usize,
    /// Kinds of the unknown ones.
    pub unknown_kinds: BTreeSet<String>,
}

impl Plan {
    /// The cost of what surely runs.
    pub fn cost_run(&self, pipeline: &Pipeline, graph: &Graph) -> Cost {
        self.cost(pipeline, graph, |state| matches!(state, State::Run(_)))
    }

    /// The cost if every `maybe` runs too.
    pub fn cost_at_most(&self, pipeline: &Pipeline, graph: &Graph) -> Cost {
        self.cost(pipeline, graph, |state| *state != State::Cached)
    }

    fn cost(&self, pipeline: &Pipeline, graph: &Graph, counts: impl Fn(&State) -> bool) -> Cost {
        let mut cost = Cost::default();
        let mut chains: BTreeMap<InstanceId, u64> = BTreeMap::new();
        for entry in &self.entries {
            if !counts(&entry.state) {
                continue;
            }
            let before = graph.producers(entry.id);
            let before = before.filter_map(|id| chains.get(&id)).max().copied();
            let chain = before.unwrap_or(0) + entry.estimate_ms.unwrap_or(0);
            chains.insert(entry.id, chain);
            cost.chain_ms = cost.chain_ms.max(chain);
            cost.add(pipeline, entry);
        }
        cost
    }
}

impl Cost {
    fn add(&mut self, pipeline: &Pipeline, entry: &Planned) {
        let stage = pipeline.stage_of(entry.id);
        let Some(ms) = entry.estimate_ms else {
            self.unknown += 1;
            self.unknown_kinds.insert(stage.kind.name.to_owned());
            return;
        };
        let resources = &stage.execution.resources;
        self.known += 1;
        self.stage_ms += ms;
        self.cpu_ms += ms * u64::from(resources.cpu);
        self.new_bytes += entry.output_bytes.unwrap_or(0);
        if pipeline.instance(entry.id).params.get("device") == Some(&"cuda".into()) {
            self.gpu_ms += ms * u64::from(resources.gpu.max(1));
        }
    }
}
