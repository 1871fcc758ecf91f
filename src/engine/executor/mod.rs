//! Who executes tasks. An executor only obeys: which task and when is the
//! schedule's matter, what a result is worth the engine's.
mod inline;
mod perform;
mod pool;

use std::time::Duration;

use anyhow::Result;

use crate::engine::task::{Report, Task};

pub use inline::Inline;
pub use perform::perform;
pub use pool::{Pool, PoolOptions, STOP};

pub trait Executor {
    /// Begins a task; returns the slot that it occupies, for displays.
    ///
    /// # Errors
    /// When the task cannot be handed over at all.
    fn start(&mut self, task: Task) -> Result<usize>;

    /// The next report, or nothing within `patience`.
    ///
    /// # Errors
    /// When no report can come any more.
    fn wait(&mut self, patience: Duration) -> Result<Option<Report>>;

    /// Asks running tasks to stop at the next update.
    fn stop(&mut self);
}
