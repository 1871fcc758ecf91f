//! vgh: from which pretraining checkpoint should reinforcement learning start, and why.
//!
//! Two things in one: a declarative pipeline engine with a content-addressed
//! cache, and the measurements of "The Value-Gradient Hypothesis of RL for
//! LLMs" (arXiv 2605.21654). ARCHITECTURE.md tells the way of the data.
pub mod artifact;
pub mod cache;
pub mod cli;
pub mod diagnostic;
pub mod diagram;
pub mod digest;
mod disk;
pub mod engine;
pub mod form;
mod host;
pub mod hub;
pub mod lm;
pub mod pipeline;
pub mod progress;
pub mod report;
pub mod rl;
pub mod runs;
pub mod seed;
pub mod stage;
pub mod stages;
pub mod stats;
pub mod theory;
pub mod worker;
