//! Commands that look at results.
use clap::Args;

use crate::cli::args::Place;

#[derive(Debug, Args)]
pub(in crate::cli) struct Show {
    #[command(flatten)]
    pub(in crate::cli) place: Place,
    /// Which output, where a stage has several
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) output: Option<String>,
    /// Print tables as CSV
    #[arg(long, conflicts_with = "json")]
    pub(in crate::cli) csv: bool,
    /// Print tables as JSON, one object a row
    #[arg(long)]
    pub(in crate::cli) json: bool,
}
