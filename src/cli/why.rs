//! `vgh why`: what changed since the nearest earlier result, and what set it off.
#![expect(clippy::print_stdout, reason = "the command's output")]
use std::fmt::Write as _;

use anyhow::Context as _;

use crate::{
    cli::{
        args,
        exit::{Exit, Failure},
        explanation::{Detail, lines, listing},
        workplace::Workplace,
    },
    engine::{
        explain::{Explainer, Explanation},
        plan_forcing,
    },
};

pub(super) fn why(args: &args::Why) -> Result<Exit, Failure> {
    let mut place = Workplace::open(&args.place)?;
    let forced = place.forced(&args.force.force)?;
    // Asked about, not asked for: the plan is that of the whole pipeline.
    let asked = place.targets.take();
    let opened = place.existing_cache()?;
    let cache = opened.as_ref().map(|(cache, index)| (cache, index));
    let externals = place.externals(cache.map(|(cache, _)| cache))?;
    let plan = plan_forcing(&place.pipeline, &place.graph(), &externals, cache, &forced);
    let mut explainer = Explainer::new((&place.pipeline, &externals), &plan, cache);
    let asked = asked.unwrap_or_else(|| place.pipeline.ids().collect());
    let explained: Vec<Explanation> = asked
        .into_iter()
        .filter_map(|id| explainer.explain(id))
        .collect();
    if args.json {
        let json = serde_json::to_string(&explained).context("write the explanations")?;
        println!("{json}");
    } else {
        print!("{}", text(&explained));
    }
    Ok(Exit::Done)
}

/// A stage, and the lines that are the same for several of its instances.
type Common<'a> = (&'a str, Vec<String>);

/// Instances of a stage with the same explanation are said once.
fn text(explained: &[Explanation]) -> String {
    let mut groups: Vec<(Common<'_>, Vec<&Explanation>)> = Vec::new();
    for one in explained {
        let common = (one.stage.as_str(), lines(one, Detail::Common));
        match groups.iter_mut().rev().find(|(known, _)| *known == common) {
            Some((_, members)) => members.push(one),
            None => groups.push((common, vec![one])),
        }
    }
    let mut out = String::new();
    for (_, members) in groups {
        let Some((first, alike)) = members.split_first() else {
            continue;
        };
        let mut lines = lines(first, Detail::Full).into_iter();
        let head = lines.next().unwrap_or_default();
        writeln!(out, "{}: {head}", first.instance).expect("writing to a string succeeds");
        for line in lines {
            writeln!(out, "  {}", line.replace('\n', "\n  "))
                .expect("writing to a string succeeds");
        }
        if !alike.is_empty() {
            let labels: Vec<String> = alike.iter().map(|one| one.instance.clone()).collect();
            writeln!(
                out,
                "  and {} alike: {}",
                labels.len(),
                listing(&labels, Detail::Full)
            )
            .expect("writing to a string succeeds");
        }
    }
    out
}
