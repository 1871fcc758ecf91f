//! Commands that execute.
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::{
    cli::args::{Force, Place},
    pipeline::parse_bytes,
};

/// What stages may take together, besides processors.
#[derive(Debug, Args)]
pub(in crate::cli) struct Machine {
    /// GPUs to give out, from the first (default: those of CUDA_VISIBLE_DEVICES, else all NVIDIA devices)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=1024))]
    pub(in crate::cli) gpus: Option<u32>,
    /// Memory to give out, such as "16 GiB" (default: what is available now)
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    pub(in crate::cli) memory: Option<u64>,
    /// Disk that downloads, temporary results and stages that ask for disk may have
    /// together, such as "20 GB" (default: what is free); a download that does not fit
    /// waits until others have been read for the last time
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    pub(in crate::cli) disk: Option<u64>,
    /// How many stages may use the network at once: with more, downloads share
    /// the line and the first one ends later
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(in crate::cli) network: u32,
}

fn bytes(text: &str) -> Result<u64, String> {
    parse_bytes(text).ok_or_else(|| "bytes, such as \"16 GiB\" or \"500 MB\"".to_owned())
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Run {
    #[command(flatten)]
    pub(in crate::cli) place: Place,
    #[command(flatten)]
    pub(in crate::cli) force: Force,
    /// Refuse to start (exit code 2) if, by earlier runs, more than H hours of
    /// stage time are ahead; kinds that never ran are not counted
    #[arg(long, value_name = "H", value_parser = hours, allow_negative_numbers = true)]
    pub(in crate::cli) max_hours: Option<f64>,
    /// Processors to give out, and so how many stages run at once (default: all
    /// cores)
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub(in crate::cli) jobs: Option<u32>,
    #[command(flatten)]
    pub(in crate::cli) machine: Machine,
    /// Add nothing to the lock file beside the pipeline: a reference to a model hub
    /// that is not in it is an error
    #[arg(long)]
    pub(in crate::cli) locked: bool,
    /// After a failure, go on with everything that does not depend on it
    #[arg(short, long)]
    pub(in crate::cli) keep_going: bool,
    /// Print events as JSON Lines on standard output, the totals last
    #[arg(long)]
    pub(in crate::cli) json: bool,
    /// Write the same events to a file, however progress is shown
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) events: Option<PathBuf>,
    /// How progress is shown
    #[arg(long, value_enum, default_value_t = Display::Auto, conflicts_with = "json")]
    pub(in crate::cli) progress: Display,
    /// Where copies of the results go, each pipeline's to a folder of its name
    /// (default: ./results)
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) results: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Display {
    /// Bars on a terminal, lines elsewhere
    Auto,
    /// Bars
    Live,
    /// A line for each pass that is over
    Plain,
    /// Nothing but the answer
    None,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Worker {
    /// The cache folder of the run
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) cache: PathBuf,
}

fn hours(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(hours) if hours.is_finite() && hours >= 0.0 => Ok(hours),
        _ => Err("not a number of hours, such as 0.5".to_owned()),
    }
}
