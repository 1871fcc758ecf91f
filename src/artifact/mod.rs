//! What flows between stages: typed artifacts and their files.
mod coords;
mod delivered;
mod kind;

pub use coords::{Coords, Scalar, show as show_coords};
pub use delivered::{Artifact, Body};
pub use kind::ArtifactType;
