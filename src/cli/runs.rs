//! `vgh runs`: the runs that executed something.
#![expect(clippy::print_stdout, reason = "the command's output")]
use serde_json::json;

use crate::{
    cli::{
        args,
        columns::{Side, columns},
        exit::{Exit, Failure},
        lookback::open,
    },
    engine::RunTotals,
    progress::duration,
    runs::{Past, Verdict},
};

pub(super) fn runs(args: &args::Runs) -> Result<Exit, Failure> {
    let cache = open(&args.place)?;
    let mut runs = Past::all(&cache)?;
    if args.number > 0 {
        runs.drain(..runs.len().saturating_sub(args.number));
    }
    if args.json {
        for run in &runs {
            println!("{}", line(run));
        }
    } else if runs.is_empty() {
        println!("No run has executed anything yet; `vgh run` does.");
    } else {
        print!("{}", text(&runs));
    }
    Ok(Exit::Done)
}

/// The closing line, or what is known where there is none.
fn totals(run: &Past) -> RunTotals {
    let tally = &run.tally;
    tally.totals.clone().unwrap_or_else(|| RunTotals {
        executed: tally.stages.iter().map(|stage| stage.executed).sum(),
        cached: tally.idle_cached + tally.stages.iter().map(|stage| stage.cached).sum::<usize>(),
        failed: tally.failed,
        wall_s: tally.updated.ms_since(tally.begun) as f64 / 1000.0,
        ..RunTotals::default()
    })
}

fn line(run: &Past) -> serde_json::Value {
    let totals = totals(run);
    json!({
        "run": run.id, "pipeline": run.tally.pipeline, "begun": run.tally.begun,
        "result": run.result, "executed": totals.executed, "cached": totals.cached,
        "failed": totals.failed, "wall_s": totals.wall_s,
    })
}

fn text(runs: &[Past]) -> String {
    let heading = [
        ("run", Side::Left),
        ("pipeline", Side::Left),
        ("begun", Side::Left),
        ("result", Side::Left),
        ("executed", Side::Right),
        ("cached", Side::Right),
        ("failed", Side::Right),
        ("wall", Side::Right),
    ];
    let row = |run: &Past| {
        let totals = totals(run);
        let wall = duration((totals.wall_s * 1000.0) as u64);
        [
            run.id.clone(),
            run.tally.pipeline.clone(),
            run.tally.begun.minute(),
            run.result.word().to_owned(),
            totals.executed.to_string(),
            totals.cached.to_string(),
            totals.failed.to_string(),
            match run.result {
                Verdict::Running | Verdict::Died => format!("{wall} so far"),
                Verdict::Done | Verdict::Failed | Verdict::Interrupted => wall,
            },
        ]
    };
    columns(heading, &runs.iter().map(row).collect::<Vec<_>>())
}
