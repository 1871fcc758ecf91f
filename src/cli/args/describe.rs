//! Commands that describe pipelines, kinds and the program itself.
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use clap_complete::Shell;

use crate::cli::args::Place;

#[derive(Debug, Args)]
pub(in crate::cli) struct Graph {
    #[command(flatten)]
    pub(in crate::cli) place: Place,
    /// How the picture is written
    #[arg(long, value_enum, default_value_t = Picture::Dot)]
    pub(in crate::cli) format: Picture,
    /// Draw every instance rather than one box for each stage
    #[arg(long)]
    pub(in crate::cli) instances: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Picture {
    /// For Graphviz
    Dot,
    /// For Markdown on GitHub and elsewhere
    Mermaid,
    /// A picture for a browser or a paper
    Svg,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Kinds {
    /// Describe one kind in full
    #[arg(value_name = "KIND")]
    pub(in crate::cli) kind: Option<String>,
    /// Print JSON: an array, or one object for one kind
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Init {
    /// The folder to write `pipelines/first.toml` in; made if missing
    #[arg(value_name = "DIR", default_value = ".")]
    pub(in crate::cli) folder: PathBuf,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Completions {
    /// The shell
    #[arg(value_enum)]
    pub(in crate::cli) shell: Shell,
}
