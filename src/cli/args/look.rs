//! Commands that look back at runs.
use std::path::PathBuf;

use clap::Args;

/// Where the cache is, for commands that need no pipeline.
#[derive(Debug, Args)]
pub(in crate::cli) struct CachePlace {
    /// The cache folder (default: the nearest `cache/` upwards, else ./cache)
    #[arg(long, env = "VGH_CACHE", value_name = "DIR")]
    pub(in crate::cli) cache: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Status {
    /// Which run: an id of `vgh runs`, its beginning, or `last` (default: the
    /// live ones, else the last)
    pub(in crate::cli) run: Option<String>,
    #[command(flatten)]
    pub(in crate::cli) place: CachePlace,
    /// Print a JSON array with one object for each run
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Runs {
    #[command(flatten)]
    pub(in crate::cli) place: CachePlace,
    /// Show the newest N; 0 shows all
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
    pub(in crate::cli) number: usize,
    /// Print one JSON object a line, oldest first
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Logs {
    /// A selector such as `grpo@step=25`, or a run for all its logs
    #[arg(value_name = "SELECTOR|RUN")]
    pub(in crate::cli) wanted: String,
    /// Look in this run (default: the newest that has such a stage)
    #[arg(long, value_name = "RUN")]
    pub(in crate::cli) run: Option<String>,
    /// Go on printing new lines until the run ends
    #[arg(short, long)]
    pub(in crate::cli) follow: bool,
    #[command(flatten)]
    pub(in crate::cli) place: CachePlace,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Diff {
    /// The first run: an id of `vgh runs`, its beginning, or `last`
    #[arg(value_name = "RUN")]
    pub(in crate::cli) first: String,
    /// The second run
    #[arg(value_name = "RUN")]
    pub(in crate::cli) second: String,
    #[command(flatten)]
    pub(in crate::cli) place: CachePlace,
    /// Print all differences as one JSON object
    #[arg(long)]
    pub(in crate::cli) json: bool,
}
