//! Who executes tasks. An executor only obeys: which task and when is the
//! schedule's matter, what a result is worth the engine's.
mod death;
mod inline;
mod perform;
mod pool;

use std::time::Duration;

use anyhow::Result;

use crate::engine::task::{Report, Task};

pub use inline::Inline;
pub use perform::perform;
pub use pool::{Pool, PoolOptions, STOP};

/// Where and how long a task may run.
#[derive(Debug, Clone, Default)]
pub struct Placement {
    /// Which of the workers; none is given two tasks at once.
    pub slot: usize,
    /// The devices that the worker may see; `None` where nobody counts devices.
    pub gpus: Option<Vec<String>>,
    /// Slots whose idle workers must have ended before this one begins.
    pub evict: Vec<usize>,
    /// Wall-clock limit.
    pub limit: Option<Duration>,
}

/// What became of handing over a task.
#[derive(Debug, PartialEq, Eq)]
pub enum Begun {
    Yes,
    /// The system has no process or file descriptor to spare, for this reason.
    NotNow(String),
}

pub trait Executor {
    /// Begins a task.
    ///
    /// # Errors
    /// When the task cannot be handed over at all.
    fn start(&mut self, task: Task, place: Placement) -> Result<Begun>;

    /// The next report, or nothing within `patience`.
    ///
    /// # Errors
    /// When no report can come any more.
    fn wait(&mut self, patience: Duration) -> Result<Option<Report>>;

    /// Asks running tasks to stop at the next update.
    fn stop(&mut self);
}
