//! The scheduler: a state machine over instances, without I/O, clock or threads.
//!
//! It is told what happened (`hit`, `miss`, `reached`, `failed`, ...) and says
//! what to do next ([`Schedule::next`]): look an instance up, or start a pass.
//! The caller obeys. States and who may enter them:
//!
//! - `Waiting(n)`: n producers are not settled.
//! - `Considered`: handed out to be looked up; the caller answers hit or miss.
//! - `Ready`: must run, all inputs have bytes; waits for a slot, and for its
//!   family if that runs already (then it is considered again afterwards).
//! - `Lacking(n)`: must run, but n producers must first make lost bytes again.
//! - `Running`: in a pass.
//! - `Settled`, `Failed`, `Skipped`: final, except that a settled instance
//!   whose bytes are lost goes through `Ready` once more.
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::{digest::Digest, pipeline::InstanceId};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting(usize),
    Considered,
    Ready,
    Lacking(usize),
    Running,
    Settled,
    Failed,
    Skipped,
}

/// A pass to start: instances of one family by ascending mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Start {
    pub(super) pass: u64,
    pub(super) members: Vec<InstanceId>,
}

/// What the caller is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ask {
    /// Find the instance's key and look it up; answer `hit` or `miss`.
    Consider(InstanceId),
    Start(Start),
}

struct Node {
    state: State,
    producers: Vec<InstanceId>,
    consumers: Vec<InstanceId>,
    /// Longer chains first.
    priority: u64,
    /// Counted processors that a pass takes.
    cpu: u32,
    family: Option<(Digest, u64)>,
    /// Must be executed even if there is a record: its bytes are lost.
    remake: bool,
    /// Its consumers know that it has settled; remaking it tells them nothing new.
    counted: bool,
    /// Consumers in `Lacking` that wait for this one's bytes.
    lacking: Vec<InstanceId>,
}

/// One node for [`Schedule::new`]; nodes that take no part are absent.
pub(super) struct NodeSpec {
    pub(super) id: InstanceId,
    pub(super) producers: Vec<InstanceId>,
    /// Estimated duration, in any unit.
    pub(super) weight: u64,
    pub(super) cpu: u32,
}

struct RunningPass {
    members: Vec<InstanceId>,
    family: Digest,
    cpu: u32,
}

pub(super) struct Schedule {
    nodes: BTreeMap<InstanceId, Node>,
    to_consider: VecDeque<InstanceId>,
    ready: BTreeSet<InstanceId>,
    passes: BTreeMap<u64, RunningPass>,
    next_pass: u64,
    cpu_free: u32,
    cpu_total: u32,
    /// Nothing new starts.
    closed: bool,
    keep_going: bool,
}

impl Schedule {
    /// `specs` in an order with producers first; `cpu` is the number of slots.
    pub(super) fn new(specs: Vec<NodeSpec>, cpu: u32, keep_going: bool) -> Schedule {
        let mut nodes: BTreeMap<InstanceId, Node> = BTreeMap::new();
        let mut to_consider = VecDeque::new();
        for spec in specs {
            for producer in &spec.producers {
                nodes
                    .get_mut(producer)
                    .expect("producers come first")
                    .consumers
                    .push(spec.id);
            }
            if spec.producers.is_empty() {
                to_consider.push_back(spec.id);
            }
            let node = Node {
                state: State::Waiting(spec.producers.len()),
                producers: spec.producers,
                consumers: Vec::new(),
                priority: spec.weight.max(1),
                cpu: spec.cpu.clamp(1, cpu),
                family: None,
                remake: false,
                counted: false,
                lacking: Vec::new(),
            };
            nodes.insert(spec.id, node);
        }
        let ids: Vec<InstanceId> = nodes.keys().rev().copied().collect();
        for id in ids {
            let after = nodes[&id]
                .consumers
                .iter()
                .map(|consumer| nodes[consumer].priority)
                .max()
                .unwrap_or(0);
            if let Some(node) = nodes.get_mut(&id) {
                node.priority += after;
            }
        }
        Schedule {
            nodes,
            to_consider,
            ready: BTreeSet::new(),
            passes: BTreeMap::new(),
            next_pass: 1,
            cpu_free: cpu,
            cpu_total: cpu,
            closed: false,
            keep_going,
        }
    }

    /// What to do now; `None` when only a running pass can change anything.
    /// All lookups come before any start, so that the members of a family
    /// which become ready together share one pass.
    pub(super) fn next(&mut self) -> Option<Ask> {
        while let Some(id) = self.to_consider.pop_front() {
            let node = self.node(id);
            if matches!(
                node.state,
                State::Waiting(0) | State::Lacking(0) | State::Ready
            ) {
                node.state = State::Considered;
                return Some(Ask::Consider(id));
            }
        }
        if self.closed {
            return None;
        }
        self.start_best().map(Ask::Start)
    }

