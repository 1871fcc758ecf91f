//! What the engine tells an executor, and what it hears back: the form that
//! crosses the pipe to a worker, one JSON object a line.
use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    artifact::Coords,
    cache::Content,
    digest::Digest,
    stage::{Foreign, Pinned, Unit},
};

/// One pass of one stage: an instance, or the wanted marks of a family.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    pub id: u64,
    pub kind: String,
    /// All parameters; the progressive one has the last mark's value.
    pub params: Value,
    pub inputs: BTreeMap<String, Vec<TaskInput>>,
    pub externals: BTreeMap<String, PathBuf>,
    /// What references stand for, by parameter.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub references: BTreeMap<String, Pinned>,
    /// For kinds that run a foreign program.
    pub foreign: Option<Foreign>,
    /// Wanted values of the progressive parameter, ascending; empty for kinds without.
    pub marks: Vec<u64>,
    pub resume: Option<TaskResume>,
    /// Where resume state is filed; `None` keeps none.
    pub snapshots: Option<Digest>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskInput {
    pub coords: Coords,
    pub content: Content,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskResume {
    pub mark: u64,
    pub folder: PathBuf,
}

/// What an attempt cost.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Usage {
    pub started: String,
    pub duration_ms: u64,
    /// The most memory of the process that computed, since it began; of a foreign
    /// program, of the largest process, and none where its worker had as much.
    pub peak_rss_bytes: Option<u64>,
    pub host: String,
    pub device: String,
    pub instruction_set: String,
    /// The environment that a foreign program was given, secrets left out.
    pub environment: BTreeMap<String, String>,
}

/// A task's life, in order: any number of the first four, one of the rest.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "report", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Report {
    Progress {
        task: u64,
        done: u64,
        total: u64,
        unit: Unit,
        note: String,
    },
    Log {
        task: u64,
        line: String,
    },
    /// A mark before the last has been reached and its bytes are safe.
    Reached {
        task: u64,
        mark: u64,
        outputs: BTreeMap<String, Content>,
        usage: Usage,
    },
    Finished {
        task: u64,
        outputs: BTreeMap<String, Content>,
        usage: Usage,
    },
    Failed {
        task: u64,
        error: String,
    },
    /// The task gave up because the run is being stopped.
    Stopped {
        task: u64,
    },
}

impl Report {
    /// Whether it ends its task.
    pub fn is_last(&self) -> bool {
        match self {
            Report::Progress { .. } | Report::Log { .. } | Report::Reached { .. } => false,
            Report::Finished { .. } | Report::Failed { .. } | Report::Stopped { .. } => true,
        }
    }
}
