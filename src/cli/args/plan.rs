//! Commands that look ahead.
use std::path::PathBuf;

use clap::Args;

use crate::cli::args::Place;

/// What is executed although it is cached.
#[derive(Debug, Args)]
pub(in crate::cli) struct Force {
    /// Execute this although it is cached: `--force=grpo@step=25`. Alone it
    /// means what is selected, else everything. The first result stays the one
    /// that counts; if the new one differs, the run says by how much
    #[arg(
        long,
        value_name = "SELECTOR",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = ""
    )]
    pub(in crate::cli) force: Vec<String>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Plan {
    #[command(flatten)]
    pub(in crate::cli) place: Place,
    #[command(flatten)]
    pub(in crate::cli) force: Force,
    /// List every instance with its reason
    #[arg(long, conflicts_with = "json")]
    pub(in crate::cli) all: bool,
    /// Print the plan as one JSON object: counts, costs, passes, and each
    /// instance with its state, reason, differences and estimate
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Why {
    #[command(flatten)]
    pub(in crate::cli) place: Place,
    #[command(flatten)]
    pub(in crate::cli) force: Force,
    /// Print a JSON array with one object for each instance
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Update {
    /// A pipeline file (default: as for `run`)
    #[arg(value_name = "FILE")]
    pub(in crate::cli) file: Option<PathBuf>,
    /// As for `run`
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub(in crate::cli) set: Vec<String>,
}
