//! `vgh status`: what a run does now, or how it ended.
#![expect(clippy::print_stdout, reason = "the command's output")]
use serde_json::json;

use crate::{
    cache::Cache,
    cli::{
        args,
        columns::{Side, columns},
        exit::{Exit, Failure},
        lookback::{open, run_named},
    },
    engine::Moment,
    progress::{Failure as FailedPass, ago, duration, log_name, plural},
    runs::{Past, Verdict, logs_of},
};

pub(super) fn status(args: &args::Status) -> Result<Exit, Failure> {
    let cache = open(&args.place)?;
    let runs = match &args.run {
        Some(word) => vec![run_named(&cache, word)?],
        None => newest(&cache)?,
    };
    let now = Moment::now();
    if args.json {
        let told = runs.iter().map(|run| {
            json!({
                "run": run.id, "result": run.result, "left": run.tally.left(now),
                "tally": run.tally,
            })
        });
        println!("{}", json!(told.collect::<Vec<_>>()));
    } else if runs.is_empty() {
        println!("No run has executed anything yet; `vgh run` does.");
    } else {
        let texts: Vec<String> = runs.iter().map(|run| text(&cache, run, now)).collect();
        print!("{}", texts.join("\n"));
    }
    Ok(Exit::Done)
}

/// The live runs, else the last.
fn newest(cache: &Cache) -> anyhow::Result<Vec<Past>> {
    let mut runs = Past::all(cache)?;
    if runs.iter().any(|run| run.result == Verdict::Running) {
        runs.retain(|run| run.result == Verdict::Running);
    } else {
        runs.drain(..runs.len().saturating_sub(1));
    }
    Ok(runs)
}

fn text(cache: &Cache, run: &Past, now: Moment) -> String {
    let tally = &run.tally;
    let mut out = format!("{} ({}): {}\n", tally.pipeline, run.id, headline(run, now));
    let heading = [
        ("stage", Side::Left),
        ("cached", Side::Right),
        ("executed", Side::Right),
        ("failed", Side::Right),
        ("not run", Side::Right),
        ("left", Side::Right),
    ];
    let rows: Vec<[String; 6]> = tally
        .stages
        .iter()
        .map(|stage| {
            let counts = [
                stage.cached,
                stage.executed,
                stage.failed,
                stage.skipped,
                stage.left(),
            ];
            let [cached, executed, failed, skipped, left] = counts.map(|n| n.to_string());
            [stage.stage.clone(), cached, executed, failed, skipped, left]
        })
        .collect();
    out.push_str(&columns(heading, &rows));
    if tally.idle_stages > 0 {
        let stages = plural(tally.idle_stages, "stage");
        let results = plural(tally.idle_cached, "result");
        out.push_str(&format!("nothing to do in {stages}: {results} cached\n"));
    }
    if run.result == Verdict::Running {
        for pass in tally.running.values() {
            let since = duration(now.ms_since(pass.since));
            let line = format!("running: {}  {}", pass.name(), pass.progress());
            out.push_str(&format!("{}  {since}\n", line.trim_end()));
        }
    }
    for failure in &tally.failures {
        out.push_str(&failed(cache, run, failure));
    }
    out
}

fn headline(run: &Past, now: Moment) -> String {
    let tally = &run.tally;
    let heard = ago(now.ms_since(tally.updated));
    match (run.result, &tally.totals) {
        (Verdict::Running, _) => {
            let left = tally.left(now).map(|left| format!(", {left}"));
            format!(
                "running for {}{}",
                duration(now.ms_since(tally.begun)),
                left.unwrap_or_default()
            )
        }
        (_, Some(totals)) => format!(
            "{} {heard}: {} executed, {} cached, {} failed in {}",
            run.result.word(),
            totals.executed,
            totals.cached,
            totals.failed,
            duration((totals.wall_s * 1000.0) as u64)
        ),
        (_, None) => format!("died, last heard of {heard}; the next `vgh run` goes on from there"),
    }
}

fn failed(cache: &Cache, run: &Past, failure: &FailedPass) -> String {
    let more = match failure.instances.len() {
        0 | 1 => String::new(),
        several => format!(" and {} more of its pass", several - 1),
    };
    let first = failure.instances.first().map_or("", String::as_str);
    let mut out = format!("failed: {first}{more}: {}\n", failure.error);
    if !failure.log_tail.is_empty() {
        let path = logs_of(cache, &run.id).join(log_name(failure.pass, &failure.stage));
        out.push_str(&format!("  the end of its log, {}:\n", path.display()));
        for line in &failure.log_tail {
            out.push_str(&format!("  | {line}\n"));
        }
    }
    out
}
