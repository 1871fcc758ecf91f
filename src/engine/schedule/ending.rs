//! How passes end: with results, for good, to be tried again, or before they
//! began; and what becomes of instances that never run.
use crate::{
    engine::schedule::{Schedule, node::State},
    pipeline::InstanceId,
};

impl Schedule {
    /// Instances of a running pass that have no result yet.
    pub(in crate::engine) fn unfinished(&self, pass: u64) -> Vec<InstanceId> {
        let members = self.passes.get(&pass).map(|running| running.members.iter());
        let lasting = members.into_iter().flatten().copied();
        lasting
            .filter(|id| self.nodes[id].state == State::Running)
            .collect()
    }

    /// The pass is over; members without a result have failed. Returns those.
    pub(in crate::engine) fn finished(&mut self, pass: u64) -> Vec<InstanceId> {
        let unfinished = self.end(pass);
        self.fail(&unfinished);
        unfinished
    }

    /// The pass is over; members without a result are to be tried again, once
    /// `due` says so. Returns those.
    pub(in crate::engine) fn again(&mut self, pass: u64) -> Vec<InstanceId> {
        let unfinished = self.end(pass);
        for id in &unfinished {
            self.node(*id).state = State::Delayed;
        }
        self.delayed += unfinished.len();
        unfinished
    }

    /// The pass could not begin: its members are ready as before, and no more
    /// passes than now ever run at once.
    pub(in crate::engine) fn put_back(&mut self, pass: u64) {
        for id in self.end(pass) {
            self.node(id).state = State::Ready;
            self.to_consider.push_back(id);
        }
        self.most = self.passes.len().max(1);
    }

    /// Gives back what the pass held; members that did not reach their end.
    pub(super) fn end(&mut self, pass: u64) -> Vec<InstanceId> {
        let unfinished = self.unfinished(pass);
        let Some(over) = self.passes.remove(&pass) else {
            return unfinished;
        };
        self.ledger.give_back(&over.takes);
        let left = over.members.iter().map(|id| self.nodes[id].left).sum();
        self.ledger.leave(left);
        self.room.changed();
        self.slots
            .release(&over.place, over.model.filter(|_| unfinished.is_empty()));
        self.running.remove(&over.family);
        // Others of the family waited; one of the marks may be theirs.
        let waited = self.parked.remove(&over.family).unwrap_or_default();
        self.to_consider.extend(waited);
        unfinished
    }

    /// Delayed instances may be tried again now.
    pub(in crate::engine) fn due(&mut self, ids: &[InstanceId]) {
        for &id in ids {
            if self.node(id).state == State::Delayed {
                self.node(id).state = State::Waiting(0);
                self.to_consider.push_back(id);
                self.delayed -= 1;
            }
        }
    }

    /// These have failed, whatever they waited for.
    pub(in crate::engine) fn fail(&mut self, ids: &[InstanceId]) {
        for &id in ids {
            if self.node(id).state == State::Delayed {
                self.delayed -= 1;
            }
            self.node(id).state = State::Failed;
        }
        self.room.changed();
        if !ids.is_empty() && !self.keep_going {
            self.close();
        }
    }

    /// Nothing runs and these are ready, but the machine lacks what they take.
    pub(in crate::engine) fn starved(&self) -> Vec<InstanceId> {
        if self.closed || !self.passes.is_empty() {
            return Vec::new();
        }
        self.queue.ids()
    }

    /// Takes a ready instance that cannot start out of the queue, as failed.
    pub(in crate::engine) fn give_up(&mut self, id: InstanceId) {
        self.dequeue(id);
        if let Some((family, mark)) = self.nodes[&id].family
            && let Some(members) = self.ready.get_mut(&family)
        {
            members.remove(&(mark, id));
        }
        self.fail(&[id]);
    }

    /// After the last pass: marks and returns what never ran, each with a
    /// producer that failed or was skipped itself, if that is the reason.
    pub(in crate::engine) fn skip_rest(&mut self) -> Vec<(InstanceId, Option<InstanceId>)> {
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
