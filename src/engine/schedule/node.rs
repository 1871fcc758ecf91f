//! One instance as the schedule sees it. Decides nothing.
use crate::{
    digest::Digest,
    engine::schedule::{NodeSpec, amounts::Amounts, queue::Rank},
    pipeline::InstanceId,
};

/// See the header of [`crate::engine::schedule`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Waiting(usize),
    Considered,
    Ready,
    Lacking(usize),
    Running,
    Delayed,
    Elsewhere,
    Settled,
    Failed,
    Skipped,
}

pub(super) struct Node {
    pub(super) state: State,
    pub(super) producers: Vec<InstanceId>,
    pub(super) consumers: Vec<InstanceId>,
    /// Longer chains first.
    pub(super) path: u64,
    pub(super) takes: Amounts,
    pub(super) family: Option<(Digest, u64)>,
    /// What a worker may keep of it for the next task.
    pub(super) model: Option<Digest>,
    /// Its place in the queue while it is there.
    pub(super) queued: Option<Rank>,
    /// Must be executed even if there is a record: its bytes are lost.
    pub(super) remake: bool,
    /// Its consumers know that it has settled; remaking it tells them nothing new.
    pub(super) counted: bool,
    /// Consumers in `Lacking` that wait for this one's bytes.
    pub(super) lacking: Vec<InstanceId>,
    /// Bytes that may go once nothing needs them, when they are known.
    pub(super) temp_bytes: u64,
    /// Bytes that it probably leaves on the disk.
    pub(super) leaves: u64,
    /// Bytes of its result that are on the disk and count there.
    pub(super) left: u64,
}

impl Node {
    pub(super) fn new(spec: NodeSpec, takes: Amounts) -> Node {
        let NodeSpec {
            producers,
            weight,
            leaves,
            ..
        } = spec;
        Node {
            state: State::Waiting(producers.len()),
            producers,
            consumers: Vec::new(),
            path: weight.max(1),
            takes,
            family: None,
            model: None,
            queued: None,
            remake: false,
            counted: false,
            lacking: Vec::new(),
            temp_bytes: 0,
            leaves,
            left: 0,
        }
    }
}
