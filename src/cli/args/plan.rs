//! Commands that look ahead.
use clap::Args;

use crate::cli::args::Place;

#[derive(Debug, Args)]
pub(in crate::cli) struct Plan {
    #[command(flatten)]
    pub(in crate::cli) place: Place,
    /// Print the plan as one JSON object
    #[arg(long)]
    pub(in crate::cli) json: bool,
}
