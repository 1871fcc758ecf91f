//! What watchers are told, and when: a stage is said to be finished only when
//! its record is on the disk. Results that come close together are synced
//! together, and whatever happens meanwhile is told after them, in its order.
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::engine::{event::Event, execute::Run};

/// How long a result waits for company.
const PATIENCE: Duration = Duration::from_millis(100);
/// Events that wait at most.
const MOST: usize = 512;

pub(super) struct Voice<'a> {
    watch: &'a mut dyn FnMut(Event),
    unsaid: Vec<Event>,
    /// When the first of them happened.
    since: Instant,
}

impl<'a> Voice<'a> {
    pub(super) fn new(watch: &'a mut dyn FnMut(Event)) -> Voice<'a> {
        Voice {
            watch,
            unsaid: Vec::new(),
            since: Instant::now(),
        }
    }

    pub(super) fn say(&mut self, event: Event) {
        let first = self.unsaid.is_empty();
        if first && !matches!(event, Event::Finished { .. }) {
            (self.watch)(event);
            return;
        }
        if first {
            self.since = Instant::now();
        }
        self.unsaid.push(event);
    }

    fn is_due(&self) -> bool {
        self.unsaid.len() >= MOST || (!self.unsaid.is_empty() && self.since.elapsed() >= PATIENCE)
    }

    /// How long the engine may wait before it looks here again.
    fn patience(&self) -> Duration {
        if self.unsaid.is_empty() {
            Duration::MAX
        } else {
            PATIENCE.saturating_sub(self.since.elapsed())
        }
    }
}

impl Run<'_> {
    /// Syncs what was recorded, and tells of it.
    pub(super) fn make_durable(&mut self) -> Result<()> {
        self.cache.sync()?;
        for event in self.voice.unsaid.drain(..) {
            (self.voice.watch)(event);
        }
        Ok(())
    }

    /// The same, once it is time.
    pub(super) fn make_durable_in_time(&mut self) -> Result<()> {
        if self.voice.is_due() {
            return self.make_durable();
        }
        Ok(())
    }

    /// How long the engine may wait for something to happen, `longest` at most.
    pub(super) fn until_durable(&self, longest: Duration) -> Duration {
        self.voice.patience().min(longest)
    }
}
