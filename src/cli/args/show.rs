//! Commands that look at results.
use clap::Args;

use crate::cli::args::Place;

#[derive(Debug, Args)]
pub(in crate::cli) struct Show {
    #[command(flatten)]
    pub(in crate::cli) place: Place,
    /// Only this output, where a stage has several (default: all)
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) output: Option<String>,
    /// Print tables as CSV, with all digits
    #[arg(long, conflicts_with = "json")]
    pub(in crate::cli) csv: bool,
    /// Print tables as JSON, one object a row
    #[arg(long)]
    pub(in crate::cli) json: bool,
}
