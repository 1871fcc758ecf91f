//! `correlate`: how well each score foretells what RL gained, against
//! baselines, with intervals that say when nothing can be told.
mod estimate;
mod kind;
mod ladder;
mod readings;
mod sensitivity;
#[cfg(test)]
mod tests;
mod verdict;

pub use kind::Correlate;
