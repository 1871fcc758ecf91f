//! The results of pipelines and of earlier runs: which records are theirs, and
//! what people call them.
use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, anyhow};
use serde_json::Value;

use crate::{
    cache::{Cache, Holding, RecordIndex, Roots},
    cli::{args::Place, exit::Failure, kept_plan::STANDING, workplace::Workplace},
    digest::{Digest, Key},
    engine::{Manifest, plan},
};

/// Names of results, and which results are asked for at all.
#[derive(Default, PartialEq)]
pub(super) struct Named {
    pub(super) roots: Roots,
    keys: HashMap<Key, String>,
    shapes: HashMap<Digest, String>,
}

impl Named {
    /// The results of these pipelines as they are now.
    pub(super) fn by_pipelines(files: &[PathBuf], cache: &Cache) -> Result<Named, Failure> {
        let mut named = Named::default();
        if files.is_empty() {
            return Ok(named);
        }
        let index = RecordIndex::load(cache).map_err(Failure::Cache)?;
        for file in files {
            let place = Workplace::open(&Place {
                offline: true,
                words: vec![as_file(file)],
                set: Vec::new(),
                cache: Some(cache.root().to_owned()),
            })?;
            let externals = place.externals(Some(cache))?;
            let known = Some((cache, &index));
            let plan = plan(&place.pipeline, &place.graph(), &externals, known);
            let roots = plan.roots(&place.pipeline, &externals);
            for entry in &plan.entries {
                let stage = &place.pipeline.stage_of(entry.id).name;
                let name = match files {
                    [_] => stage.clone(),
                    _ => format!("{}: {stage}", place.pipeline.name),
                };
                if let Some(key) = entry.key {
                    named.keys.insert(key, name);
                } else {
                    let kind = place.pipeline.stage_of(entry.id).kind;
                    let instance = place.pipeline.instance(entry.id);
                    let shape = Manifest::shape(kind, instance, externals.of(entry.id));
                    named.shapes.insert(shape.digest(), name);
                }
            }
            named.roots.extend(&roots);
        }
        Ok(named)
    }

    /// Adds the results of the last `count` runs that executed anything.
    pub(super) fn add_runs(&mut self, count: usize, cache: &Cache) -> Result<(), Failure> {
        let folder = cache.root().join("runs");
        let mut runs: Vec<PathBuf> = match fs::read_dir(&folder) {
            Ok(entries) => entries.flatten().map(|entry| entry.path()).collect(),
            Err(_) => Vec::new(),
        };
        runs.sort();
        for run in runs.iter().rev().take(count) {
            let mut keys = Vec::new();
            for name in ["plan.json", "results.json"] {
                if let Ok(bytes) = fs::read(run.join(name)) {
                    let value: Value = serde_json::from_slice(&bytes)
                        .with_context(|| format!("read {}", run.join(name).display()))?;
                    gather_keys(&value, &mut keys);
                }
            }
            if keys.is_empty() {
                let run = run.display();
                return Err(Failure::Effect(anyhow!(
                    "{run} does not say what its results are; nothing was removed"
                )));
            }
            self.roots.keys.extend(keys);
        }
        Ok(())
    }

    /// The stage of a record, or its kind in brackets where no stage is known.
    pub(super) fn name(&self, holding: &Holding) -> String {
        let known = self
            .keys
            .get(&holding.key)
            .or_else(|| self.shapes.get(&holding.shape));
        let kind = || {
            if self.keys.is_empty() && self.shapes.is_empty() {
                holding.kind.clone()
            } else {
                format!("({})", holding.kind)
            }
        };
        known.cloned().unwrap_or_else(kind)
    }
}

/// A path that cannot be taken for a selector.
fn as_file(file: &Path) -> String {
    let text = file.display().to_string();
    if text.contains('/') {
        text
    } else {
        format!("./{text}")
    }
}

/// Every digest under the name `key`, and those that a plan lists, however deep.
fn gather_keys(value: &Value, keys: &mut Vec<Key>) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                match value {
                    Value::String(text) if name == "key" => {
                        keys.extend(text.parse().ok().map(Key));
                    }
                    Value::Array(items) if name == STANDING => {
                        let texts = items.iter().filter_map(Value::as_str);
                        keys.extend(texts.filter_map(|text| text.parse().ok().map(Key)));
                    }
                    other => gather_keys(other, keys),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| gather_keys(item, keys)),
        _ => {}
    }
}
