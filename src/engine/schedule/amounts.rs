//! Counted resources: what a pass takes, what there is, what is free. Nothing
//! is ever given out twice. Knows no instance and no order.
//!
//! The disk has two bounds. What a pass takes is held from its start to its end
//! and counts against both. Then its result is on the disk: from then on the
//! bound that is measured, the free space, is smaller by it by itself; against
//! the other, the budget, its bytes count until they are removed.

/// An amount of every counted resource.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::engine) struct Amounts {
    pub(in crate::engine) cpu: u32,
    pub(in crate::engine) gpu: u32,
    pub(in crate::engine) memory_bytes: u64,
    pub(in crate::engine) disk_bytes: u64,
    pub(in crate::engine) network: u32,
}

impl Amounts {
    /// Whether each resource of `self` is covered by that of `other`.
    pub(in crate::engine) fn within(&self, other: &Amounts) -> bool {
        self.cpu <= other.cpu
            && self.gpu <= other.gpu
            && self.memory_bytes <= other.memory_bytes
            && self.disk_bytes <= other.disk_bytes
            && self.network <= other.network
    }

    fn each(
        &self,
        other: &Amounts,
        narrow: fn(u32, u32) -> u32,
        wide: fn(u64, u64) -> u64,
    ) -> Amounts {
        Amounts {
            cpu: narrow(self.cpu, other.cpu),
            gpu: narrow(self.gpu, other.gpu),
            memory_bytes: wide(self.memory_bytes, other.memory_bytes),
            disk_bytes: wide(self.disk_bytes, other.disk_bytes),
            network: narrow(self.network, other.network),
        }
    }
}

/// The totals of a machine and what running passes hold of them.
pub(super) struct Ledger {
    total: Amounts,
    held: Amounts,
    /// What the results of a run and its passes may have on the disk together.
    budget_bytes: u64,
    /// What results have of it.
    left_bytes: u64,
}

impl Ledger {
    pub(super) fn new(total: Amounts) -> Ledger {
        Ledger {
            total,
            held: Amounts::default(),
            budget_bytes: u64::MAX,
            left_bytes: 0,
        }
    }

    pub(super) fn set_budget(&mut self, bytes: u64) {
        self.budget_bytes = bytes;
    }

    /// What nobody holds. More may be held than there is, once the disk has
    /// filled up meanwhile: then none is free.
    pub(super) fn free(&self) -> Amounts {
        let free = self
            .total
            .each(&self.held, u32::saturating_sub, u64::saturating_sub);
        let held = self.held.disk_bytes.saturating_add(self.left_bytes);
        let allowed = self.budget_bytes.saturating_sub(held);
        Amounts {
            disk_bytes: free.disk_bytes.min(allowed),
            ..free
        }
    }

    /// Bytes of the budget that results and running passes have.
    pub(super) fn of_budget(&self) -> u64 {
        self.held.disk_bytes.saturating_add(self.left_bytes)
    }

    /// A result has come to the disk.
    pub(super) fn leave(&mut self, bytes: u64) {
        self.left_bytes = self.left_bytes.saturating_add(bytes);
    }

    /// A result has gone from it.
    pub(super) fn remove(&mut self, bytes: u64) {
        self.left_bytes = self.left_bytes.saturating_sub(bytes);
    }

    pub(super) fn take(&mut self, amounts: &Amounts) {
        self.held = self
            .held
            .each(amounts, u32::saturating_add, u64::saturating_add);
    }

    pub(super) fn give_back(&mut self, amounts: &Amounts) {
        self.held = self
            .held
            .each(amounts, u32::saturating_sub, u64::saturating_sub);
    }

    /// The disk has now so much room. What running passes have written of
    /// their share, other than downloads, is counted twice until they end,
    /// never too little.
    pub(super) fn set_disk(&mut self, free_bytes: u64) {
        self.total.disk_bytes = free_bytes;
    }
}
