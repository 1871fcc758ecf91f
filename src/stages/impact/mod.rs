//! `impact`: what RL gained from each checkpoint, beside its scores.
mod kind;
mod runs;

pub use kind::Impact;
