//! What flows between stages: typed artifacts and their files.
mod checkpoint;
mod coords;
mod corpus;
mod delivered;
mod distance;
mod document;
mod kind;
mod prompts;
pub mod schema;
pub mod table;

pub use checkpoint::{Checkpoint, POSITION_FILE, Position};
pub use coords::{Coords, Scalar, show as show_coords};
pub use corpus::{Corpus, Labels, Template};
pub use delivered::{Artifact, Body};
pub use distance::{Distance, distance};
pub use document::Document;
pub use kind::ArtifactType;
pub use prompts::{Prompt, Prompts, Split};
