//! Sums over a plan: what it will take, as far as earlier results tell.
use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;

use crate::{
    engine::{
        graph::Graph,
        plan::{Pass, Plan, Planned, State},
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
        let counted = |entry: &&Planned| counts(&entry.state);
        let ms = |id: InstanceId| {
            let entry = self.entry(id).filter(counted)?;
            Some(entry.estimate_ms.unwrap_or(0))
        };
        let ahead = ahead(&self.passes, ms);
        let mut chains: BTreeMap<InstanceId, u64> = BTreeMap::new();
        for entry in &self.entries {
            if !counts(&entry.state) {
                continue;
            }
            let before = graph.producers(entry.id);
            let before = before.filter_map(|id| chains.get(&id)).max().copied();
            let ahead = ahead.get(&entry.id).copied().unwrap_or(0);
            let chain = before.unwrap_or(0) + ahead + entry.estimate_ms.unwrap_or(0);
            chains.insert(entry.id, chain);
            cost.chain_ms = cost.chain_ms.max(chain);
            cost.add(pipeline, entry);
        }
        cost
    }
}

/// What the marks before it in its pass take, for each instance of a pass: they
/// have the same producers and are reached one after another. `ms` gives
/// nothing for what does not count.
fn ahead(passes: &[Pass], ms: impl Fn(InstanceId) -> Option<u64>) -> HashMap<InstanceId, u64> {
    let mut ahead = HashMap::new();
    for pass in passes {
        let mut sum = 0;
        for same in pass.members.chunk_by(|(a, _), (b, _)| a == b) {
            ahead.extend(same.iter().map(|(_, id)| (*id, sum)));
            // Instances that want the same mark get it at once.
            sum += same.iter().filter_map(|(_, id)| ms(*id)).max().unwrap_or(0);
        }
    }
    ahead
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_waits_for_those_before_it_in_its_pass() {
        let at = |mark: u64, id: usize| (mark, InstanceId(id));
        let pass = Pass {
            stage: "grpo".to_owned(),
            instance: "grpo@budget=30".to_owned(),
            param: "updates",
            from: 0,
            to: 30,
            marks: vec![10, 20, 30],
            certain: true,
            members: vec![at(10, 0), at(20, 1), at(20, 2), at(25, 3), at(30, 4)],
        };
        // The fourth one does not count.
        let ms = |id: InstanceId| [Some(100), Some(50), Some(70), None, Some(30)][id.0];
        let found = ahead(&[pass], ms);
        let waits = (0..5).map(|id| found[&InstanceId(id)]);
        assert_eq!(waits.collect::<Vec<u64>>(), [0, 100, 100, 170, 170]);
    }
}
