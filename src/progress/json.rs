//! Events as JSON Lines, one object a line, for programs.
use std::io::Write;

use crate::{
    engine::{Event, EventLine, Moment},
    progress::Reader,
};

pub struct Json<W: Write> {
    out: W,
}

impl<W: Write> Json<W> {
    pub fn new(out: W) -> Json<W> {
        Json { out }
    }
}

impl<W: Write> Reader for Json<W> {
    /// A reader that is gone must not stop a run: what cannot be written is dropped.
    fn see(&mut self, event: &Event, at: Moment) {
        if let Ok(mut line) = serde_json::to_vec(&EventLine { event, at }) {
            line.push(b'\n');
            let _ = self.out.write_all(&line);
            if !matches!(event, Event::Progress { .. } | Event::Cached { .. }) {
                let _ = self.out.flush();
            }
        }
    }
}
