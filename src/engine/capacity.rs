//! What a machine has of the counted resources, and who asks for more than
//! that. Detects nothing: whoever starts a run says what there is.
mod disk;

use crate::{
    engine::{
        externals::Externals,
        graph::Graph,
        plan::{Plan, State},
        schedule::Amounts,
    },
    pipeline::{InstanceId, Pipeline},
};

pub(super) use disk::{disk_leaves, disk_needs};

/// What passes may take together; processors are counted by `jobs`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capacity {
    /// Devices as `CUDA_VISIBLE_DEVICES` names them.
    pub gpus: Vec<String>,
    pub memory_bytes: u64,
    /// Space that the run may fill where the cache is.
    pub disk_bytes: u64,
    /// What passes and the results that count may have of it together.
    pub budget_bytes: u64,
    /// Stages that use the network at once.
    pub network: u32,
}

impl Capacity {
    /// A machine without devices whose memory and disk nobody counts.
    pub fn uncounted() -> Capacity {
        Capacity {
            gpus: Vec::new(),
            memory_bytes: u64::MAX,
            disk_bytes: u64::MAX,
            budget_bytes: u64::MAX,
            network: 1,
        }
    }

    pub(super) fn total(&self, jobs: u32) -> Amounts {
        Amounts {
            cpu: jobs,
            gpu: self.gpus.len() as u32,
            memory_bytes: self.memory_bytes,
            disk_bytes: self.disk_bytes,
            network: self.network,
        }
    }

    /// What an instance takes while it runs: what its stage asks for, a device
    /// if it computes on one and this machine has any, and room for what it
    /// downloads.
    pub(super) fn takes(
        &self,
        (pipeline, externals): (&Pipeline, &Externals),
        id: InstanceId,
    ) -> Amounts {
        let asked = &pipeline.stage_of(id).execution.resources;
        let device = pipeline.instance(id).params.get("device");
        let computes_there = device.is_some_and(|device| device == "cuda");
        Amounts {
            cpu: asked.cpu,
            gpu: asked
                .gpu
                .max(u32::from(computes_there && !self.gpus.is_empty())),
            memory_bytes: asked.memory_bytes,
            disk_bytes: disk_needs(pipeline, externals, id),
            network: asked.network,
        }
    }

    /// What `takes` asks for beyond `there`, in words, with what there is. Not of the
    /// disk, whose room comes and goes: see [`Capacity::disk_lack`].
    pub(super) fn lack(takes: &Amounts, there: &Amounts) -> Option<String> {
        let count = |asked: u32, has: u32, noun: &str| {
            (asked > has).then(|| format!("asks for {asked} {noun}, this machine has {has}"))
        };
        let size = |asked: u64, has: u64, noun: &str| {
            let words = || {
                format!(
                    "asks for {} of {noun}, this machine has {}",
                    bytes(asked),
                    bytes(has)
                )
            };
            (asked > has).then(words)
        };
        count(takes.gpu, there.gpu, "gpu")
            .or_else(|| size(takes.memory_bytes, there.memory_bytes, "memory"))
            .or_else(|| count(takes.network, there.network, "network slots"))
    }

    /// One line for each stage that is planned to run and asks for more than
    /// there is, and one if the disk cannot hold what must be there together:
    /// nothing should start then. Processors are cut to what there is. What may
    /// yet turn out to be cached is not refused.
    pub fn refusals(
        &self,
        (pipeline, graph, externals): (&Pipeline, &Graph, &Externals),
        plan: &Plan,
    ) -> Vec<String> {
        let there = self.total(u32::MAX);
        let runs = plan
            .entries
            .iter()
            .filter(|entry| matches!(entry.state, State::Run(_)));
        let mut lines: Vec<String> = Vec::new();
        for entry in runs {
            let takes = self.takes((pipeline, externals), entry.id);
            if let Some(lack) = Capacity::lack(&takes, &there) {
                let line = format!("`{}` {lack}", pipeline.stage_of(entry.id).name);
                if !lines.contains(&line) {
                    lines.push(line);
                }
            }
        }
        lines.extend(self.disk_refusal((pipeline, graph, externals), plan));
        lines
    }
}

/// `4 GiB`, `1.5 GiB`, `500 MB`, `17 bytes`, `5.94 GB (5939709084 bytes)`: exact, so that what
/// differs reads differently.
fn bytes(count: u64) -> String {
    const UNITS: [(&str, u64); 6] = [
        ("TiB", 1 << 40),
        ("GiB", 1 << 30),
        ("MiB", 1 << 20),
        ("GB", 1_000_000_000),
        ("MB", 1_000_000),
        ("kB", 1000),
    ];
    let tenth = |unit: &u64| count >= *unit && (u128::from(count) * 10) % u128::from(*unit) == 0;
    match UNITS.iter().find(|(_, unit)| tenth(unit)) {
        Some((name, unit)) => format!("{} {name}", count as f64 / *unit as f64),
        None if count < 1_000_000 => format!("{count} bytes"),
        None if count < 1_000_000_000 => format!("{:.1} MB ({count} bytes)", count as f64 / 1e6),
        None => format!("{:.2} GB ({count} bytes)", count as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_read_exactly() {
        let said = [4 << 30, 3 << 29, 500_000_000, 17, (1 << 30) + 1].map(bytes);
        assert_eq!(
            said,
            [
                "4 GiB",
                "1.5 GiB",
                "500 MB",
                "17 bytes",
                "1.07 GB (1073741825 bytes)"
            ]
        );
    }

    #[test]
    fn what_lacks_is_named_with_what_there_is() {
        let machine = Capacity {
            gpus: vec!["0".to_owned()],
            memory_bytes: 2 << 30,
            ..Capacity::uncounted()
        };
        let lack = |takes: Amounts| Capacity::lack(&takes, &machine.total(2));
        let none = Amounts::default();
        assert_eq!(lack(Amounts { cpu: 2, ..none }), None);
        assert_eq!(
            lack(Amounts { gpu: 2, ..none }).unwrap(),
            "asks for 2 gpu, this machine has 1"
        );
        let memory_bytes = 4 << 30;
        assert_eq!(
            lack(Amounts {
                memory_bytes,
                ..none
            })
            .unwrap(),
            "asks for 4 GiB of memory, this machine has 2 GiB"
        );
        assert_eq!(
            lack(Amounts { network: 9, ..none }).unwrap(),
            "asks for 9 network slots, this machine has 1"
        );
    }
}
