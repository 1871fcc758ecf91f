//! `vgh plan`: what a run would execute, and why.
#![expect(clippy::print_stdout, reason = "the command's output")]
use serde_json::json;

use crate::{
    cli::{
        args,
        exit::{Exit, Failure},
        workplace::Workplace,
    },
    engine::{Plan, Planned, Reason, State, plan as make_plan},
    pipeline::Pipeline,
    progress::{duration, plural},
};

pub(super) fn plan(args: &args::Plan) -> Result<Exit, Failure> {
    let place = Workplace::open(&args.place)?;
    let opened = place.existing_cache()?;
    let cache = opened.as_ref().map(|(cache, index)| (cache, index));
    let externals = place.externals(cache.map(|(cache, _)| cache))?;
    let plan = make_plan(&place.pipeline, &place.graph(), &externals, cache);
    if args.json {
        println!("{}", json(&place.pipeline, &plan));
    } else {
        print!("{}", text(&place.pipeline, &plan));
    }
    Ok(Exit::Done)
}

pub(super) fn json(pipeline: &Pipeline, plan: &Plan) -> serde_json::Value {
    let entries = plan.entries.iter().map(|entry| {
        json!({
            "stage": pipeline.stage_of(entry.id).name,
            "instance": pipeline.label(entry.id),
            "plan": entry.state,
            "key": entry.key,
            "estimate_ms": entry.estimate_ms,
        })
    });
    let (cached, run, maybe) = plan.counts();
    json!({
        "pipeline": pipeline.name, "cached": cached, "run": run, "maybe": maybe,
        "instances": entries.collect::<Vec<_>>(), "passes": plan.passes,
    })
}

fn text(pipeline: &Pipeline, plan: &Plan) -> String {
    let mut out = String::new();
    let name_width = pipeline
        .stages
        .iter()
        .map(|stage| stage.name.len())
        .max()
        .unwrap_or(0);
    for stage in &pipeline.stages {
        let of_stage: Vec<&Planned> = plan
            .entries
            .iter()
            .filter(|entry| stage.instances.contains(&entry.id.0))
            .collect();
        if of_stage.is_empty() {
            continue;
        }
        out.push_str(&format!(
            "{:name_width$}  {}\n",
            stage.name,
            summary(&of_stage)
        ));
    }
    for pass in &plan.passes {
        let resumed = if pass.from > 0 {
            format!(", going on from {}", pass.from)
        } else {
            String::new()
        };
        out.push_str(&format!(
            "  {}: {} of {}{resumed}\n",
            pass.instance,
            plural((pass.to - pass.from) as usize, "update"),
            pass.to
        ));
    }
    let (cached, run, maybe) = plan.counts();
    let estimates = plan
        .entries
        .iter()
        .filter(|entry| matches!(entry.state, State::Run(_)));
    let known: Vec<u64> = estimates.filter_map(|entry| entry.estimate_ms).collect();
    let estimate = if known.is_empty() {
        String::new()
    } else {
        format!(
            ", about {} of stage time by earlier runs",
            duration(known.iter().sum())
        )
    };
    out.push_str(&format!(
        "{run} to run, {maybe} maybe, {cached} cached{estimate}\n"
    ));
    out
}

/// `4 to run (no record of this key), 12 cached`.
fn summary(entries: &[&Planned]) -> String {
    let mut counts: Vec<(String, usize)> = Vec::new();
    for entry in entries {
        let what = match &entry.state {
            State::Cached => "cached".to_owned(),
            State::Run(reason) => format!("to run ({})", because(reason)),
            State::Maybe(reason) => format!("maybe ({})", because(reason)),
        };
        match counts.iter_mut().find(|(known, _)| *known == what) {
            Some((_, count)) => *count += 1,
            None => counts.push((what, 1)),
        }
    }
    let parts: Vec<String> = counts
        .into_iter()
        .map(|(what, count)| format!("{count} {what}"))
        .collect();
    parts.join(", ")
}

fn because(reason: &Reason) -> &'static str {
    match reason {
        Reason::NoRecord => "no result for this key",
        Reason::NewShape => "nothing like it was run before",
        Reason::BytesMissing => "its bytes are gone and are wanted",
        Reason::InputsChange => "something before it runs",
    }
}
