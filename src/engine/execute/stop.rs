//! Being asked to stop: nothing new starts, what runs is told, and whoever
//! watches hears that it was heard.
use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use crate::engine::{event::Event, execute::Run, executor::Executor};

/// How often a blocked engine looks whether it was asked to stop.
pub(super) const STOP_POLL: Duration = Duration::from_millis(100);

const HEARD: &str = "stopping: what runs ends at its next update; Ctrl-C again ends everything now";

impl Run<'_> {
    pub(super) fn heed_stop(&mut self, executor: &mut dyn Executor, stop: &AtomicBool) {
        if !stop.load(Ordering::Relaxed) || self.totals.interrupted {
            return;
        }
        self.totals.interrupted = true;
        self.schedule.close();
        executor.stop();
        self.voice.say(Event::Warning {
            message: HEARD.to_owned(),
        });
    }
}
