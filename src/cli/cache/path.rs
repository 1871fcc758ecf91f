//! `vgh cache path`: where the cache is, or where a result's bytes are.
#![expect(clippy::print_stdout, reason = "the command's output")]
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::{
    cache::{Cache, Content, Form},
    cli::{
        args::Place,
        cache::args,
        exit::{Exit, Failure},
        workplace::{Workplace, no_cache},
    },
    engine::plan,
};

pub(super) fn path(args: &args::Path, root: &Path) -> Result<Exit, Failure> {
    let opened = if args.words.is_empty() {
        None
    } else {
        Some(Workplace::open(&Place {
            offline: true,
            words: args.words.clone(),
            set: args.set.clone(),
            cache: Some(root.to_owned()),
        })?)
    };
    let asked = opened
        .as_ref()
        .and_then(|place| Some((place, place.targets.as_ref()?)));
    let Some((place, targets)) = asked else {
        if args.json {
            println!("{}", json!({ "cache": root }));
        } else {
            println!("{}", root.display());
        }
        return Ok(Exit::Done);
    };
    let Some((cache, index)) = place.existing_cache()? else {
        return Err(no_cache(root));
    };
    let externals = place.externals(Some(&cache))?;
    let known = Some((&cache, &index));
    let plan = plan(&place.pipeline, &place.graph(), &externals, known);
    let mut found = Vec::new();
    for id in targets {
        let label = place.pipeline.label(*id);
        let outputs = plan.entry(*id).and_then(|entry| entry.outputs());
        let outputs = outputs
            .ok_or_else(|| place.no_result(*id))?
            .iter()
            .filter(|(name, _)| place.wants(*id, name));
        for (output, content) in outputs {
            for (file, path) in files(&cache, &format!("{label}.{output}"), content)? {
                found.push(
                    json!({ "instance": label, "output": output, "file": file, "path": path }),
                );
            }
        }
    }
    if args.json {
        println!("{}", Value::Array(found));
    } else {
        for one in &found {
            println!("{}", one["path"].as_str().unwrap_or_default());
        }
    }
    Ok(Exit::Done)
}

/// The blobs of an output, by name within a tree.
fn files(
    cache: &Cache,
    title: &str,
    content: &Content,
) -> Result<Vec<(Option<String>, PathBuf)>, Failure> {
    let gone = || {
        Failure::Effect(anyhow::anyhow!(
            "the bytes of `{title}` are not in the cache: run the pipeline for it to make them again"
        ))
    };
    if !cache.has(content) {
        return Err(gone());
    }
    match content.form {
        Form::File => Ok(vec![(None, cache.blob_path(&content.digest))]),
        Form::Tree => {
            let tree = cache.tree(&content.digest).map_err(|_| gone())?;
            let files = tree.files.iter();
            Ok(files
                .map(|(name, entry)| (Some(name.clone()), cache.blob_path(&entry.digest)))
                .collect())
        }
    }
}
