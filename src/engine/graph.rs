//! The DAG of instances: who waits for whom, and what a run asks for.
use petgraph::{
    Direction,
    graph::{DiGraph, NodeIndex},
};

use crate::pipeline::{InstanceId, Pipeline};

/// Edges lead from producer to consumer; node `i` is instance `i`.
pub struct Graph {
    edges: DiGraph<(), ()>,
    /// Instances whose results were asked for.
    targets: Vec<bool>,
    /// Targets and all they need.
    needed: Vec<bool>,
}

impl Graph {
    /// The part of a pipeline that `targets` need; `None` asks for everything
    /// that nothing consumes.
    pub fn build(pipeline: &Pipeline, targets: Option<&[InstanceId]>) -> Graph {
        let count = pipeline.instances.len();
        let mut edges = DiGraph::with_capacity(count, count);
        for _ in 0..count {
            edges.add_node(());
        }
        for id in pipeline.ids() {
            let inputs = &pipeline.instance(id).inputs;
            let mut producers: Vec<InstanceId> = inputs
                .iter()
                .flat_map(|input| &input.sources)
                .map(|source| source.instance)
                .collect();
            producers.sort_unstable();
            producers.dedup();
            for producer in producers {
                edges.add_edge(node(producer), node(id), ());
            }
        }
        let mut graph = Graph {
            edges,
            targets: vec![false; count],
            needed: vec![false; count],
        };
        let targets: Vec<InstanceId> = match targets {
            Some(ids) => ids.to_vec(),
            None => pipeline
                .ids()
                .filter(|id| graph.consumers(*id).next().is_none())
                .collect(),
        };
        let mut stack = targets.clone();
        for id in targets {
            graph.targets[id.0] = true;
        }
        while let Some(id) = stack.pop() {
            if !std::mem::replace(&mut graph.needed[id.0], true) {
                stack.extend(graph.producers(id));
            }
        }
        graph
    }

    pub fn producers(&self, id: InstanceId) -> impl Iterator<Item = InstanceId> + '_ {
        self.edges
            .neighbors_directed(node(id), Direction::Incoming)
            .map(instance)
    }

    pub fn consumers(&self, id: InstanceId) -> impl Iterator<Item = InstanceId> + '_ {
        self.edges
            .neighbors_directed(node(id), Direction::Outgoing)
            .map(instance)
    }

    pub fn is_target(&self, id: InstanceId) -> bool {
        self.targets[id.0]
    }

    /// Whether the bytes of an instance go once its last consumer is done.
    pub(super) fn is_passing(&self, pipeline: &Pipeline, id: InstanceId) -> bool {
        pipeline.stage_of(id).execution.temp && !self.is_target(id)
    }

    pub fn is_needed(&self, id: InstanceId) -> bool {
        self.needed[id.0]
    }

    /// The instances that take part, producers first.
    pub fn needed(&self) -> impl DoubleEndedIterator<Item = InstanceId> + '_ {
        (0..self.needed.len())
            .map(InstanceId)
            .filter(|id| self.needed[id.0])
    }
}

fn node(id: InstanceId) -> NodeIndex {
    NodeIndex::new(id.0)
}

fn instance(node: NodeIndex) -> InstanceId {
    InstanceId(node.index())
}
