//! Text to meaning: TOML as written, then as meant.
mod meaning;

pub use meaning::{
    Axis, Execution, Input, InputSource, Instance, InstanceId, Pipeline, Resources, Snapshots,
    StageMeaning,
};
