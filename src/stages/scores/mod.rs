//! `scores`: joins costates and headroom into scores, one row per checkpoint
//! and one row per variant. Needs no RL.
mod kind;
mod long;
#[cfg(test)]
mod tests;

pub use kind::Scores;
