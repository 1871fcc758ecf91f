//! The environment of a command: a few fixed values, what it declared, and
//! nothing else.
use std::{collections::BTreeMap, path::Path};

use anyhow::Result;

use crate::{
    stage::{Context, is_secret},
    stages::command::{
        Command,
        text::{Paths, fill},
    },
};

/// What every command is given, so that the same command makes the same bytes
/// everywhere: language, time zone, the order of Python's sets, and the time
/// that programs write into files (1980, the oldest that zip knows).
const FIXED: [(&str, &str); 4] = [
    ("LANG", "C.UTF-8"),
    ("TZ", "UTC"),
    ("PYTHONHASHSEED", "0"),
    ("SOURCE_DATE_EPOCH", "315532800"),
];
/// The shortest value that is searched for in the log.
const SECRET_LENGTH: usize = 6;

/// All variables; a later source overrides an earlier one.
pub(super) fn of(
    command: &Command,
    context: &Context<'_>,
    paths: &Paths,
    temporary: &Path,
) -> Result<BTreeMap<String, String>> {
    let fixed = FIXED.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let mut environment = BTreeMap::from(fixed);
    environment.insert("TMPDIR".to_owned(), temporary.display().to_string());
    let given = context.foreign.environment.iter();
    environment.extend(given.map(|(name, value)| (name.clone(), value.clone())));
    for (name, value) in &command.env {
        environment.insert(name.name().to_owned(), fill(value, paths)?);
    }
    Ok(environment)
}

/// The values that the log must not show.
pub(super) fn secrets(environment: &BTreeMap<String, String>) -> Vec<String> {
    let secret = environment.iter().filter(|(name, _)| is_secret(name));
    let values = secret.map(|(_, value)| value.clone());
    values
        .filter(|value| value.len() >= SECRET_LENGTH)
        .collect()
}
