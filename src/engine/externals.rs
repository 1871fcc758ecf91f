//! What lies outside the cache and counts: digests of the files and folders
//! that parameters name, values of environment variables. Taken once a run.
use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    env,
    path::{Path, PathBuf, absolute},
};

use anyhow::{Context as _, Result, bail};

use crate::{
    cache::StatIndex,
    diagnostic::Diagnostic,
    digest::{Digest, ObjectId},
    pipeline::{InstanceId, ParamPlace, Pipeline},
    stage::{Action, Delivery, External, Foreign, Pinned, Reference},
};

/// What enters the key of one instance.
#[derive(Debug, Default)]
pub struct Outside {
    /// By parameter.
    pub digests: BTreeMap<&'static str, Digest>,
    /// Variable to value; `None` is unset.
    pub variables: BTreeMap<String, Option<String>>,
    /// References that nobody has resolved yet: without them there is no key.
    pub unresolved: Vec<Reference>,
    /// Bytes of the files that the others stand for.
    pub download_bytes: u64,
}

/// For every instance what enters its key, where externals are read, and the
/// variables that are passed on without counting.
#[derive(Debug, Default)]
pub struct Externals {
    outside: HashMap<InstanceId, Outside>,
    passed: HashMap<InstanceId, BTreeMap<String, String>>,
    places: Vec<(PathBuf, Vec<InstanceId>)>,
}

impl Externals {
    /// Hashes what the pipeline names; `stat` remembers unchanged files.
    ///
    /// # Errors
    /// [`crate::diagnostic::Faults`] where the text names what is not there,
    /// all at once; otherwise when a file cannot be read: the stage, the
    /// parameter and the path.
    pub fn digest(pipeline: &Pipeline, stat: &mut StatIndex) -> Result<Externals> {
        Externals::digest_of(pipeline, pipeline.ids(), stat)
    }

    /// The same of some instances.
    ///
    /// # Errors
    /// As for all.
    pub fn digest_of(
        pipeline: &Pipeline,
        ids: impl Iterator<Item = InstanceId>,
        stat: &mut StatIndex,
    ) -> Result<Externals> {
        let mut externals = Externals::default();
        let mut seen: HashMap<PathBuf, (Digest, Vec<InstanceId>)> = HashMap::new();
        let mut missing = Vec::new();
        // The folder of a bare file name is empty, which has no absolute form.
        let folder = absolute(Path::new(".").join(&pipeline.folder))
            .with_context(|| format!("cannot find {}", pipeline.folder.display()))?;
        for id in ids {
            let action = &pipeline.instance(id).action;
            let named = || format!("stage `{}`", pipeline.stage_of(id).name);
            externals
                .read_variables(id, action.as_ref())
                .with_context(named)?;
            externals.read_references(pipeline, id);
            for external in action.externals() {
                let named = || {
                    let stage = &pipeline.stage_of(id).name;
                    format!("`{}` of stage `{stage}`", external.param)
                };
                // Many instances may name one large folder.
                let digest = match seen.entry(folder.join(&external.path)) {
                    Entry::Occupied(mut known) => {
                        let (digest, readers) = known.get_mut();
                        readers.push(id);
                        *digest
                    }
                    Entry::Vacant(place) => match stat.content_of(place.key()) {
                        Ok(digest) => place.insert((digest, vec![id])).0,
                        Err(_) if matches!(place.key().try_exists(), Ok(false)) => {
                            missing.push(not_there(pipeline, id, &external, place.key()));
                            continue;
                        }
                        Err(error) => return Err(error).with_context(named),
                    },
                };
                let outside = externals.outside.entry(id).or_default();
                outside.digests.insert(external.param, digest);
            }
        }
        if !missing.is_empty() {
            return Err(pipeline.faults_at(missing).into());
        }
        let place = |(place, (_, readers))| (place, readers);
        externals.places = seen.into_iter().map(place).collect();
        Ok(externals)
    }

    /// The files and folders that were hashed, with the instances that name
    /// them, in no order. An instance may stand there twice.
    pub fn places(&self) -> &[(PathBuf, Vec<InstanceId>)] {
        &self.places
    }

    /// The variables whose values count; `None` is unset.
    pub fn variables(&self) -> BTreeMap<&str, Option<&str>> {
        let all = self.outside.values().flat_map(|outside| &outside.variables);
        all.map(|(name, value)| (name.as_str(), value.as_deref()))
            .collect()
    }

    fn read_references(&mut self, pipeline: &Pipeline, id: InstanceId) {
        for reference in pipeline.instance(id).action.references() {
            let outside = self.outside.entry(id).or_default();
            match pipeline.lock.pinned(&reference) {
                Some(pinned) => {
                    outside.digests.insert(reference.param, pinned.digest());
                    outside.download_bytes += pinned.size();
                }
                None => outside.unresolved.push(reference),
            }
        }
    }

    /// What the references of an instance stand for, by parameter.
    pub fn references(&self, pipeline: &Pipeline, id: InstanceId) -> BTreeMap<String, Pinned> {
        let references = pipeline.instance(id).action.references().into_iter();
        let pinned = |reference: Reference| {
            let pinned = pipeline.lock.pinned(&reference)?;
            Some((reference.param.to_owned(), pinned))
        };
        references.filter_map(pinned).collect()
    }

    /// The files of hubs that an instance is made of, by size in bytes.
    pub fn files(&self, pipeline: &Pipeline, id: InstanceId) -> BTreeMap<ObjectId, u64> {
        let references = self.references(pipeline, id);
        let files = references.values().flat_map(|pinned| pinned.files.values());
        files.map(|file| (file.id, file.size)).collect()
    }

    fn read_variables(&mut self, id: InstanceId, action: &dyn Action) -> Result<()> {
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
            unresolved: Vec::new(),
            download_bytes: 0,
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
}

/// What is said of a file or folder that is named and not there.
fn not_there<'a>(
    pipeline: &'a Pipeline,
    id: InstanceId,
    external: &External,
    place: &Path,
) -> (ParamPlace<'a>, Diagnostic) {
    let stage = &pipeline.stage_of(id).name;
    let fault = Diagnostic::new(format!(
        "`{}` of stage `{stage}` names {}, which is not there",
        external.param,
        external.path.display()
    ))
    .label(format!("there is no {}", place.display()));
    let beside = place.parent().and_then(|folder| folder.read_dir().ok());
    let beside: Vec<String> = (beside.into_iter().flatten().flatten())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    let name = place.file_name().and_then(|name| name.to_str());
    let fault = fault.nearest(name.unwrap_or_default(), beside.iter().map(String::as_str));
    let param = external.param;
    (ParamPlace { stage, param }, fault)
}

/// Where the externals of an instance lie, by parameter.
pub(super) fn paths(pipeline: &Pipeline, id: InstanceId) -> BTreeMap<String, PathBuf> {
    let externals = pipeline.instance(id).action.externals();
    let place = |external: External| {
        let path = pipeline.folder.join(external.path);
        (external.param.to_owned(), path)
    };
    externals.into_iter().map(place).collect()
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
