//! Entry: reads the command line, runs one command, says how it ended.
#![expect(clippy::print_stderr, reason = "the one place that tells a failure")]
use clap::Parser;

use crate::cli::{
    args::{Cli, Command},
    cache, completions, diff,
    exit::{Exit, Failure},
    graph, init, kinds, logs, plan, run, runs, schema, show, signals, status, update, why, worker,
};

/// Runs the command that the process was started with, and ends it.
pub fn main() -> ! {
    let command = Cli::parse().command;
    if !matches!(
        command,
        Command::Run(_) | Command::Cache(_) | Command::Worker(_)
    ) {
        signals::end_with_reader();
    }
    let outcome: Result<Exit, Failure> = match command {
        Command::Run(args) => run::run(&args),
        Command::Plan(args) => plan::plan(&args),
        Command::Update(args) => update::update(&args),
        Command::Why(args) => why::why(&args),
        Command::Show(args) => show::show(&args),
        Command::Cache(args) => cache::cache(&args),
        Command::Status(args) => status::status(&args),
        Command::Runs(args) => runs::runs(&args),
        Command::Logs(args) => logs::logs(&args),
        Command::Graph(args) => graph::graph(&args),
        Command::Diff(args) => diff::diff(&args),
        Command::Kinds(args) => kinds::kinds(&args),
        Command::Schema => schema::schema(),
        Command::Init(args) => init::init(&args),
        Command::Completions(args) => Ok(completions::completions(&args)),
        Command::Worker(args) => worker::worker(&args),
    };
    let exit = outcome.unwrap_or_else(|failure| {
        eprintln!("{failure}");
        failure.exit()
    });
    exit.leave()
}
