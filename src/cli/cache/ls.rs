//! `vgh cache ls`: records by kind or stage with size, age, last use.
#![expect(clippy::print_stdout, reason = "the command's output")]
use std::{collections::BTreeMap, time::SystemTime};

use serde_json::json;

use crate::{
    cache::{self, Holding},
    cli::{
        cache::{
            amount::{age, size, table},
            args,
            named::Named,
        },
        exit::{Exit, Failure},
    },
};

pub(super) fn ls(args: &args::Ls, cache: &cache::Cache) -> Result<Exit, Failure> {
    let named = Named::by_pipelines(&args.pipelines, cache)?;
    let mut held = cache.holdings().map_err(Failure::Cache)?;
    held.sort_by_key(|holding| (named.name(holding), holding.made, holding.key));
    let now = cache::now();
    if args.json {
        let records: Vec<_> = held.iter().map(|one| json(one, &named, now)).collect();
        println!("{}", json!({ "cache": cache.root(), "records": records }));
    } else if args.long {
        print!("{}", long(&held, &named, now));
    } else {
        print!("{}", short(&held, &named, now));
    }
    Ok(Exit::Done)
}

fn json(holding: &Holding, named: &Named, now: SystemTime) -> serde_json::Value {
    json!({
        "key": holding.key, "kind": holding.kind, "name": named.name(holding),
        "bytes": holding.bytes(), "temp": holding.temp,
        "age_s": cache::age(holding.made, now).as_secs(),
        "used_s_ago": cache::age(holding.used, now).as_secs(),
    })
}

fn heading(named: &Named, more: &[&str]) -> Vec<String> {
    let first = if *named == Named::default() {
        "kind"
    } else {
        "stage (kind)"
    };
    std::iter::once(first)
        .chain(more.iter().copied())
        .map(str::to_owned)
        .collect()
}

fn long(held: &[Holding], named: &Named, now: SystemTime) -> String {
    let mut rows = vec![heading(named, &["key", "bytes", "age", "last use"])];
    rows.extend(held.iter().map(|holding| {
        vec![
            named.name(holding),
            holding.key.0.short(),
            size(holding.bytes()),
            age(cache::age(holding.made, now)),
            age(cache::age(holding.used, now)),
        ]
    }));
    table(&rows, 2)
}

fn short(held: &[Holding], named: &Named, now: SystemTime) -> String {
    let mut groups: BTreeMap<String, Vec<&Holding>> = BTreeMap::new();
    for holding in held {
        groups.entry(named.name(holding)).or_default().push(holding);
    }
    let mut rows = vec![heading(named, &["records", "bytes", "oldest", "last use"])];
    for (name, group) in &groups {
        let row = |name: &str, group: &[&Holding]| {
            let ages = group.iter().map(|holding| cache::age(holding.made, now));
            let uses = group.iter().map(|holding| cache::age(holding.used, now));
            vec![
                name.to_owned(),
                group.len().to_string(),
                size(unique_bytes(group)),
                age(ages.max().unwrap_or_default()),
                age(uses.min().unwrap_or_default()),
            ]
        };
        rows.push(row(name, group));
    }
    let all: Vec<&Holding> = held.iter().collect();
    let (count, bytes) = (held.len().to_string(), size(unique_bytes(&all)));
    rows.push(vec!["all".to_owned(), count, bytes]);
    table(&rows, 1)
}

/// Bytes that several records share count once.
fn unique_bytes(held: &[&Holding]) -> u64 {
    let blobs: BTreeMap<_, _> = held
        .iter()
        .flat_map(|holding| holding.blobs.iter().copied())
        .collect();
    blobs.values().sum()
}
