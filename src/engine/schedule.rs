//! The scheduler: a state machine over instances, without I/O, clock or threads.
//!
//! It is told what happened (`hit`, `miss`, `reached`, `finished`, ...) and says
//! what to do next ([`Schedule::next`]): look an instance up, or start a pass.
//! The caller obeys. States and who may enter them:
//!
//! - `Waiting(n)`: n producers are not settled.
//! - `Considered`: handed out to be looked up; the caller answers hit or miss.
//! - `Ready`: must run, all inputs have bytes; waits for its resources, and for
//!   its family if that runs already (then it is considered again afterwards).
//! - `Lacking(n)`: must run, but n producers must first make lost bytes again.
//! - `Running`: in a pass.
//! - `Delayed`: an attempt failed; the caller says when the next one is due.
//! - `Elsewhere`: its pass was taken back; the caller says when to look again.
//! - `Settled`, `Failed`, `Skipped`: final, except that a settled instance
//!   whose bytes are lost goes through `Ready` once more.
//!
//! What fits starts at once, best rank first ([`Rank`]); a larger one that does
//! not fit yet is overtaken by smaller ones and reserves nothing. What needs
//! disk starts only if all that is to come can then still go on (`room`).
mod amounts;
mod elsewhere;
mod ending;
mod node;
mod outlook;
mod queue;
mod room;
mod slots;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
};

use crate::{
    digest::Digest,
    engine::schedule::{
        amounts::Ledger,
        node::{Node, State},
        queue::{Queue, Rank},
        room::Room,
        slots::Slots,
    },
    pipeline::InstanceId,
};

pub(super) use amounts::Amounts;
pub(super) use outlook::{Item, Outlook, Short, Stand};
pub(super) use slots::Place;

/// A pass to start: instances of one family by ascending mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Start {
    pub(super) pass: u64,
    pub(super) members: Vec<InstanceId>,
    pub(super) place: Place,
}

/// What the caller is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ask {
    /// Find the instance's key and look it up; answer `hit` or `miss`.
    Consider(InstanceId),
    Start(Start),
}

/// One node for [`Schedule::new`]; nodes that take no part are absent.
pub(super) struct NodeSpec {
    pub(super) id: InstanceId,
    pub(super) producers: Vec<InstanceId>,
    /// Estimated duration, in any unit.
    pub(super) weight: u64,
    /// Processors beyond the machine's are cut; what else a machine lacks is
    /// refused by the caller beforehand.
    pub(super) takes: Amounts,
    /// Bytes that it probably leaves on the disk: for good, or if `temp` until
    /// its last consumer is done.
    pub(super) leaves: u64,
    pub(super) temp: bool,
}

struct RunningPass {
    members: Vec<InstanceId>,
    family: Digest,
    takes: Amounts,
    model: Option<Digest>,
    place: Place,
}

pub(super) struct Schedule {
    nodes: BTreeMap<InstanceId, Node>,
    to_consider: VecDeque<InstanceId>,
    queue: Queue,
    /// Members of each family in the queue, by mark.
    ready: HashMap<Digest, BTreeSet<(u64, InstanceId)>>,
    /// Members of running families that came too late for the pass.
    parked: HashMap<Digest, Vec<InstanceId>>,
    running: HashMap<Digest, u64>,
    passes: BTreeMap<u64, RunningPass>,
    next_pass: u64,
    ledger: Ledger,
    room: Room,
    slots: Slots,
    /// Passes at once, where the system allows no more.
    most: usize,
    delayed: usize,
    /// Nothing new starts.
    closed: bool,
    keep_going: bool,
}

impl Schedule {
    /// `specs` in an order with producers first; `total` is the machine.
    pub(super) fn new(specs: Vec<NodeSpec>, total: Amounts, keep_going: bool) -> Schedule {
        let total = Amounts {
            cpu: total.cpu.max(1),
            ..total
        };
        let room = Room::new(&specs);
        let mut nodes: BTreeMap<InstanceId, Node> = BTreeMap::new();
        let mut to_consider = VecDeque::new();
        for spec in specs {
            for producer in &spec.producers {
                let producer = nodes.get_mut(producer).expect("producers come first");
                producer.consumers.push(spec.id);
            }
            if spec.producers.is_empty() {
                to_consider.push_back(spec.id);
            }
            // Waiting for the network needs no processor.
            let least = u32::from(spec.takes.network == 0);
            let takes = Amounts {
                cpu: spec.takes.cpu.clamp(least, total.cpu),
                ..spec.takes
            };
            nodes.insert(spec.id, Node::new(spec, takes));
        }
        measure_paths(&mut nodes);
        room.in_order(&mut nodes);
        Schedule {
            nodes,
            to_consider,
            queue: Queue::default(),
            ready: HashMap::new(),
            parked: HashMap::new(),
            running: HashMap::new(),
            passes: BTreeMap::new(),
            next_pass: 1,
            ledger: Ledger::new(total),
            room,
            slots: Slots::new((total.cpu + total.network) as usize, total.gpu as usize),
            most: usize::MAX,
            delayed: 0,
            closed: false,
            keep_going,
        }
    }

