//! `recommend`: from which checkpoint RL should start, by each rule, and what
//! that costs where it was measured.
mod certainty;
mod kind;
mod ladder;
mod rules;
#[cfg(test)]
mod tests;
mod words;

pub use kind::Recommend;
