//! Events as JSON Lines, one object a line, for programs.
use std::io::{self, Write};

use crate::{
    engine::{Event, EventLine, Moment},
    progress::Reader,
};

pub struct Json<W: Write> {
    out: W,
    /// The last moment and how it is written: many events share one.
    at: (Moment, String),
}

impl<W: Write> Json<W> {
    /// `out` should be buffered.
    pub fn new(out: W) -> Json<W> {
        let at = Moment::default();
        Json {
            out,
            at: (at, at.to_string()),
        }
    }

    fn write(&mut self, event: &Event, at: Moment) -> io::Result<()> {
        if self.at.0 != at {
            self.at = (at, at.to_string());
        }
        let at = &self.at.1;
        serde_json::to_writer(&mut self.out, &EventLine { event, at })?;
        self.out.write_all(b"\n")?;
        // Thousands of these come at once, and something else behind them.
        if !matches!(event, Event::Cached { .. }) {
            self.out.flush()?;
        }
        Ok(())
    }
}

impl<W: Write> Reader for Json<W> {
    /// A reader that is gone must not stop a run: what cannot be written is dropped.
    fn see(&mut self, event: &Event, at: Moment) {
        let _ = self.write(event, at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_an_event_with_its_moment() {
        let moment = |text: &str| text.parse::<Moment>().unwrap();
        let (early, late) = (
            moment("2026-11-24T10:46:22.123Z"),
            moment("2026-11-24T10:46:22.124Z"),
        );
        let event = |text: &str| Event::Warning {
            message: text.to_owned(),
        };
        let told = [
            (event("\"}"), early),
            (event(""), early),
            (event("x\n"), late),
            (event("y"), Moment::default()),
        ];
        let mut text = Vec::new();
        let mut json = Json::new(&mut text);
        for (event, at) in &told {
            json.see(event, *at);
        }
        let lines = std::str::from_utf8(&text).unwrap().lines();
        let read: Vec<EventLine> = lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let expected = told.map(|(event, at)| EventLine { event, at });
        assert_eq!(read, expected);
        let whole = serde_json::to_string(&expected[0]).unwrap();
        assert!(text.starts_with(format!("{whole}\n").as_bytes()));
    }
}
