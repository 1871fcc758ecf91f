//! The commands, one short file each; the only place that knows clap.
mod answer;
mod args;
mod columns;
mod completions;
mod diff;
mod exit;
mod graph;
mod init;
mod kinds;
mod logs;
mod lookback;
mod machine;
mod main;
mod plan;
mod results;
mod run;
mod runs;
mod schema;
mod show;
mod signals;
mod status;
mod worker;
mod workplace;

pub use main::main;
