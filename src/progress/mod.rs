//! Readers of events: live, plain, JSON. They import the engine's events only.
mod json;
mod live;
mod plain;
mod words;

use crate::engine::Event;

pub use json::Json;
pub use live::Live;
pub use plain::Plain;
pub use words::{duration, plural};

/// Someone who watches a run.
pub trait Reader {
    fn see(&mut self, event: &Event);
}
