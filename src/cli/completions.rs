//! `vgh completions`: what a shell needs to complete the command line.
use std::io::stdout;

use clap::CommandFactory as _;
use clap_complete::generate;

use crate::cli::{
    args::{Cli, Completions},
    exit::Exit,
};

pub(super) fn completions(args: &Completions) -> Exit {
    generate(args.shell, &mut Cli::command(), "vgh", &mut stdout());
    Exit::Done
}
