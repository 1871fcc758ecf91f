//! What happens during a run, for whoever watches. Displays, the run's folder
//! and the JSON Lines stream are readers of this one enum; adding a variant
//! makes each answer. docs/events.md documents all (a test holds it).
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{engine::moment::Moment, stage::Unit};

/// The version of the stream. It is raised when a field changes its meaning or
/// goes; new events and fields come without.
pub const EVENT_FORMAT: u32 = 1;

/// One thing that happened. Stages are named as selectors name them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// Always the first. Counts are what the plan said.
    RunStarted {
        /// [`EVENT_FORMAT`].
        format: u32,
        run: String,
        pipeline: String,
        program: String,
        instances: usize,
        cached: usize,
        to_run: usize,
        maybe: usize,
        /// Counted processors.
        jobs: u32,
        stages: Vec<StagePlan>,
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
        /// What both count; left out for steps.
        #[serde(default, skip_serializing_if = "Unit::is_steps")]
        unit: Unit,
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

/// What the plan says of one stage.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StagePlan {
    pub stage: String,
    pub instances: usize,
    pub cached: usize,
    pub to_run: usize,
    pub maybe: usize,
    /// How long one instance will take, by earlier results.
    pub estimate_ms: Option<u64>,
}

/// The closing line of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RunTotals {
    pub executed: usize,
    pub cached: usize,
    pub failed: usize,
    pub wall_s: f64,
    pub skipped: usize,
    pub interrupted: bool,
}

/// One line of the stream: an event and when it was told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventLine<E = Event, M = Moment> {
    #[serde(flatten)]
    pub event: E,
    pub at: M,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_unusual_unit_is_told() {
        let progress = |unit| EventLine {
            event: Event::Progress {
                pass: 1,
                done: 2,
                total: 3,
                unit,
                note: "x".to_owned(),
            },
            at: Moment::default(),
        };
        for (unit, told) in [(Unit::Steps, ""), (Unit::Bytes, "\"unit\":\"bytes\",")] {
            let text = serde_json::to_string(&progress(unit)).unwrap();
            let expected = format!(
                "{{\"event\":\"progress\",\"pass\":1,\"done\":2,\"total\":3,{told}\"note\":\"x\",\
                 \"at\":\"1970-01-01T00:00:00.000Z\"}}"
            );
            assert_eq!(text, expected);
            let back: EventLine = serde_json::from_str(&text).unwrap();
            assert_eq!(back, progress(unit));
        }
    }

    #[test]
    fn a_line_begins_with_its_event_and_comes_back() {
        let totals = RunTotals {
            executed: 3,
            wall_s: 0.5,
            ..RunTotals::default()
        };
        let line = EventLine {
            event: Event::RunFinished(totals),
            at: Moment::default(),
        };
        let text = serde_json::to_string(&line).unwrap();
        assert_eq!(
            text,
            "{\"event\":\"run-finished\",\"executed\":3,\"cached\":0,\"failed\":0,\"wall_s\":0.5,\
             \"skipped\":0,\"interrupted\":false,\"at\":\"1970-01-01T00:00:00.000Z\"}"
        );
        assert_eq!(serde_json::from_str::<EventLine>(&text).unwrap(), line);
        // A field of a later version is no reason to lose the line.
        let newer = text.replace("\"failed\"", "\"healed\":1,\"failed\"");
        assert_eq!(serde_json::from_str::<EventLine>(&newer).unwrap(), line);
    }
}
