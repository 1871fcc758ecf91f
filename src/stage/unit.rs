//! What the numbers of a progress count.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Displays say bytes as sizes, with their rate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Whatever the kind does one after another, such as updates.
    #[default]
    Steps,
    Bytes,
}

impl Unit {
    /// What is not written out in events.
    pub fn is_steps(&self) -> bool {
        *self == Unit::Steps
    }
}
