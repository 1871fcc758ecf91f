//! What is drawn.

/// How an instance stands. Colours are Okabe and Ito's, light enough for black
/// text; each has its own outline, so that a print without colour tells them
/// apart as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    Cached,
    Maybe,
    Run,
    Failed,
}

impl State {
    pub const ALL: [State; 4] = [State::Cached, State::Maybe, State::Run, State::Failed];

    pub fn word(self) -> &'static str {
        match self {
            State::Cached => "cached",
            State::Maybe => "maybe",
            State::Run => "to run",
            State::Failed => "failed",
        }
    }

    /// Of the area.
    pub fn fill(self) -> &'static str {
        match self {
            State::Cached => "#d6e9f5",
            State::Maybe => "#fbf6cf",
            State::Run => "#fbe3bd",
            State::Failed => "#f4cdb8",
        }
    }

    /// Of the outline.
    pub fn stroke(self) -> &'static str {
        match self {
            State::Cached => "#0072b2",
            State::Maybe => "#8a7f00",
            State::Run => "#b06f00",
            State::Failed => "#d55e00",
        }
    }
}

/// A box: a stage, or one instance.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    pub name: String,
    /// The kind, in smaller letters.
    pub kind: String,
    /// How many instances are in which state, without those of none.
    pub counts: Vec<(State, usize)>,
}

impl Node {
    /// That which asks for the most attention.
    pub fn state(&self) -> State {
        let states = self.counts.iter().map(|(state, _)| *state);
        states.max().unwrap_or(State::Cached)
    }

    /// `cached`, or `300 cached, 84 to run`.
    pub fn summary(&self) -> String {
        match self.counts.as_slice() {
            [(state, 1)] => state.word().to_owned(),
            several => {
                let parts = several
                    .iter()
                    .map(|(state, count)| format!("{count} {}", state.word()));
                parts.collect::<Vec<_>>().join(", ")
            }
        }
    }
}

/// From the node that produces to the one that consumes, by position.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    pub from: usize,
    pub to: usize,
    /// The ports it enters.
    pub label: String,
}

/// See the header of the module. Producers come before consumers.
#[derive(Debug, Clone, PartialEq)]
pub struct Diagram {
    pub title: String,
    pub nodes: Vec<Node>,
    pub edges: Vec<Edge>,
}
