//! The program and the list of its commands.
use clap::{Parser, Subcommand};

use crate::cli::{
    args::{
        Completions, Diff, Graph, Init, Kinds, Logs, Plan, Run, Runs, Show, Status, Why, Worker,
    },
    cache::Cache,
};

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
    /// Say why an instance runs or does not: what changed, and since when
    Why(Why),
    /// Print a result: a table, or what a folder holds
    Show(Show),
    /// List, check and clear what the cache holds
    Cache(Cache),
    /// Say what a run does now, or how the last one ended
    #[command(after_help = "Examples:\n  \
        vgh status             the live runs, else the last one\n  \
        vgh status --json      the same for a program")]
    Status(Status),
    /// List the runs that executed something, newest last
    #[command(after_help = "Examples:\n  \
        vgh runs               the newest 20\n  \
        vgh runs -n 0 --json   all of them, one JSON object a line")]
    Runs(Runs),
    /// Print what stages said while they ran
    #[command(after_help = "Examples:\n  \
        vgh logs grpo@step=25          of these instances, in the newest run that had them\n  \
        vgh logs last                  of everything in the last run\n  \
        vgh logs grpo --follow         until the run ends")]
    Logs(Logs),
    /// Draw the pipeline: stages, what flows between them, and their state
    #[command(after_help = "Examples:\n  \
        vgh graph --format svg > pipeline.svg\n  \
        vgh graph scores --format mermaid      what `scores` needs\n  \
        vgh graph --instances | dot -Tpdf -o pipeline.pdf")]
    Graph(Graph),
    /// Compare two runs: environment, parameters, digests and numbers
    #[command(after_help = "Examples:\n  \
        vgh diff 20261124T1046 last\n  \
        vgh diff 20261124T1046 last --json")]
    Diff(Diff),
    /// List the kinds of stages, or describe one with its parameters and ports
    #[command(after_help = "Examples:\n  \
        vgh kinds\n  \
        vgh kinds grpo")]
    Kinds(Kinds),
    /// Print a JSON Schema of pipeline files, for editors
    #[command(after_help = "Examples:\n  \
        vgh schema > pipelines/schema.json\n\n\
        With `#:schema schema.json` as the first line of a pipeline, editors that know\n\
        TOML complete and check it (taplo, Even Better TOML).")]
    Schema,
    /// Write a first pipeline to start from
    #[command(after_help = "Examples:\n  \
        vgh init               pipelines/first.toml below this folder\n  \
        vgh init study         below study/")]
    Init(Init),
    /// Print completions for a shell
    #[command(after_help = "Examples:\n  \
        vgh completions bash > ~/.local/share/bash-completion/completions/vgh\n  \
        vgh completions zsh > ~/.zfunc/_vgh")]
    Completions(Completions),
    /// Execute tasks from standard input (started by `run`)
    #[command(hide = true)]
    Worker(Worker),
}
