//! Text to meaning: TOML as written, then as meant.
mod align;
mod axes;
mod bind;
mod connect;
mod document;
mod execution;
mod facts;
mod frame;
mod labels;
mod limits;
mod locate;
mod lock;
mod meaning;
mod names;
mod node;
mod order;
mod overrides;
mod param_fault;
mod params;
mod part;
mod placeholder;
mod ports;
mod range;
mod resolve;
mod run_names;
mod selector;
mod syntax;

pub use execution::{parse_bytes, with_unit};
pub use limits::{INSTANCES as INSTANCE_LIMIT, TEXT as TEXT_LIMIT, decode};
pub use locate::ParamPlace;
pub use lock::Lock;
pub use meaning::{
    Axis, Execution, Input, InputSource, Instance, InstanceId, Pipeline, Resources, Snapshots,
    StageMeaning,
};
pub use resolve::{Wanted, load, load_part};
pub use selector::{AxisPick, Pick, Selector};
pub use syntax::RESERVED;
