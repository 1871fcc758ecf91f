//! The program and the list of its commands.
use clap::{Parser, Subcommand};

use crate::cli::args::{Plan, Run, Show, Worker};

/// From which pretraining checkpoint should reinforcement learning start, and why.
#[derive(Debug, Parser)]
#[command(name = "vgh", version, arg_required_else_help = true)]
pub(in crate::cli) struct Cli {
    #[command(subcommand)]
    pub(in crate::cli) command: Command,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Command {
    /// Build what a pipeline declares; what is cached is not executed again
    Run(Run),
    /// Say what a run would execute, and why, without executing anything
    Plan(Plan),
    /// Print a result: a table, or what a folder holds
    Show(Show),
    /// Execute tasks from standard input (started by `run`)
    #[command(hide = true)]
    Worker(Worker),
}
