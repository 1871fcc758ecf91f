//! Readers of events: live, plain, JSON, and the tally that displays and
//! `vgh status` speak from. They import the engine's events only.
mod eta;
mod json;
mod live;
mod pace;
mod plain;
mod tally;
mod words;

use crate::engine::{Event, Moment};

pub use eta::Left;
pub use json::Json;
pub use live::Live;
pub use plain::Plain;
pub use tally::{Failure, Running, StageTally, Tally, log_name};
pub use words::{ago, amount, duration, plural};

/// Someone who watches a run.
pub trait Reader {
    /// `at` is when the event was told.
    fn see(&mut self, event: &Event, at: Moment);
}
