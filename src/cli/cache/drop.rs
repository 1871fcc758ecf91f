//! `vgh cache drop`: retires distrusted results.
#![expect(clippy::print_stdout, reason = "the command's output")]
use serde_json::json;

use crate::{
    cache,
    cli::{
        args::Place,
        cache::args,
        exit::{Exit, Failure},
        workplace::Workplace,
    },
    digest::Key,
    engine::plan,
};

/// Digits that are enough to mean a key.
const DIGITS: usize = 8;

pub(super) fn drop(args: &args::Drop, cache: &cache::Cache) -> Result<Exit, Failure> {
    let (digits, words): (Vec<&String>, Vec<&String>) =
        args.words.iter().partition(|word| is_key(word));
    let mut wanted = by_digits(&digits, cache)?;
    if !words.is_empty() {
        wanted.extend(by_selectors(args, &words, cache)?);
    }
    let mut dropped = Vec::new();
    for (name, key) in wanted {
        if cache.drop_record(&key).map_err(Failure::Cache)? {
            dropped.push((name, key));
        } else if !dropped.iter().any(|(_, done)| *done == key) {
            return Err(Failure::Usage(format!("`{name}` has no record to drop")));
        }
    }
    if args.json {
        let dropped = dropped
            .iter()
            .map(|(name, key)| json!({ "name": name, "key": key }));
        println!("{}", json!({ "dropped": dropped.collect::<Vec<_>>() }));
    } else {
        for (name, key) in &dropped {
            println!(
                "{name} dropped ({}); its file is in quarantine/",
                key.0.short()
            );
        }
    }
    Ok(Exit::Done)
}

fn is_key(word: &str) -> bool {
    (DIGITS..=64).contains(&word.len())
        && word
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn by_digits(digits: &[&String], cache: &cache::Cache) -> Result<Vec<(String, Key)>, Failure> {
    if digits.is_empty() {
        return Ok(Vec::new());
    }
    let held = cache.holdings().map_err(Failure::Cache)?;
    let find = |digits: &&String| {
        let mut found = held
            .iter()
            .filter(|holding| holding.key.to_string().starts_with(digits.as_str()));
        match (found.next(), found.next()) {
            (Some(one), None) => Ok((one.kind.clone(), one.key)),
            (None, _) => Err(Failure::Usage(format!("no record has the key {digits}"))),
            (Some(_), Some(_)) => Err(Failure::Usage(format!(
                "several records have a key that begins with {digits}"
            ))),
        }
    };
    digits.iter().map(find).collect()
}

fn by_selectors(
    args: &args::Drop,
    words: &[&String],
    cache: &cache::Cache,
) -> Result<Vec<(String, Key)>, Failure> {
    let place = Workplace::open(&Place {
        offline: true,
        words: words.iter().map(|word| (*word).clone()).collect(),
        set: args.set.clone(),
        cache: Some(cache.root().to_owned()),
    })?;
    let Some(targets) = &place.targets else {
        return Err(Failure::Usage("name the stages to drop".to_owned()));
    };
    let index = cache::RecordIndex::load(cache).map_err(Failure::Cache)?;
    let externals = place.externals(Some(cache))?;
    let known = Some((cache, &index));
    let plan = plan(&place.pipeline, &place.graph(), &externals, known);
    let key = |id: &_| {
        let label = place.pipeline.label(*id);
        let key = plan
            .entry(*id)
            .filter(|entry| entry.record.is_some())?
            .key?;
        Some((label, key))
    };
    let found: Vec<(String, Key)> = targets.iter().filter_map(key).collect();
    if found.is_empty() {
        return Err(Failure::Usage("none of these has a result".to_owned()));
    }
    Ok(found)
}
