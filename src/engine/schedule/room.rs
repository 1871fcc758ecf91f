//! Disk over the length of a run: what results hold after their pass, and who
//! may start so that nobody waits for ever.
//!
//! A result that counts (temporary, or of a stage that asks for disk) has its
//! bytes from the end of its pass until it is removed; see `amounts` for the
//! two bounds. Two that hold and wait for each other's room would wait for
//! ever. So what needs disk starts only if afterwards all that is to come still
//! fits, one after another in the order of [`Outlook`]: then the first of that
//! order can always go on once nothing runs. Everything else is prefetching.
//! Sizes are foretold; where they were told too small, the first of the order
//! goes on as long as it fits at all ([`Schedule::press`]).
use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::{
    engine::schedule::{
        NodeSpec, Schedule,
        node::{Node, State},
        outlook::{Item, Outlook, Stand},
    },
    pipeline::InstanceId,
};

/// What is known of the disk beyond the present.
pub(super) struct Room {
    outlook: Outlook,
    /// Instances whose bytes go, and that ask for disk.
    ladder: Vec<InstanceId>,
    /// Whether a start leaves a way on, as found since the last change.
    verdicts: HashMap<InstanceId, bool>,
    /// Starts next, alone.
    pressed: Option<InstanceId>,
}

impl Room {
    pub(super) fn new(specs: &[NodeSpec]) -> Room {
        // Stands are given by id.
        debug_assert!(specs.is_sorted_by_key(|spec| spec.id));
        let at: HashMap<InstanceId, usize> = specs
            .iter()
            .enumerate()
            .map(|(at, spec)| (spec.id, at))
            .collect();
        let item = |spec: &NodeSpec| Item {
            id: spec.id,
            needs: spec.takes.disk_bytes,
            leaves: spec.leaves.min(spec.takes.disk_bytes),
            temp: spec.temp,
            producers: spec.producers.iter().map(|id| at[id]).collect(),
        };
        let ladder = specs.iter().filter(|spec| spec.temp && spec.leaves > 0);
        Room {
            ladder: ladder.map(|spec| spec.id).collect(),
            outlook: Outlook::new(specs.iter().map(item).collect()),
            verdicts: HashMap::new(),
            pressed: None,
        }
    }

    /// Temporary bytes are made in the order of the file, whatever hangs on them.
    pub(super) fn in_order(&self, nodes: &mut BTreeMap<InstanceId, Node>) {
        let paths = self.ladder.iter().map(|id| nodes[id].path);
        let longest = paths.max().unwrap_or(0);
        for id in &self.ladder {
            if let Some(node) = nodes.get_mut(id) {
                node.path = longest;
            }
        }
    }

    /// What was found of starts holds no longer.
    pub(super) fn changed(&mut self) {
        self.verdicts.clear();
    }
}

impl Schedule {
    /// Bounds what results and passes may have of the disk together.
    pub(in crate::engine) fn with_budget(mut self, bytes: u64) -> Schedule {
        self.ledger.set_budget(bytes);
        self
    }

    /// The instance that is to start now, if any can.
    pub(super) fn choose(&mut self) -> Option<InstanceId> {
        if self.room.pressed.is_some() {
            return self.room.pressed;
        }
        let mut verdicts = std::mem::take(&mut self.room.verdicts);
        let may = |id| {
            let verdict = || !self.safe_members(id).is_empty();
            *verdicts.entry(id).or_insert_with(verdict)
        };
        let best = self
            .queue
            .best(&self.ledger.free(), &self.slots.kept(), may);
        self.room.verdicts = verdicts;
        best
    }

    /// Who runs in the pass of this instance, and the disk that the pass takes:
    /// all of its family that are ready, where there is room for all of them.
    pub(super) fn together(&mut self, id: InstanceId) -> Option<(Vec<InstanceId>, u64)> {
        let pressed = self.room.pressed.take();
        self.room.changed();
        let members = match pressed {
            Some(id) => vec![id],
            None if self.needs_disk(id) => self.safe_members(id),
            None => {
                let mut ready = self.ready_with(id);
                ready.retain(|id| !self.needs_disk(*id));
                ready
            }
        };
        let bytes = self.pass_needs(id, &members);
        (!members.is_empty()).then_some((members, bytes))
    }

    fn needs_disk(&self, id: InstanceId) -> bool {
        self.nodes[&id].takes.disk_bytes > 0
    }

    fn ready_with(&self, id: InstanceId) -> Vec<InstanceId> {
        let family = self.nodes[&id].family;
        let ready = family.and_then(|(family, _)| self.ready.get(&family));
        ready.into_iter().flatten().map(|(_, id)| *id).collect()
    }

