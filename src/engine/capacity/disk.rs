//! How much disk instances need, and what is said where it is not there.
use crate::{
    engine::{
        capacity::{Capacity, bytes},
        externals::Externals,
        graph::Graph,
        plan::Plan,
        schedule::Short,
    },
    pipeline::{InstanceId, Pipeline},
};

/// What a kind writes beside the files that it downloads, at most.
const BESIDE_BYTES: u64 = 4096;

/// Bytes while an instance runs: what its stage asks for, and at least what it
/// downloads, where that is known.
pub(in crate::engine) fn disk_needs(
    pipeline: &Pipeline,
    externals: &Externals,
    id: InstanceId,
) -> u64 {
    let asked = pipeline.stage_of(id).execution.resources.disk_bytes;
    asked.max(downloaded(externals, id))
}

/// Bytes that an instance probably leaves. Of what is not downloaded only the
/// temporary is foretold: all that it needs.
pub(in crate::engine) fn disk_leaves(
    pipeline: &Pipeline,
    externals: &Externals,
    id: InstanceId,
) -> u64 {
    match downloaded(externals, id) {
        0 if pipeline.stage_of(id).execution.temp => disk_needs(pipeline, externals, id),
        known => known,
    }
}

fn downloaded(externals: &Externals, id: InstanceId) -> u64 {
    match externals.of(id).download_bytes {
        0 => 0,
        download => download.saturating_add(BESIDE_BYTES),
    }
}

impl Capacity {
    /// What is said if the disk cannot hold what must be there together.
    pub(super) fn disk_refusal(
        &self,
        (pipeline, graph, externals): (&Pipeline, &Graph, &Externals),
        plan: &Plan,
    ) -> Option<String> {
        let needs = |id| disk_needs(pipeline, externals, id);
        if plan.entries.iter().all(|entry| needs(entry.id) == 0) {
            return None;
        }
        let (outlook, stands, held) = plan.outlook((pipeline, graph, externals));
        let free = i128::from(self.disk_bytes);
        let allowed = i128::from(self.budget_bytes) - i128::from(held);
        let short = outlook.walk(&stands, free.min(allowed)).short?;
        let least = held.saturating_add(outlook.walk(&stands, i128::MAX).peak);
        let stage = &pipeline.stage_of(short.id).name;
        if allowed < free {
            let beside = beside(pipeline, &short, held.saturating_add(short.beside));
            return Some(format!(
                "`{stage}` asks for {} of disk{beside}, --disk allows {}: allow {} or more",
                bytes(short.needs),
                bytes(self.budget_bytes),
                bytes(least),
            ));
        }
        Some(format!(
            "`{stage}` asks for {} of free disk{}, this machine has {}: free some, for example with \
             `vgh cache gc`",
            bytes(short.needs),
            beside(pipeline, &short, short.beside),
            bytes(self.disk_bytes),
        ))
    }

    /// Why an instance that takes so much disk cannot start although nothing
    /// runs. `held` of the budget is in use, `free` is free on the disk.
    pub(in crate::engine) fn disk_lack(&self, needs: u64, held: u64, free: u64) -> Option<String> {
        let allowed = self.budget_bytes.saturating_sub(held);
        if needs <= allowed.min(free) {
            return None;
        }
        Some(if allowed < free {
            format!(
                "asks for {} of disk, --disk allows {} and {} of that are in use: allow more",
                bytes(needs),
                bytes(self.budget_bytes),
                bytes(held)
            )
        } else {
            format!(
                "asks for {} of free disk, this machine has {}: free some, for example with \
                 `vgh cache gc`",
                bytes(needs),
                bytes(free)
            )
        })
    }
}

/// ` beside 14 GB that `pairs` waits for`; nothing where nothing else is there.
fn beside(pipeline: &Pipeline, short: &Short, held: u64) -> String {
    if held == 0 {
        return String::new();
    }
    let held = bytes(held);
    match short.reader {
        Some(reader) => {
            let reader = &pipeline.stage_of(reader).name;
            format!(" beside {held} that `{reader}` waits for")
        }
        None => format!(" beside {held} of other results"),
    }
}
