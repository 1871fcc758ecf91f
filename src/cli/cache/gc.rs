//! `vgh cache gc`: removes what nothing needs, and says what went, by stage.
#![expect(clippy::print_stdout, reason = "the command's output")]
use std::collections::BTreeMap;

use serde_json::json;

use crate::{
    cache::{self, Fate, GcOptions, GcReport},
    cli::{
        cache::{
            amount::{size, table},
            args,
            named::Named,
        },
        exit::{Exit, Failure},
    },
    progress::plural,
};

pub(super) fn gc(args: &args::Gc, cache: &cache::Cache) -> Result<Exit, Failure> {
    let mut named = Named::by_pipelines(&args.pipelines, cache)?;
    if let Some(count) = args.keep_runs {
        named.add_runs(count, cache)?;
    }
    let rooted = !args.pipelines.is_empty() || args.keep_runs.is_some();
    let options = GcOptions {
        roots: rooted.then(|| named.roots.clone()),
        older_than: args.older_than,
        max_bytes: args.max_size,
        free_bytes: args.free_space,
        grace: args.grace,
        dry_run: args.dry_run,
    };
    let report = cache.gc(&options).map_err(Failure::Cache)?;
    let groups = groups(&report, &named);
    if args.json {
        println!("{}", json(args.dry_run, &report, &groups));
    } else {
        print!("{}", text(args.dry_run, &report, &groups));
    }
    Ok(Exit::Done)
}

/// The records of one stage or kind, by fate.
#[derive(Debug, Default)]
struct Group {
    kept: usize,
    emptied: usize,
    dropped: usize,
    freed: u64,
}

fn groups(report: &GcReport, named: &Named) -> BTreeMap<String, Group> {
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    for verdict in &report.verdicts {
        let group = groups.entry(named.name(&verdict.holding)).or_default();
        group.freed += verdict.freed;
        match verdict.fate {
            Fate::Kept => group.kept += 1,
            Fate::Emptied => group.emptied += 1,
            Fate::Dropped => group.dropped += 1,
        }
    }
    groups
}

fn json(dry_run: bool, report: &GcReport, groups: &BTreeMap<String, Group>) -> serde_json::Value {
    let groups = groups.iter().map(|(name, group)| {
        json!({
            "name": name, "kept": group.kept, "emptied": group.emptied,
            "dropped": group.dropped, "freed_bytes": group.freed,
        })
    });
    json!({
        "dry_run": dry_run, "results": groups.collect::<Vec<_>>(),
        "orphans": report.orphans, "orphan_bytes": report.orphan_bytes,
        "snapshots": report.snapshots, "snapshot_bytes": report.snapshot_bytes,
        "downloads": report.downloads, "download_bytes": report.download_bytes,
        "abandoned": report.abandoned, "spared": report.spared,
        "freed_bytes": report.freed, "left_bytes": report.left, "live_runs": report.live,
    })
}

fn text(dry_run: bool, report: &GcReport, groups: &BTreeMap<String, Group>) -> String {
    let heading = ["", "kept", "emptied", "dropped", "bytes freed"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    for (name, group) in groups {
        rows.push(vec![
            name.clone(),
            group.kept.to_string(),
            group.emptied.to_string(),
            group.dropped.to_string(),
            size(group.freed),
        ]);
    }
    let mut other = |name: &str, count: usize, bytes: u64| {
        if count > 0 {
            let none = String::new();
            rows.push(vec![
                name.to_owned(),
                none.clone(),
                none,
                count.to_string(),
                size(bytes),
            ]);
        }
    };
    other("bytes of no record", report.orphans, report.orphan_bytes);
    other("resume states", report.snapshots, report.snapshot_bytes);
    other("downloads", report.downloads, report.download_bytes);
    let mut out = table(&rows, 1);
    if report.abandoned > 0 {
        out.push_str(&format!(
            "{} of dead processes removed\n",
            plural(report.abandoned, "folder")
        ));
    }
    if !report.live.is_empty() {
        let live = report.live.join(", ");
        out.push_str(&format!("held back by live runs: {live}\n"));
    }
    let (freed, left) = (size(report.freed), size(report.left));
    let would = if dry_run { "would be " } else { "" };
    out.push_str(&format!("{freed} {would}freed, {left} left\n"));
    out
}
