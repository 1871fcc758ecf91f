//! The order of stages: producers first, else as in the file. A cycle is told
//! as a path.
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
};

use petgraph::{
    Direction,
    algo::kosaraju_scc,
    graph::{DiGraph, NodeIndex},
    visit::EdgeRef,
};

use crate::{
    diagnostic::{Diagnostic, Faults},
    pipeline::{connect::Edge, syntax::WrittenStage},
};

/// Names of a cycle that are written out.
const SHOWN: usize = 12;

/// Positions of the stages in order, or none after a cycle.
pub(super) fn order(
    stages: &[WrittenStage<'_>],
    edges: &[Edge],
    faults: &mut Faults,
) -> Option<Vec<usize>> {
    let mut graph = DiGraph::<(), usize>::with_capacity(stages.len(), edges.len());
    for _ in stages {
        graph.add_node(());
    }
    for (index, edge) in edges.iter().enumerate() {
        let (from, to) = (NodeIndex::new(edge.producer), NodeIndex::new(edge.consumer));
        graph.add_edge(from, to, index);
    }
    let mut sound = true;
    for component in kosaraju_scc(&graph) {
        if let Some(cycle) = cycle(&graph, &component) {
            sound = false;
            faults.push(told(&cycle, stages, edges));
        }
    }
    sound.then(|| sorted(&graph))
}

/// The edges of a shortest cycle through the first stage of a component.
fn cycle(graph: &DiGraph<(), usize>, component: &[NodeIndex]) -> Option<Vec<usize>> {
    let start = *component.iter().min()?;
    if component.len() == 1 && graph.find_edge(start, start).is_none() {
        return None;
    }
    let mut reached: Vec<Option<usize>> = vec![None; graph.node_count()];
    let mut queue = VecDeque::from([start]);
    while let Some(node) = queue.pop_front() {
        for edge in graph.edges(node) {
            let target = edge.target();
            if reached[target.index()].is_some() {
                continue;
            }
            reached[target.index()] = Some(edge.id().index());
            if target == start {
                return Some(back(graph, &reached, start));
            }
            queue.push_back(target);
        }
    }
    None
}

/// Follows the edges by which nodes were reached from `start` back to it.
fn back(graph: &DiGraph<(), usize>, reached: &[Option<usize>], start: NodeIndex) -> Vec<usize> {
    let mut path = Vec::new();
    let mut node = start;
    while let Some(edge) = reached[node.index()] {
        path.push(edge);
        let Some((from, _)) = graph.edge_endpoints(petgraph::graph::EdgeIndex::new(edge)) else {
            break;
        };
        node = from;
        if node == start {
            break;
        }
    }
    path.reverse();
    path
}

fn told(cycle: &[usize], stages: &[WrittenStage<'_>], edges: &[Edge]) -> Diagnostic {
    let name = |stage: usize| stages[stage].name.get_ref().as_str();
    let first = &edges[cycle[0]];
    let mut path = vec![name(first.producer)];
    path.extend(
        cycle
            .iter()
            .take(SHOWN)
            .map(|edge| name(edges[*edge].consumer)),
    );
    if cycle.len() > SHOWN {
        path.push("...");
        path.push(name(first.producer));
    }
    let reads = |edge: &Edge| format!("`{}` reads `{}`", name(edge.consumer), name(edge.producer));
    let mut fault = Diagnostic::new(format!(
        "stages depend on each other: {}",
        path.join(" -> ")
    ))
    .at(first.span.clone())
    .label(reads(first));
    for edge in cycle.iter().skip(1).take(SHOWN) {
        let edge = &edges[*edge];
        fault = fault.also(edge.span.clone(), reads(edge));
    }
    fault
}

/// Topological, and among the stages that may come next the first of the file.
fn sorted(graph: &DiGraph<(), usize>) -> Vec<usize> {
    let incoming = |node| graph.edges_directed(node, Direction::Incoming).count();
    let mut waiting: Vec<usize> = graph.node_indices().map(incoming).collect();
    let mut ready: BinaryHeap<Reverse<usize>> = waiting
        .iter()
        .enumerate()
        .filter(|(_, count)| **count == 0)
        .map(|(stage, _)| Reverse(stage))
        .collect();
    let mut order = Vec::with_capacity(waiting.len());
    while let Some(Reverse(stage)) = ready.pop() {
        order.push(stage);
        for edge in graph.edges(NodeIndex::new(stage)) {
            let consumer = edge.target().index();
            waiting[consumer] -= 1;
            if waiting[consumer] == 0 {
                ready.push(Reverse(consumer));
            }
        }
    }
    order
}
