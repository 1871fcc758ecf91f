//! What happens during a run, for whoever watches. Displays and the JSON Lines
//! stream are readers of this one enum; adding a variant makes each answer.
use serde::Serialize;

/// One thing that happened. Stages are named as selectors name them.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// Before anything else. `run` and `maybe` are what the plan said.
    RunStarted {
        run: String,
        pipeline: String,
        instances: usize,
        cached: usize,
        to_run: usize,
        maybe: usize,
    },
    /// An instance's result was found in the cache.
    Cached {
        stage: String,
        instance: String,
    },
    /// One pass began; `marks` are the wanted values of a progressive parameter.
    Started {
        pass: u64,
        stage: String,
        instance: String,
        marks: Vec<u64>,
        resumed_at: Option<u64>,
        slot: usize,
    },
    Progress {
        pass: u64,
        done: u64,
        total: u64,
        note: String,
    },
    Log {
        pass: u64,
        line: String,
    },
    /// An instance's record is durable.
    Finished {
        pass: u64,
        stage: String,
        instance: String,
        duration_ms: u64,
    },
    /// The pass as a whole is over; `duration_ms` is its wall time.
    PassFinished {
        pass: u64,
        stage: String,
        duration_ms: u64,
    },
    Failed {
        pass: u64,
        stage: String,
        instance: String,
        error: String,
    },
    /// An attempt failed for `reason`; the next one begins after the wait.
    Retrying {
        pass: u64,
        stage: String,
        instance: String,
        /// The attempt that failed, counted from 1.
        attempt: u32,
        /// Further attempts that the stage allows.
        retries: u32,
        reason: String,
        wait_ms: u64,
    },
    /// Not run, since something it needs failed or the run stopped.
    Skipped {
        stage: String,
        instance: String,
        because: String,
    },
    Warning {
        message: String,
    },
    /// Always the last.
    RunFinished(RunTotals),
}

/// The closing line of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct RunTotals {
    pub executed: usize,
    pub cached: usize,
    pub failed: usize,
    pub skipped: usize,
    pub interrupted: bool,
    pub wall_s: f64,
}
