//! A pipeline as a picture: nodes with their state in words and colours, as
//! dot, mermaid or SVG. Text out, no files; knows nothing of pipelines.
mod dot;
mod layers;
mod mermaid;
mod model;
mod svg;

pub use dot::dot;
pub use mermaid::mermaid;
pub use model::{Diagram, Edge, Node, State};
pub use svg::svg;
