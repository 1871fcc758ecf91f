//! Data to pictures: strings out, no files.
//!
//! [`Data`] is what the tables of a pipeline say; [`body`] makes sentences,
//! sections and figures of it; [`page`] puts them, with what only the command
//! line knows ([`Surroundings`]), on one self-contained HTML page. Nothing here
//! computes a statistic beyond differences and maxima of its rows, and a number that is missing or not finite is said to
//! be so, never replaced.
mod answer;
mod body;
mod candidates;
mod cost;
mod data;
#[cfg(test)]
mod example;
mod figure;
mod markup;
mod notes;
mod number;
mod page;
mod panels;
mod sections;
mod sensitivity;
mod trust;

pub use answer::answer;
pub use body::{Body, Picture, Section, body};
pub use cost::cost_sentence;
pub use data::{
    Affine, Axis, BudgetPoint, Checkpoint, Choice, Comparison, Correlation, Cost, Data, GapPoint,
    Impact, Measures, PerRate, Phase, Reading, Role, Sensitivity, SensitivityRow, Verdict,
};
pub use page::{Lineage, Surroundings, page};
