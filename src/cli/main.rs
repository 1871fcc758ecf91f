//! Entry: reads the command line, runs one command, says how it ended.
#![expect(clippy::print_stderr, reason = "the one place that tells a failure")]
use std::process::ExitCode;

use clap::Parser;

use crate::cli::{
    args::{Cli, Command},
    cache,
    exit::{Exit, Failure},
    plan, run, show, why, worker,
};

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    let outcome: Result<Exit, Failure> = match Cli::parse().command {
        Command::Run(args) => run::run(&args),
        Command::Plan(args) => plan::plan(&args),
        Command::Why(args) => why::why(&args),
        Command::Show(args) => show::show(&args),
        Command::Cache(args) => cache::cache(&args),
        Command::Worker(args) => worker::worker(&args),
    };
    match outcome {
        Ok(exit) => exit.into(),
        Err(failure) => {
            eprintln!("{failure}");
            failure.exit().into()
        }
    }
}
