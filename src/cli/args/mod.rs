//! The command line, as clap reads it: a file for each group of commands.
mod command;
mod deferred;
mod describe;
mod look;
mod place;
mod plan;
mod run;
mod show;

pub(super) use command::{Cli, Command};
pub(super) use deferred::Deferred;
pub(super) use describe::{Completions, Graph, Init, Kinds, Picture};
pub(super) use look::{CachePlace, Diff, Logs, Runs, Status};
pub(super) use place::Place;
pub(super) use plan::{Force, Plan, Update, Why};
pub(super) use run::{Display, Machine, Run, Worker};
pub(super) use show::Show;
