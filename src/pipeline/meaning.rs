//! A pipeline as meant: every stage and instance with its parameters settled
//! and its inputs bound. Plain data; the engine starts from here.
use std::{collections::BTreeMap, ops::Range, path::PathBuf, sync::Arc};

use serde_json::Value;

use crate::{
    artifact::{Coords, Scalar},
    pipeline::lock::Lock,
    stage::{Action, InputPort, Kind, OutputPort},
};

/// The position of an instance in [`Pipeline::instances`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceId(pub usize);

pub struct Pipeline {
    pub name: String,
    /// The text as it was read, for the report and the run's folder.
    pub text: String,
    /// What faults call the text; none for none.
    pub(super) shown: Option<String>,
    /// Values of `--set`.
    pub(super) overrides: Vec<String>,
    /// Relative externals start here: the folder of the file.
    pub folder: PathBuf,
    pub axes: Vec<Axis>,
    /// In an order in which producers come before consumers.
    pub stages: Vec<StageMeaning>,
    /// Stage by stage in the order of `stages`; within a stage sorted by
    /// coordinates, the axes taken in the order of the stage's `over`.
    pub instances: Vec<Instance>,
    /// What its references to a hub stand for, as far as that is known.
    pub lock: Lock,
}

pub struct Axis {
    pub name: String,
    /// As written: reordering them changes no result.
    pub values: Vec<Scalar>,
}

pub struct StageMeaning {
    pub name: String,
    pub kind: &'static Kind,
    /// The kind's outputs, or those that the text names.
    pub outputs: Vec<&'static OutputPort>,
    pub over: Vec<String>,
    pub execution: Execution,
    pub instances: Range<usize>,
}

pub struct Instance {
    /// Position in [`Pipeline::stages`].
    pub stage: usize,
    pub coords: Coords,
    pub action: Arc<dyn Action>,
    /// [`Action::params`], taken once.
    pub params: Arc<Value>,
    pub inputs: Vec<Input>,
}

/// What is connected to one input port.
pub struct Input {
    pub port: &'static InputPort,
    /// Sorted by coordinates.
    pub sources: Vec<InputSource>,
}

pub struct InputSource {
    pub instance: InstanceId,
    pub output: &'static OutputPort,
    /// The coordinates along the gathered axes; empty on a port that takes one.
    pub coords: Coords,
}

/// How a stage is executed. Never in a key.
#[derive(Debug, Clone, PartialEq)]
pub struct Execution {
    pub resources: Resources,
    /// Further attempts after a failure.
    pub retries: u32,
    /// Whether the bytes may go once their last consumer is done.
    pub temp: bool,
    pub snapshots: Snapshots,
    /// Whether results are copied to the folder for people.
    pub publish: bool,
}

impl Default for Execution {
    fn default() -> Execution {
        Execution {
            resources: Resources::default(),
            retries: 0,
            temp: false,
            snapshots: Snapshots::Last,
            publish: true,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Resources {
    pub cpu: u32,
    pub gpu: u32,
    pub memory_bytes: u64,
    pub disk_bytes: u64,
    pub network: u32,
    /// Wall-clock limit of one attempt.
    pub time_s: Option<f64>,
}

impl Default for Resources {
    fn default() -> Resources {
        Resources {
            cpu: 1,
            gpu: 0,
            memory_bytes: 0,
            disk_bytes: 0,
            network: 0,
            time_s: None,
        }
    }
}

/// Which resume states a progressive stage keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Snapshots {
    Last,
    None,
}

impl StageMeaning {
    pub fn output(&self, name: &str) -> Option<&'static OutputPort> {
        self.outputs.iter().copied().find(|port| port.name == name)
    }
}

impl Pipeline {
    pub fn instance(&self, id: InstanceId) -> &Instance {
        &self.instances[id.0]
    }

    pub fn stage_of(&self, id: InstanceId) -> &StageMeaning {
        &self.stages[self.instance(id).stage]
    }

    /// `grpo@budget=30,lr=1e-4`: how people and selectors name an instance.
    pub fn label(&self, id: InstanceId) -> String {
        let coords = crate::artifact::show_coords(&self.instance(id).coords);
        let name = &self.stage_of(id).name;
        if coords.is_empty() {
            name.clone()
        } else {
            format!("{name}@{coords}")
        }
    }

    pub fn stage_named(&self, name: &str) -> Option<&StageMeaning> {
        self.stages.iter().find(|stage| stage.name == name)
    }

    pub fn ids(&self) -> impl Iterator<Item = InstanceId> + use<> {
        (0..self.instances.len()).map(InstanceId)
    }

    /// Instances by stage name, for displays.
    pub fn counts(&self) -> BTreeMap<&str, usize> {
        self.stages
            .iter()
            .map(|stage| (stage.name.as_str(), stage.instances.len()))
            .collect()
    }
}
