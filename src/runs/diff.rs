//! Two runs beside each other: environment, parameters, digests, numbers.
use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use serde::Serialize;
use serde_json::Value;

use crate::{
    artifact::table::compare,
    cache::{Cache, Content, Form},
    digest::Key,
    engine::explain::{Difference, differences},
    runs::{Environment, Past, ResultLine},
};

/// All that differs. What is equal on both sides is left out.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Diff {
    pub runs: [String; 2],
    pub environment: Vec<Change>,
    /// Instances that only one of the runs has a result of.
    pub only: [Vec<String>; 2],
    pub same: usize,
    /// Instances whose key differs, or an output.
    pub instances: Vec<InstanceDiff>,
    pub numbers: Vec<NumberDiff>,
    /// Tables whose numbers could not be compared, and why.
    pub not_compared: Vec<String>,
}

/// A value on either side; null where one has none.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    pub what: String,
    pub values: [Value; 2],
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct InstanceDiff {
    pub instance: String,
    pub stage: String,
    /// Of parameters, version and externals; empty where only inputs differ.
    pub changes: Vec<Change>,
    /// Input ports that got other content.
    pub inputs: Vec<String>,
    /// Outputs whose digest differs.
    pub outputs: Vec<String>,
}

/// The largest absolute difference of a column, over all instances of a stage.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NumberDiff {
    /// `stage.output`.
    pub table: String,
    pub column: String,
    pub largest: f64,
    pub values: [f64; 2],
    /// Where it is.
    pub instance: String,
    pub row: usize,
    /// The row by the columns that name it, `step=100`, else by its number;
    /// empty in a table of one row.
    pub at: String,
}

/// Compares what two runs ended with.
///
/// # Errors
/// A file of a run's folder, or a record, cannot be read.
pub fn diff(cache: &Cache, a: &Past, b: &Past) -> Result<Diff> {
    let mut found = Diff {
        runs: [a.id.clone(), b.id.clone()],
        environment: environments(&a.environment(cache)?, &b.environment(cache)?)?,
        ..Diff::default()
    };
    let (first, second) = (by_instance(cache, a)?, by_instance(cache, b)?);
    let missing = |from: &BTreeMap<String, ResultLine>, in_: &BTreeMap<String, ResultLine>| {
        let lacking = from.keys().filter(|name| !in_.contains_key(*name));
        lacking.cloned().collect()
    };
    found.only = [missing(&first, &second), missing(&second, &first)];
    let mut numbers: BTreeMap<(String, String), NumberDiff> = BTreeMap::new();
    for (name, a) in &first {
        let Some(b) = second.get(name) else { continue };
        let outputs: Vec<String> = a
            .outputs
            .iter()
            .filter(|(output, content)| b.outputs.get(*output) != Some(content))
            .map(|(output, _)| output.clone())
            .collect();
        if a.key == b.key && outputs.is_empty() {
            found.same += 1;
            continue;
        }
        for output in &outputs {
            if let Some(other) = b.outputs.get(output) {
                let place = (a, output.as_str());
                if let Err(why) = tables(cache, place, [&a.outputs[output], other], &mut numbers) {
                    found.not_compared.push(format!("{name}.{output}: {why:#}"));
                }
            }
        }
        let (changes, inputs) = manifests(cache, [&a.key, &b.key])?;
        found.instances.push(InstanceDiff {
            instance: name.clone(),
            stage: a.stage.clone(),
            changes,
            inputs,
            outputs,
        });
    }
    found.numbers = numbers.into_values().collect();
    Ok(found)
}

fn by_instance(cache: &Cache, run: &Past) -> Result<BTreeMap<String, ResultLine>> {
    let results = run.results(cache)?.with_context(|| {
        format!(
            "run {} is {}: it has no results to compare",
            run.id,
            run.result.word()
        )
    })?;
    let lines = results.instances.into_iter();
    Ok(lines.map(|line| (line.instance.clone(), line)).collect())
}

fn environments(a: &Environment, b: &Environment) -> Result<Vec<Change>> {
    let found = differences(&serde_json::to_value(a)?, &serde_json::to_value(b)?);
    Ok(found.into_iter().filter_map(change).collect())
}

/// A value that differs; none for an input.
fn change(difference: Difference) -> Option<Change> {
    let Difference::Entry { path, before, now } = difference else {
        return None;
    };
    Some(Change {
        what: path,
        values: [before, now].map(Option::unwrap_or_default),
    })
}

/// What differs between the manifests of two keys: everything but inputs, and
/// the names of input ports.
fn manifests(cache: &Cache, keys: [&Key; 2]) -> Result<(Vec<Change>, Vec<String>)> {
    if keys[0] == keys[1] {
        return Ok((Vec::new(), Vec::new()));
    }
    let manifest = |key: &Key| -> Result<Value> {
        let record = cache.record(key)?;
        let record = record.with_context(|| format!("the record of {key} is gone"))?;
        Ok(record.manifest)
    };
    let (mut changes, mut ports) = (Vec::new(), BTreeSet::new());
    for difference in differences(&manifest(keys[0])?, &manifest(keys[1])?) {
        if let Difference::Input { port, .. } = &difference {
            ports.insert(port.clone());
        }
        let Some(mut change) = change(difference) else {
            continue;
        };
        // How a foreign program is given an input is a matter of the input.
        if let Some(delivery) = change.what.strip_prefix("inputs.") {
            ports.extend(delivery.split('.').next().map(str::to_owned));
            continue;
        }
        // A parameter needs no `params.` before it.
        if change.what.starts_with("params.") {
            change.what.drain(.."params.".len());
        }
        changes.push(change);
    }
    Ok((changes, ports.into_iter().collect()))
}

/// Takes in the differences between two tables of one name.
fn tables(
    cache: &Cache,
    (line, output): (&ResultLine, &str),
    sides: [&Content; 2],
    numbers: &mut BTreeMap<(String, String), NumberDiff>,
) -> Result<()> {
    if sides.iter().any(|side| side.form != Form::File) {
        return Ok(());
    }
    let path = |content: &Content| cache.verified(&content.digest, content.size);
    let (a, b) = (path(sides[0])?, path(sides[1])?);
    // Not every file is a table; only that one is not, not why.
    let Ok(difference) = compare(&a, &b) else {
        return Ok(());
    };
    let [rows, others] = difference.rows;
    anyhow::ensure!(rows == others, "{rows} rows against {others}");
    let table = format!("{}.{output}", line.stage);
    for column in difference.columns {
        let place = (table.clone(), column.column.clone());
        let known = numbers.get(&place);
        if known.is_none_or(|known| known.largest < column.largest) {
            let number = NumberDiff {
                table: table.clone(),
                column: column.column,
                largest: column.largest,
                values: column.values,
                instance: line.instance.clone(),
                row: column.row,
                at: column.at,
            };
            numbers.insert(place, number);
        }
    }
    Ok(())
}
