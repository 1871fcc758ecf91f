//! `vgh worker`: the child process that executes stages.
use crate::{
    cli::{
        args,
        exit::{Exit, Failure},
    },
    stages::KINDS,
    worker::serve,
};

pub(super) fn worker(args: &args::Worker) -> Result<Exit, Failure> {
    serve(KINDS, &args.cache).map_err(Failure::Cache)?;
    Ok(Exit::Done)
}
