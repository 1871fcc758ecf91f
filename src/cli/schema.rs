//! `vgh schema`: a JSON Schema of pipeline files.
#![expect(clippy::print_stdout, reason = "the command's output")]
use anyhow::Context as _;

use crate::{
    cli::exit::{Exit, Failure},
    form::pipeline_schema,
    stages::KINDS,
};

pub(super) fn schema() -> Result<Exit, Failure> {
    let schema = pipeline_schema(KINDS);
    let text = serde_json::to_string_pretty(&schema).context("write the schema")?;
    println!("{text}");
    Ok(Exit::Done)
}
