//! One remembered file: its digest, and what `stat` said of it when it was
//! hashed. Whether to believe that is decided here (see `stat`).
use crate::{cache::read::Stamp, digest::Digest};

/// The coarsest tick of a file system in use (FAT: two seconds), in nanoseconds.
const TICK_NS: i64 = 2_000_000_000;
/// One remembered file. Times in nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) digest: Digest,
    pub(super) size: u64,
    pub(super) modified_ns: i64,
    pub(super) changed_ns: i64,
    pub(super) inode: u64,
    /// Taken before the first byte was read.
    pub(super) hashed_ns: i64,
}

impl Entry {
    pub(super) fn new(digest: Digest, stamp: &Stamp, hashed_ns: i64) -> Entry {
        Entry {
            digest,
            size: stamp.size,
            modified_ns: stamp.modified_ns,
            changed_ns: stamp.changed_ns,
            inode: stamp.inode,
            hashed_ns,
        }
    }

    pub(super) fn holds(&self, now: &Stamp) -> bool {
        *self == Entry::new(self.digest, now, self.hashed_ns) && self.is_settled()
    }

    /// What `stat` said when it was hashed, if a later change would show. Of the
    /// device nothing is remembered.
    pub(super) fn believed(&self) -> Option<Stamp> {
        let stamp = Stamp {
            device: 0,
            inode: self.inode,
            size: self.size,
            modified_ns: self.modified_ns,
            changed_ns: self.changed_ns,
        };
        self.is_settled().then_some(stamp)
    }

    /// Whether a later change would show in the file's times.
    fn is_settled(&self) -> bool {
        let settled = self.hashed_ns.saturating_sub(TICK_NS);
        self.modified_ns < settled && self.changed_ns < settled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_within_a_tick_of_the_hash_or_later_are_not_believed() {
        let stamp = Stamp {
            device: 1,
            inode: 2,
            size: 3,
            modified_ns: 10 * TICK_NS,
            changed_ns: 10 * TICK_NS,
        };
        let entry = |hashed_ns| Entry::new(Digest::of(b""), &stamp, hashed_ns);
        assert!(entry(11 * TICK_NS + 1).holds(&stamp));
        for hashed in [i64::MIN, 0, 9 * TICK_NS, 10 * TICK_NS, 11 * TICK_NS] {
            assert!(!entry(hashed).holds(&stamp), "{hashed}");
        }
        let good = entry(20 * TICK_NS);
        assert!(!good.holds(&Stamp { size: 4, ..stamp }));
        assert!(!good.holds(&Stamp { inode: 4, ..stamp }));
        assert!(!good.holds(&Stamp {
            modified_ns: 4,
            ..stamp
        }));
        assert!(!good.holds(&Stamp {
            changed_ns: 4,
            ..stamp
        }));
    }
}