    /// What to do now; `None` when only a running pass can change anything, or
    /// an attempt that is due again. All lookups come before any start, so that
    /// the members of a family which become ready together share one pass.
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
        if !self.slots.any_idle() || self.passes.len() >= self.most {
            return None;
        }
        let best = self.choose()?;
        let node = &self.nodes[&best];
        let (mut takes, model) = (node.takes, node.model);
        let (family, _) = node.family?;
        let (members, disk_bytes) = self.together(best)?;
        takes.disk_bytes = disk_bytes;
        let place = self.slots.occupy(takes.gpu as usize, model)?;
        self.ledger.take(&takes);
        let ready = self.ready.remove(&family).unwrap_or_default();
        for (_, id) in ready {
            self.dequeue(id);
            if members.contains(&id) {
                self.node(id).state = State::Running;
            } else {
                self.parked.entry(family).or_default().push(id);
            }
        }
        let pass = self.next_pass;
        self.next_pass += 1;
        self.running.insert(family, pass);
        self.passes.insert(
            pass,
            RunningPass {
                members: members.clone(),
                family,
                takes,
                model,
                place: place.clone(),
            },
        );
        Some(Start {
            pass,
            members,
            place,
        })
    }

    fn node(&mut self, id: InstanceId) -> &mut Node {
        self.nodes.get_mut(&id).expect("the instance takes part")
    }

    fn enqueue(&mut self, id: InstanceId) {
        let node = &self.nodes[&id];
        let Some((family, mark)) = node.family else {
            return;
        };
        let producers = node.producers.iter();
        let temp = producers.filter_map(|id| {
            let bytes = self.nodes[id].temp_bytes.checked_ilog2()?;
            Some((bytes + 1, Reverse(*id)))
        });
        // Among those that free nothing there are no turns.
        let (frees, turn) = temp.max().unwrap_or((0, Reverse(InstanceId(0))));
        let rank = Rank {
            frees,
            turn,
            path: node.path,
            first: Reverse(id),
        };
        self.queue.insert(node.takes, node.model, rank);
        self.ready.entry(family).or_default().insert((mark, id));
        self.node(id).queued = Some(rank);
    }

    fn dequeue(&mut self, id: InstanceId) {
        if let Some(rank) = self.node(id).queued.take() {
            let node = &self.nodes[&id];
            self.queue.remove(node.takes, node.model, rank);
        }
    }

    /// Whether its bytes are wanted although nothing else asks for them.
    pub(super) fn must_remake(&self, id: InstanceId) -> bool {
        self.nodes[&id].remake
    }

    /// The considered instance has a record, and what is needed of its bytes.
    pub(super) fn hit(&mut self, id: InstanceId) {
        self.node(id).remake = false;
        self.settle(id);
    }

    /// What a worker that runs this instance may keep for the next task: told
    /// before `miss`.
    pub(super) fn keeps(&mut self, id: InstanceId, model: Option<Digest>) {
        self.node(id).model = model;
    }

    /// The bytes of this result may go once its consumers are done.
    pub(super) fn temporary(&mut self, id: InstanceId, bytes: u64) {
        self.node(id).temp_bytes = bytes;
    }

    /// The considered instance must run. `lost` are producers whose bytes are
    /// gone; they are made again first.
    pub(super) fn miss(&mut self, id: InstanceId, family: Digest, mark: u64, lost: &[InstanceId]) {
        self.node(id).family = Some((family, mark));
        if lost.is_empty() {
            self.node(id).state = State::Ready;
            if self.running.contains_key(&family) {
                self.parked.entry(family).or_default().push(id);
            } else {
                self.enqueue(id);
            }
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

    /// The considered instance must run and cannot, whatever happens.
    pub(super) fn refuse(&mut self, id: InstanceId) {
        self.fail(&[id]);
    }

    /// The settled instance is executed once more. What waits for its key
    /// goes on; what needs its bytes says so by `miss`.
    pub(super) fn remake(&mut self, id: InstanceId) {
        self.removed(id);
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
        self.room.changed();
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

    /// What an instance takes while it runs.
    pub(super) fn takes(&self, id: InstanceId) -> Amounts {
        self.nodes[&id].takes
    }

    /// Nothing new starts; what runs goes on.
    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    pub(super) fn running(&self) -> usize {
        self.passes.len()
    }

    /// Instances whose next attempt is not due yet.
    pub(super) fn delayed(&self) -> usize {
        self.delayed
    }
}

/// Adds to each node's own time the longest way from its end to the end of all.
fn measure_paths(nodes: &mut BTreeMap<InstanceId, Node>) {
    let ids: Vec<InstanceId> = nodes.keys().rev().copied().collect();
    for id in ids {
        let consumers = nodes[&id].consumers.iter();
        let after = consumers.map(|consumer| nodes[consumer].path).max();
        if let Some(node) = nodes.get_mut(&id) {
            node.path += after.unwrap_or(0);
        }
    }
}

#[cfg(test)]
mod ladder;
#[cfg(test)]
mod random;
#[cfg(test)]
mod tests;
