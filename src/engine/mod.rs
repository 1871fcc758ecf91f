//! Meaning to work: graph, keys, plan, schedule, execution, events.
//!
//! The engine knows kinds only through [`crate::stage::Kind`] and prints
//! nothing: events are its only way out.
mod capacity;
mod event;
mod execute;
pub mod executor;
pub mod explain;
mod externals;
mod graph;
mod key;
mod moment;
mod plan;
mod roots;
mod schedule;
mod task;

pub use crate::stage::Unit;
pub use capacity::Capacity;
pub use event::{EVENT_FORMAT, Event, EventLine, RunTotals, StagePlan};
pub use execute::{Deliver, Done, Options, Outcome, execute};
pub use externals::{Externals, Outside};
pub use graph::Graph;
pub use key::{FORMAT_VERSION, Manifest, Settled};
pub use moment::Moment;
pub use plan::{Basis, Cost, DiskCost, Pass, Plan, Planned, Reason, State, plan, plan_forcing};
pub use task::{Report, Task, TaskInput, TaskResume, Usage};
