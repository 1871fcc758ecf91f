//! The form of pipeline files, read off the structs of the kinds: parameters
//! in words, and a JSON Schema of the whole file. Knows no particular kind.
mod parameter;
mod reserved;
mod schema;

pub use parameter::{Parameter, parameters};
pub use schema::pipeline_schema;
