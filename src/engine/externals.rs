//! Digests of the files and folders that parameters name, taken once a run.
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use crate::{
    cache::StatIndex,
    digest::Digest,
    pipeline::{InstanceId, Pipeline},
};

/// For every instance: external parameter to digest, and where to read it.
#[derive(Debug, Default)]
pub struct Externals {
    digests: BTreeMap<InstanceId, BTreeMap<&'static str, Digest>>,
    paths: BTreeMap<InstanceId, BTreeMap<&'static str, PathBuf>>,
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
            for external in pipeline.instance(id).action.externals() {
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
                    .digests
                    .entry(id)
                    .or_default()
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

    pub fn of(&self, id: InstanceId) -> &BTreeMap<&'static str, Digest> {
        const NONE: &BTreeMap<&'static str, Digest> = &BTreeMap::new();
        self.digests.get(&id).unwrap_or(NONE)
    }

    pub fn paths(&self, id: InstanceId) -> BTreeMap<String, PathBuf> {
        let paths = self.paths.get(&id).into_iter().flatten();
        paths
            .map(|(param, path)| ((*param).to_owned(), path.clone()))
            .collect()
    }
}

fn digest_of(path: &Path, stat: &mut StatIndex) -> Result<Digest> {
    let metadata = std::fs::metadata(path).with_context(|| format!("read {}", path.display()))?;
    if metadata.is_dir() {
        Ok(stat.tree_of(path)?.digest())
    } else {
        Ok(stat.digest_of(path)?.0)
    }
}
