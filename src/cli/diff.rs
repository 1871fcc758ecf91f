//! `vgh diff`: what differs between two runs.
#![expect(clippy::print_stdout, reason = "the command's output")]
use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    cli::{
        args,
        columns::{Side, columns},
        exit::{Exit, Failure},
        lookback::{open, run_named},
    },
    progress::plural,
    runs::{Change, Diff, diff as compare},
};

/// Instances that are named one by one.
const NAMED: usize = 5;

pub(super) fn diff(args: &args::Diff) -> Result<Exit, Failure> {
    let cache = open(&args.place)?;
    let first = run_named(&cache, &args.first)?;
    let second = run_named(&cache, &args.second)?;
    let found = compare(&cache, &first, &second)?;
    if args.json {
        println!("{}", json!(found));
    } else {
        print!("{}", text(&found));
    }
    Ok(Exit::Done)
}

fn text(diff: &Diff) -> String {
    let [a, b] = &diff.runs;
    let mut out = format!("{a} against {b}\n");
    if !diff.environment.is_empty() {
        out.push_str("\nEnvironment\n");
        for change in &diff.environment {
            out.push_str(&format!("  {}\n", shown(change)));
        }
    }
    for (run, only) in diff.runs.iter().zip(&diff.only) {
        if !only.is_empty() {
            out.push_str(&format!("\nOnly in {run}: {}\n", named(only)));
        }
    }
    if !diff.instances.is_empty() {
        out.push_str("\nInstances that differ\n");
        out.push_str(&causes(diff));
    }
    if !diff.numbers.is_empty() {
        out.push_str("\nLargest differences of numbers\n");
        out.push_str(&numbers(diff));
    }
    if !diff.not_compared.is_empty() {
        out.push_str("\nNot compared\n");
        for table in &diff.not_compared {
            out.push_str(&format!("  {table}\n"));
        }
    }
    let same = plural(diff.same, "instance");
    out.push_str(&format!(
        "\n{same} the same, {} differ\n",
        diff.instances.len()
    ));
    out
}

/// `alpha: 1.0 -> 2.0`.
fn shown(change: &Change) -> String {
    let side = |value: &Value| match value {
        Value::Null => "none".to_owned(),
        Value::Array(items) if items.iter().all(Value::is_string) => {
            let words: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
            words.join(" ")
        }
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let [a, b] = &change.values;
    format!("{}: {} -> {}", change.what, side(a), side(b))
}

fn named(names: &[String]) -> String {
    let shown = names[..names.len().min(NAMED)].join(" ");
    match names.len().saturating_sub(NAMED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// One line for each stage and cause, with how many instances it has.
fn causes(diff: &Diff) -> String {
    let mut counts: BTreeMap<(&str, String, String), usize> = BTreeMap::new();
    let mut order: Vec<(&str, String, String)> = Vec::new();
    for instance in &diff.instances {
        let mut why: Vec<String> = instance.changes.iter().map(shown).collect();
        if !instance.inputs.is_empty() {
            why.push(format!("other input {}", instance.inputs.join(", ")));
        }
        if why.is_empty() {
            why.push("the same key".to_owned());
        }
        let outputs = match instance.outputs.as_slice() {
            [] => "the same results".to_owned(),
            outputs => format!("other {}", outputs.join(", ")),
        };
        let line = (instance.stage.as_str(), why.join("; "), outputs);
        let count = counts.entry(line.clone()).or_default();
        if *count == 0 {
            order.push(line);
        }
        *count += 1;
    }
    let mut out = String::new();
    for line in order {
        let count = plural(counts[&line], "instance");
        let (stage, why, outputs) = line;
        out.push_str(&format!("  {stage} ({count}): {why}: {outputs}\n"));
    }
    out
}

fn numbers(diff: &Diff) -> String {
    let heading = [
        ("table", Side::Left),
        ("column", Side::Left),
        ("largest", Side::Right),
        ("first", Side::Right),
        ("second", Side::Right),
        ("where", Side::Left),
    ];
    let rows: Vec<[String; 6]> = diff
        .numbers
        .iter()
        .map(|number| {
            let [a, b] = number.values;
            [
                number.table.clone(),
                number.column.clone(),
                digits(number.largest),
                digits(a),
                digits(b),
                format!("{} {}", number.instance, number.at)
                    .trim_end()
                    .to_owned(),
            ]
        })
        .collect();
    columns(heading, &rows)
}

/// Four significant digits; `--json` has them all.
fn digits(x: f64) -> String {
    if x == 0.0 || (1e-3..1e5).contains(&x.abs()) {
        let whole = if x == 0.0 {
            0.0
        } else {
            x.abs().log10().floor()
        };
        let text = format!("{x:.*}", (3.0 - whole).max(0.0) as usize);
        if text.contains('.') {
            return text.trim_end_matches('0').trim_end_matches('.').to_owned();
        }
        return text;
    }
    format!("{x:.3e}")
}
