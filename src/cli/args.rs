//! The command line, as clap reads it.
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{cli::cache, pipeline::parse_bytes};

/// From which pretraining checkpoint should reinforcement learning start, and why.
#[derive(Debug, Parser)]
#[command(name = "vgh", version, arg_required_else_help = true)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Build what a pipeline declares; what is cached is not executed again
    Run(Run),
    /// Say what a run would execute, and why, without executing anything
    Plan(Plan),
    /// Say why an instance runs or does not: what changed, and since when
    Why(Why),
    /// Print a result: a table, or what a folder holds
    Show(Show),
    /// List, check and clear what the cache holds
    Cache(cache::Cache),
    /// Execute tasks from standard input (started by `run`)
    #[command(hide = true)]
    Worker(Worker),
}

/// What to work on, and where the cache is.
#[derive(Debug, Args)]
pub(super) struct Place {
    /// A pipeline file (default: pipelines/quickstart.toml, else the only file
    /// in pipelines/, else the embedded quickstart), then selectors such as
    /// `scores` or `grpo@lr=1e-4,step=25..100`; none means everything
    #[arg(value_name = "FILE] [SELECTOR")]
    pub(super) words: Vec<String>,
    /// Set a parameter, restrict an axis, or set any key: `alpha=2`, `step=[25,50]`, `stages.grpo.beta=0`
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub(super) set: Vec<String>,
    /// The cache folder (default: the nearest `cache/` upwards, else ./cache)
    #[arg(long, env = "VGH_CACHE", value_name = "DIR")]
    pub(super) cache: Option<PathBuf>,
}

/// What stages may take together, besides processors.
#[derive(Debug, Args)]
pub(super) struct Machine {
    /// Counted GPUs, from the first (default: those of CUDA_VISIBLE_DEVICES, else all NVIDIA devices)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=1024))]
    pub(super) gpus: Option<u32>,
    /// Memory to give out, such as "16 GiB" (default: what is available now)
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    pub(super) memory: Option<u64>,
    /// Stages that use the network at once
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(super) network: u32,
}

fn bytes(text: &str) -> Result<u64, String> {
    parse_bytes(text).ok_or_else(|| "bytes, such as \"16 GiB\" or \"500 MB\"".to_owned())
}

/// What is executed although it is cached.
#[derive(Debug, Args)]
pub(super) struct Force {
    /// Execute this although it is cached: `--force=grpo@step=25`; alone what
    /// is selected, else everything. The first result of a key stays the one
    /// that counts; another one is reported with its distance
    #[arg(
        long,
        value_name = "SELECTOR",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = ""
    )]
    pub(super) force: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct Run {
    #[command(flatten)]
    pub(super) place: Place,
    #[command(flatten)]
    pub(super) force: Force,
    /// Refuse to start when earlier runs tell that more than so many hours of
    /// stage time lie ahead
    #[arg(long, value_name = "H", value_parser = hours)]
    pub(super) max_hours: Option<f64>,
    /// Counted processors, and so stages at once (default: all cores)
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub(super) jobs: Option<u32>,
    #[command(flatten)]
    pub(super) machine: Machine,
    /// After a failure, go on with what does not depend on it
    #[arg(short, long)]
    pub(super) keep_going: bool,
    /// Print events as JSON Lines, ending with the totals
    #[arg(long)]
    pub(super) json: bool,
    /// How progress is shown
    #[arg(long, value_enum, default_value_t = Display::Auto, conflicts_with = "json")]
    pub(super) progress: Display,
    /// Where results for people go (default: ./results)
    #[arg(long, value_name = "DIR")]
    pub(super) results: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Display {
    /// Bars on a terminal, lines elsewhere
    Auto,
    Live,
    Plain,
    /// Only the answer
    None,
}

#[derive(Debug, Args)]
pub(super) struct Plan {
    #[command(flatten)]
    pub(super) place: Place,
    #[command(flatten)]
    pub(super) force: Force,
    /// List every instance with its reason
    #[arg(long, conflicts_with = "json")]
    pub(super) all: bool,
    /// Print the plan as one JSON object: counts, costs, passes, and each
    /// instance with its state, reason, differences and estimate
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Why {
    #[command(flatten)]
    pub(super) place: Place,
    #[command(flatten)]
    pub(super) force: Force,
    /// Print a JSON list with one object an instance
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Show {
    #[command(flatten)]
    pub(super) place: Place,
    /// Which output, where a stage has several
    #[arg(long, value_name = "NAME")]
    pub(super) output: Option<String>,
    /// Print tables as CSV
    #[arg(long, conflicts_with = "json")]
    pub(super) csv: bool,
    /// Print tables as JSON, one object a row
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Worker {
    #[arg(long, value_name = "DIR")]
    pub(super) cache: PathBuf,
}

fn hours(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(hours) if hours.is_finite() && hours >= 0.0 => Ok(hours),
        _ => Err("not a number of hours, such as 0.5".to_owned()),
    }
}
