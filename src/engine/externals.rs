//! What lies outside the cache and counts: digests of the files and folders
//! that parameters name, values of environment variables. Taken once a run.
use std::{
    collections::BTreeMap,
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

use crate::{
    cache::StatIndex,
    digest::Digest,
    pipeline::{InstanceId, Pipeline},
    stage::{Action, Delivery, Foreign},
};

/// What enters the key of one instance.
#[derive(Debug, Default)]
pub struct Outside {
    /// By parameter.
    pub digests: BTreeMap<&'static str, Digest>,
    /// Variable to value; `None` is unset.
    pub variables: BTreeMap<String, Option<String>>,
}

/// For every instance what enters its key, where externals are read, and the
/// variables that are passed on without counting.
#[derive(Debug, Default)]
pub struct Externals {
    outside: BTreeMap<InstanceId, Outside>,
    paths: BTreeMap<InstanceId, BTreeMap<&'static str, PathBuf>>,
    passed: BTreeMap<InstanceId, BTreeMap<String, String>>,
}

impl Externals {
    /// Hashes what the pipeline names; `stat` remembers unchanged files.
    ///
    /// # Errors
    /// When a file cannot be read: the stage, the parameter and the path.
    pub fn digest(pipeline: &Pipeline, stat: &mut StatIndex) -> Result<Externals> {
        let mut externals = Externals::default();
        let mut seen: BTreeMap<PathBuf, Digest> = BTreeMap::new();
        for id in pipeline.ids() {
            let action = &pipeline.instance(id).action;
            let named = || format!("stage `{}`", pipeline.stage_of(id).name);
            externals
                .variables(id, action.as_ref())
                .with_context(named)?;
            for external in action.externals() {
                let path = pipeline.folder.join(&external.path);
                let digest = match seen.get(&path) {
                    Some(digest) => *digest,
                    None => digest_of(&path, stat).with_context(|| {
                        format!(
                            "`{}` of stage `{}`",
                            external.param,
                            pipeline.stage_of(id).name
                        )
                    })?,
                };
                seen.insert(path.clone(), digest);
                externals
                    .outside
                    .entry(id)
                    .or_default()
                    .digests
                    .insert(external.param, digest);
                externals
                    .paths
                    .entry(id)
                    .or_default()
                    .insert(external.param, path);
            }
        }
        Ok(externals)
    }

    fn variables(&mut self, id: InstanceId, action: &dyn Action) -> Result<()> {
        let wanted = action.variables();
        for name in wanted.hashed {
            let value = variable(&name)?;
            let outside = self.outside.entry(id).or_default();
            outside.variables.insert(name, value);
        }
        for name in wanted.passed {
            if let Some(value) = variable(&name)? {
                self.passed.entry(id).or_default().insert(name, value);
            }
        }
        Ok(())
    }

    pub fn of(&self, id: InstanceId) -> &Outside {
        const NONE: &Outside = &Outside {
            digests: BTreeMap::new(),
            variables: BTreeMap::new(),
        };
        self.outside.get(&id).unwrap_or(NONE)
    }

    /// What an instance that runs a foreign program is told of the world.
    pub fn foreign(&self, pipeline: &Pipeline, id: InstanceId) -> Option<Foreign> {
        pipeline.stage_of(id).kind.open?;
        let outside = self.of(id);
        let mut environment = self.passed.get(&id).cloned().unwrap_or_default();
        let set = |(name, value): (&String, &Option<String>)| Some((name.clone(), value.clone()?));
        environment.extend(outside.variables.iter().filter_map(set));
        let externals = outside.digests.iter();
        Some(Foreign {
            environment,
            externals: externals
                .map(|(param, digest)| ((*param).to_owned(), *digest))
                .collect(),
            inputs: deliveries(pipeline, id),
        })
    }

    pub fn paths(&self, id: InstanceId) -> BTreeMap<String, PathBuf> {
        let paths = self.paths.get(&id).into_iter().flatten();
        paths
            .map(|(param, path)| ((*param).to_owned(), path.clone()))
            .collect()
    }
}

fn deliveries(pipeline: &Pipeline, id: InstanceId) -> BTreeMap<String, Delivery> {
    let inputs = pipeline.instance(id).inputs.iter();
    let delivered = inputs.filter_map(|input| {
        let source = input.sources.first()?;
        Some((input.port.name.to_owned(), source.output.delivery()))
    });
    delivered.collect()
}

fn variable(name: &str) -> Result<Option<String>> {
    match env::var(name) {
        Ok(value) => Ok(Some(value)),
        Err(env::VarError::NotPresent) => Ok(None),
        Err(env::VarError::NotUnicode(_)) => {
            bail!("the environment variable `{name}` is not UTF-8")
        }
    }
}

pub(super) fn digest_of(path: &Path, stat: &mut StatIndex) -> Result<Digest> {
    let metadata = std::fs::metadata(path).with_context(|| format!("read {}", path.display()))?;
    if metadata.is_dir() {
        Ok(stat.tree_of(path)?.digest())
    } else {
        Ok(stat.digest_of(path)?.0)
    }
}