    fn pass_needs(&self, id: InstanceId, members: &[InstanceId]) -> u64 {
        let leaves = members.iter().map(|id| self.nodes[id].leaves);
        let leaves = leaves.fold(0, u64::saturating_add);
        self.nodes[&id].takes.disk_bytes.max(leaves)
    }

    /// Who may start with this instance so that there is a way on; none if it
    /// may not start at all.
    fn safe_members(&self, id: InstanceId) -> Vec<InstanceId> {
        let free = self.ledger.free().disk_bytes;
        let all = self.ready_with(id);
        let safe = |members: &[InstanceId]| {
            self.pass_needs(id, members) <= free && self.leaves_a_way(members, free)
        };
        if safe(&all) {
            return all;
        }
        if all.len() > 1 && safe(&[id]) {
            return vec![id];
        }
        Vec::new()
    }

    fn leaves_a_way(&self, starting: &[InstanceId], free: u64) -> bool {
        let (stands, used) = self.stands(starting);
        self.room.outlook.fits(&stands, i128::from(free) - used)
    }

    /// How far everything is once all that runs and these are done, and how
    /// many bytes less are free then.
    fn stands(&self, starting: &[InstanceId]) -> (Vec<Stand>, i128) {
        let stand = |(id, node): (&InstanceId, &Node)| match node.state {
            State::Settled => Stand::Done(node.left),
            State::Failed | State::Skipped => Stand::Never,
            State::Running => Stand::Done(node.leaves),
            _ if starting.contains(id) => Stand::Done(node.leaves),
            _ => Stand::Open,
        };
        let leaves = |id: &InstanceId| match &self.nodes[id] {
            node if node.state == State::Running => i128::from(node.leaves),
            node => i128::from(node.left),
        };
        let mut used: i128 = 0;
        for pass in self.passes.values() {
            used += pass.members.iter().map(leaves).sum::<i128>();
            used -= i128::from(pass.takes.disk_bytes);
        }
        let starting = starting.iter();
        used += starting
            .map(|id| i128::from(self.nodes[id].leaves))
            .sum::<i128>();
        (self.nodes.iter().map(stand).collect(), used)
    }

    /// Nothing runs and nothing starts, since foretold sizes leave no way on:
    /// the first that fits goes on nevertheless. False if none fits.
    pub(in crate::engine) fn press(&mut self) -> bool {
        let (stands, _) = self.stands(&[]);
        let order = self.room.outlook.walk(&stands, i128::MAX).order;
        let free = self.ledger.free();
        let fits = |id: &InstanceId| {
            let node = &self.nodes[id];
            node.queued.is_some() && node.takes.within(&free)
        };
        self.room.pressed = order.into_iter().find(fits);
        self.room.pressed.is_some()
    }

    /// The result of an instance has so many bytes on the disk. Of a running
    /// pass that is covered by what the pass takes, until it ends.
    pub(in crate::engine) fn leave(&mut self, id: InstanceId, bytes: u64) {
        let before = std::mem::replace(&mut self.node(id).left, bytes);
        if !self.in_pass(id) {
            self.ledger.remove(before);
            self.ledger.leave(bytes);
        }
        self.room.changed();
    }

    /// The bytes of a result are gone from the disk.
    pub(in crate::engine) fn removed(&mut self, id: InstanceId) {
        let bytes = std::mem::take(&mut self.node(id).left);
        if bytes > 0 && !self.in_pass(id) {
            self.ledger.remove(bytes);
        }
        self.room.changed();
    }

    /// Whether it has bytes on the disk that count.
    pub(in crate::engine) fn holds(&self, id: InstanceId) -> bool {
        self.nodes[&id].left > 0
    }

    fn in_pass(&self, id: InstanceId) -> bool {
        self.passes.values().any(|pass| pass.members.contains(&id))
    }

    /// The disk has now so much room.
    pub(in crate::engine) fn set_disk(&mut self, free_bytes: u64) {
        self.ledger.set_disk(free_bytes);
        self.room.changed();
    }

    /// Bytes of the budget that results and running passes have.
    pub(in crate::engine) fn of_budget(&self) -> u64 {
        self.ledger.of_budget()
    }

    /// What has failed or will never have what it needs.
    pub(in crate::engine) fn hopeless(&self) -> BTreeSet<InstanceId> {
        let mut hopeless = BTreeSet::new();
        for (id, node) in &self.nodes {
            let failed = matches!(node.state, State::Failed | State::Skipped);
            let mut producers = node.producers.iter();
            if failed || producers.any(|producer| hopeless.contains(producer)) {
                hopeless.insert(*id);
            }
        }
        hopeless
    }
}
