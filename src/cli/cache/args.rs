//! The arguments of `vgh cache`, as clap reads them.
use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand};

use crate::cli::{
    args::Deferred,
    cache::amount::{parse_bytes, parse_duration},
};

#[derive(Debug, Args)]
pub(in crate::cli) struct Cache {
    #[command(subcommand)]
    pub(super) command: Command,
    /// The cache folder (default: the nearest `cache/` upwards, else ./cache)
    #[arg(
        long = "cache",
        env = "VGH_CACHE",
        value_name = "DIR",
        global = true,
        id = "cache_folder"
    )]
    pub(super) folder: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List what the cache holds, by kind or by stage
    #[command(after_help = "Examples:\n  \
        vgh cache ls                           by kind\n  \
        vgh cache ls pipelines/first.toml      by stage of this pipeline\n  \
        vgh cache ls --long                    each record with its key")]
    Ls(Deferred<Ls>),
    /// Remove what nothing needs any more
    ///
    /// Without rules only garbage goes: bytes that no record names, what dead processes left,
    /// and downloads that nobody went on with for a day (or for the AGE of --older-than). A
    /// result goes if any rule says so: FILE and --keep-runs say whose results stay,
    /// --older-than which are too old; --max-size and --free-space take bytes only. Nothing
    /// that a live run needs ever goes, nor what is younger than the oldest live run; runs
    /// and this command do not wait for each other.
    ///
    /// In the table, `emptied` results lose their bytes and keep their record, so that what
    /// follows from them stays cached; `dropped` ones lose both.
    #[command(after_help = "Examples:\n  \
        vgh cache gc -n                               what is garbage\n  \
        vgh cache gc -n pipelines/first.toml          what would go if only its results stayed\n  \
        vgh cache gc --older-than 30d\n  \
        vgh cache gc --max-size 20GiB")]
    Gc(Deferred<Gc>),
    /// Check that records and bytes are whole; exit code 4 if not
    #[command(
        after_help = "Exit codes: 0 whole; 4 damaged, also where --repair has just mended it.\n\n\
        Examples:\n  \
        vgh cache verify                  names and sizes\n  \
        vgh cache verify --read-data      every byte, by its digest\n  \
        vgh cache verify --repair"
    )]
    Verify(Deferred<Verify>),
    /// Retire distrusted results, so that the next run makes them anew
    ///
    /// The record moves to `quarantine/` in the cache; nothing else is changed.
    #[command(after_help = "Examples:\n  \
        vgh cache drop headroom@step=25\n  \
        vgh cache drop pipelines/first.toml scores\n  \
        vgh cache drop 4cef497aeb93            a key, as `vgh cache ls --long` prints it")]
    Drop(Deferred<Drop>),
    /// Print where the cache is, or where the bytes of a result are
    ///
    /// A result that is a folder has one line for each file. The files are named by their
    /// digest and must not be changed; with --json each path comes with its name.
    #[command(after_help = "Examples:\n  \
        vgh cache path                                     the cache\n  \
        vgh cache path scores.wide                         one output\n  \
        vgh cache path ladder.checkpoint@step=25 --json    the files of a folder, named")]
    Path(Deferred<Path>),
}

#[derive(Debug, Args)]
pub(super) struct Ls {
    /// Pipeline files, whose stages are then listed by name
    #[arg(value_name = "FILE")]
    pub(super) pipelines: Vec<PathBuf>,
    /// Print one line for each record
    #[arg(short, long)]
    pub(super) long: bool,
    /// Print as JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Gc {
    /// Keep the results of these pipelines; others go
    #[arg(value_name = "FILE")]
    pub(super) pipelines: Vec<PathBuf>,
    /// Keep the results of the last N runs; others go
    #[arg(long, value_name = "N")]
    pub(super) keep_runs: Option<usize>,
    /// Results that no run has used for this long go, such as `30d` or `12h`
    #[arg(long, value_name = "AGE", value_parser = parse_duration)]
    pub(super) older_than: Option<Duration>,
    /// Bytes go, temporary and long unused ones first, until no more than this
    /// is left, such as `20GiB`; records stay, so that nothing after them runs
    /// again
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes)]
    pub(super) max_size: Option<u64>,
    /// Bytes go in the same way until this much is free on the disk
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes)]
    pub(super) free_space: Option<u64>,
    /// What was made within this time stays, whatever the other rules say
    #[arg(long, value_name = "AGE", value_parser = parse_duration, default_value = "1min")]
    pub(super) grace: Duration,
    /// Say what would go, and remove nothing
    #[arg(short = 'n', long)]
    pub(super) dry_run: bool,
    /// Print as JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Verify {
    /// Read every byte, not only names and sizes
    #[arg(long)]
    pub(super) read_data: bool,
    /// Retire records whose bytes are lost, so that the next run makes them
    /// anew, and move away what does not belong here
    #[arg(long)]
    pub(super) repair: bool,
    /// Print as JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Drop {
    /// Keys (at least their first 8 digits), or a pipeline file and selectors
    #[arg(value_name = "KEY|SELECTOR", required = true)]
    pub(super) words: Vec<String>,
    /// Set a parameter, an axis or any key, as for `vgh run`
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub(super) set: Vec<String>,
    /// Print as JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Path {
    /// A pipeline file, then selectors such as `grpo.rewards@step=25`
    #[arg(value_name = "FILE] [SELECTOR")]
    pub(super) words: Vec<String>,
    /// Set a parameter, an axis or any key, as for `vgh run`
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub(super) set: Vec<String>,
    /// Print as JSON
    #[arg(long)]
    pub(super) json: bool,
}