    fn start_best(&mut self) -> Option<Start> {
        let running: BTreeSet<Digest> = self.passes.values().map(|pass| pass.family).collect();
        let candidates = self.ready.iter().filter(|id| {
            let node = &self.nodes[id];
            node.cpu <= self.cpu_free
                && node
                    .family
                    .is_some_and(|(family, _)| !running.contains(&family))
        });
        // The smallest id wins a tie, so that the order is the file's.
        let best =
            *candidates.max_by_key(|id| (self.nodes[id].priority, std::cmp::Reverse(**id)))?;
        let (family, _) = self.nodes[&best].family?;
        let same = |id: &&InstanceId| {
            self.nodes[id]
                .family
                .is_some_and(|(other, _)| other == family)
        };
        let mut members: Vec<InstanceId> = self.ready.iter().filter(same).copied().collect();
        members.sort_by_key(|id| (self.nodes[id].family.map(|(_, mark)| mark), *id));
        for id in &members {
            self.ready.remove(id);
            self.node(*id).state = State::Running;
        }
        let (pass, cpu) = (self.next_pass, self.nodes[&best].cpu);
        self.next_pass += 1;
        self.cpu_free -= cpu;
        self.passes.insert(
            pass,
            RunningPass {
                members: members.clone(),
                family,
                cpu,
            },
        );
        Some(Start { pass, members })
    }

    fn node(&mut self, id: InstanceId) -> &mut Node {
        self.nodes.get_mut(&id).expect("the instance takes part")
    }

    /// Whether the instance has to run although there may be a record.
    pub(super) fn must_remake(&self, id: InstanceId) -> bool {
        self.nodes[&id].remake
    }

    /// The considered instance has a record, and what is needed of its bytes.
    pub(super) fn hit(&mut self, id: InstanceId) {
        self.settle(id);
    }

    /// The considered instance must run. `lost` are producers whose bytes are
    /// gone; they are made again first.
    pub(super) fn miss(&mut self, id: InstanceId, family: Digest, mark: u64, lost: &[InstanceId]) {
        self.node(id).family = Some((family, mark));
        if lost.is_empty() {
            self.node(id).state = State::Ready;
            self.ready.insert(id);
            return;
        }
        self.node(id).state = State::Lacking(lost.len());
        for &producer in lost {
            self.node(producer).lacking.push(id);
            if self.node(producer).state == State::Settled {
                self.remake(producer);
            }
        }
    }

    /// The settled instance is executed once more. What waits for its key
    /// goes on; what needs its bytes says so by `miss`.
    pub(super) fn remake(&mut self, id: InstanceId) {
        let node = self.node(id);
        node.remake = true;
        node.state = State::Waiting(0);
        self.to_consider.push_back(id);
    }

    /// An instance of a running pass has its result.
    pub(super) fn reached(&mut self, id: InstanceId) {
        self.node(id).remake = false;
        self.settle(id);
    }

    fn settle(&mut self, id: InstanceId) {
        let again = std::mem::take(&mut self.node(id).lacking);
        let first = !std::mem::replace(&mut self.node(id).counted, true);
        self.node(id).state = State::Settled;
        for &consumer in &again {
            if let State::Lacking(n) = self.node(consumer).state {
                self.node(consumer).state = State::Lacking(n - 1);
                if n == 1 {
                    self.to_consider.push_back(consumer);
                }
            }
        }
        if !first {
            return;
        }
        for consumer in self.node(id).consumers.clone() {
            if let State::Waiting(n) = self.node(consumer).state
                && n > 0
            {
                self.node(consumer).state = State::Waiting(n - 1);
                if n == 1 {
                    self.to_consider.push_back(consumer);
                }
            }
        }
    }

    /// The pass is over; members without a result have failed. Returns those.
    pub(super) fn finished(&mut self, pass: u64) -> Vec<InstanceId> {
        let Some(over) = self.passes.remove(&pass) else {
            return Vec::new();
        };
        self.cpu_free = (self.cpu_free + over.cpu).min(self.cpu_total);
        let unfinished: Vec<InstanceId> = over
            .members
            .into_iter()
            .filter(|id| self.nodes[id].state == State::Running)
            .collect();
        for id in &unfinished {
            self.node(*id).state = State::Failed;
        }
        if !unfinished.is_empty() && !self.keep_going {
            self.close();
        }
        // Others of the family waited; one of the marks may be theirs.
        let same = |id: &InstanceId| {
            self.nodes[id]
                .family
                .is_some_and(|(family, _)| family == over.family)
        };
        let waiting: Vec<InstanceId> = self.ready.iter().copied().filter(same).collect();
        for id in waiting {
            self.ready.remove(&id);
            self.to_consider.push_back(id);
        }
        unfinished
    }

    /// Nothing new starts; what runs goes on.
    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    pub(super) fn running(&self) -> usize {
        self.passes.len()
    }

    /// After the last pass: marks and returns what never ran, each with a
    /// producer that failed or was skipped itself, if that is the reason.
    pub(super) fn skip_rest(&mut self) -> Vec<(InstanceId, Option<InstanceId>)> {
        let ids: Vec<InstanceId> = self.nodes.keys().copied().collect();
        let mut skipped = Vec::new();
        for id in ids {
            if matches!(self.nodes[&id].state, State::Settled | State::Failed) {
                continue;
            }
            let bad = |producer: &&InstanceId| {
                matches!(self.nodes[producer].state, State::Failed | State::Skipped)
            };
            let because = self.nodes[&id].producers.iter().find(bad).copied();
            self.node(id).state = State::Skipped;
            skipped.push((id, because));
        }
        skipped
    }
}

#[cfg(test)]
mod tests;
