//! What a command works on, and where.
use std::path::PathBuf;

use clap::Args;

/// What to work on, and where the cache is.
#[derive(Debug, Args)]
pub(in crate::cli) struct Place {
    /// A pipeline file, recognised by a `/` or `.toml` (default:
    /// pipelines/quickstart.toml, else the only file in pipelines/, else the
    /// built-in quickstart), then selectors such as `scores` or
    /// `grpo@lr=1e-4,step=25..100` (also `25..`, `..100`, `first`, `last`);
    /// none means everything
    #[arg(value_name = "FILE] [SELECTOR")]
    pub(in crate::cli) words: Vec<String>,
    /// Set a parameter, the values of an axis, or any key, for this time only:
    /// `alpha=2`, `step=[25,50]`, `stages.grpo.beta=0`; may be repeated
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub(in crate::cli) set: Vec<String>,
    /// Ask no model hub: what is not in the lock file or not downloaded yet is an
    /// error where it is needed
    #[arg(long)]
    pub(in crate::cli) offline: bool,
    /// The cache folder (default: the nearest `cache/` upwards, else ./cache)
    #[arg(long, env = "VGH_CACHE", value_name = "DIR")]
    pub(in crate::cli) cache: Option<PathBuf>,
}
