//! The instances of a plan as the schedule takes them.
use crate::{
    engine::{
        capacity::{Capacity, disk_leaves},
        externals::Externals,
        graph::Graph,
        plan::{Plan, Planned, State},
        schedule::NodeSpec,
    },
    pipeline::Pipeline,
};

pub(super) fn nodes(
    (pipeline, graph, externals): (&Pipeline, &Graph, &Externals),
    plan: &Plan,
    capacity: &Capacity,
) -> Vec<NodeSpec> {
    let spec = |entry: &Planned| NodeSpec {
        id: entry.id,
        producers: graph.producers(entry.id).collect(),
        // What is cached costs nothing; an unknown duration counts as a second.
        weight: if entry.state == State::Cached {
            0
        } else {
            entry.estimate_ms.unwrap_or(1000)
        },
        takes: capacity.takes((pipeline, externals), entry.id),
        leaves: disk_leaves(pipeline, externals, entry.id),
        temp: graph.is_passing(pipeline, entry.id),
    };
    plan.entries.iter().map(spec).collect()
}
