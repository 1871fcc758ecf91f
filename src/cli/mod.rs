//! The commands, one short file each; the only place that knows clap.
mod answer;
mod args;
mod cache;
mod cost;
mod exit;
mod explanation;
mod machine;
mod main;
mod plan;
mod results;
mod run;
mod show;
mod signals;
mod why;
mod worker;
mod workplace;

pub use main::main;
