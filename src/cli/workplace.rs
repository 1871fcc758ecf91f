//! Where the pipeline and the cache are, and how they are opened.
use std::{
    collections::BTreeSet,
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, anyhow};

use crate::{
    cache::{Cache, RecordIndex, StatIndex},
    cli::{
        args::Place,
        exit::Failure,
        pipeline_file::{Text, named_without_folder, read, split},
        references,
    },
    diagnostic::Source,
    engine::{Externals, Graph},
    pipeline::{InstanceId, Lock, Pipeline, Selector, load},
    stages::KINDS,
};

/// The text of a pipeline and where all is, before anything is made of it.
pub(super) struct Written {
    pub(super) source: Source,
    /// Where relative externals start.
    pub(super) folder: PathBuf,
    /// Where its lock is, what it says, and that as text.
    pub(super) lock_path: PathBuf,
    pub(super) lock: Lock,
    pub(super) lock_text: String,
    pub(super) cache_root: PathBuf,
}

impl Written {
    pub(super) fn read(place: &Place) -> Result<Written, Failure> {
        let Text {
            source,
            folder,
            path,
        } = read(split(&place.words).0)?;
        let lock_path = Lock::beside(&path);
        let (lock, lock_text) = references::read(&lock_path)?;
        Ok(Written {
            source,
            folder,
            lock_path,
            lock,
            lock_text,
            cache_root: cache_root(place.cache.as_deref())?,
        })
    }
}

/// A pipeline, what is asked of it, and its cache's place.
pub(super) struct Workplace {
    pub(super) pipeline: Pipeline,
    /// What the selectors name; `None` asks for everything.
    pub(super) targets: Option<Vec<InstanceId>>,
    /// The output that each selector names, if any, and its instances.
    selected: Vec<(Option<String>, Vec<InstanceId>)>,
    /// Where the pipeline's lock is.
    pub(super) lock_path: PathBuf,
    /// The words that led here.
    words: Vec<String>,
    set: Vec<String>,
    pub(super) cache_root: PathBuf,
}

impl Workplace {
    pub(super) fn open(place: &Place) -> Result<Workplace, Failure> {
        Workplace::of(Written::read(place)?, place)
    }

    pub(super) fn of(written: Written, place: &Place) -> Result<Workplace, Failure> {
        let mut pipeline = load(written.source, written.folder, KINDS, &place.set)?;
        pipeline.lock = written.lock;
        let (_, words) = split(&place.words);
        let selectors: Vec<Selector> = words
            .iter()
            .map(|word| Selector::parse(word))
            .collect::<Result<_, _>>()?;
        if let Some(failure) = named_without_folder(&selectors, &pipeline) {
            return Err(failure);
        }
        // All together first, so that all their faults are told at once.
        let targets = pipeline.select(&selectors)?;
        let mut selected = Vec::new();
        for selector in selectors {
            let found = pipeline.select(std::slice::from_ref(&selector))?;
            selected.push((selector.output, found));
        }
        Ok(Workplace {
            pipeline,
            targets: (!selected.is_empty()).then_some(targets),
            selected,
            lock_path: written.lock_path,
            words: place.words.clone(),
            set: place.set.clone(),
            cache_root: written.cache_root,
        })
    }

    /// Whether the selectors ask for this output of an instance.
    pub(super) fn wants(&self, id: InstanceId, output: &str) -> bool {
        self.selected.iter().any(|(named, instances)| {
            named.as_ref().is_none_or(|named| named == output)
                && instances.binary_search(&id).is_ok()
        })
    }

    /// That an instance has no result, and what makes it.
    pub(super) fn no_result(&self, id: InstanceId) -> Failure {
        let label = self.pipeline.label(id);
        let mut command = "vgh run".to_owned();
        if let Some(file) = split(&self.words).0 {
            command.push_str(&format!(" {}", file.display()));
        }
        command.push_str(&format!(" {label}"));
        for set in &self.set {
            command.push_str(&format!(" --set '{set}'"));
        }
        Failure::Usage(format!(
            "`{label}` has no result for what the file says now: `{command}` makes it"
        ))
    }

    /// The instances that `--force` names; they are asked for as well.
    pub(super) fn forced(&mut self, words: &[String]) -> Result<BTreeSet<InstanceId>, Failure> {
        let mut forced = BTreeSet::new();
        for word in words {
            match word.as_str() {
                "" => match &self.targets {
                    Some(targets) => forced.extend(targets),
                    None => forced.extend(self.pipeline.ids()),
                },
                word => forced.extend(self.pipeline.select(&[Selector::parse(word)?])?),
            }
        }
        if let Some(targets) = &mut self.targets {
            targets.extend(&forced);
            targets.sort_unstable();
            targets.dedup();
        }
        Ok(forced)
    }

    pub(super) fn graph(&self) -> Graph {
        Graph::build(&self.pipeline, self.targets.as_deref())
    }

    /// The cache if there is one; creates nothing.
    pub(super) fn existing_cache(&self) -> Result<Option<(Cache, RecordIndex)>, Failure> {
        let Some(cache) = Cache::open_existing(&self.cache_root).map_err(Failure::Cache)? else {
            return Ok(None);
        };
        let index = RecordIndex::load(&cache).map_err(Failure::Cache)?;
        Ok(Some((cache, index)))
    }

    /// Hashes what the pipeline names outside the cache.
    pub(super) fn externals(&self, cache: Option<&Cache>) -> Result<Externals, Failure> {
        Ok(self.hashed_externals(cache)?.0)
    }

    /// The same, with what `stat` said of the files.
    pub(super) fn hashed_externals(
        &self,
        cache: Option<&Cache>,
    ) -> Result<(Externals, StatIndex), Failure> {
        let mut stat = cache.map_or_else(StatIndex::in_memory, StatIndex::load);
        let externals = Externals::digest(&self.pipeline, &mut stat)?;
        stat.save()?;
        Ok((externals, stat))
    }
}

/// The cache at a place where one must be; creates nothing.
pub(super) fn open_cache(root: &Path) -> Result<Cache, Failure> {
    let opened = Cache::open_existing(root).map_err(Failure::Cache)?;
    opened.ok_or_else(|| no_cache(root))
}

/// That there is no cache, and what to do about it.
pub(super) fn no_cache(root: &Path) -> Failure {
    Failure::Usage(format!(
        "no cache at {}: run a pipeline first, or name another place with --cache",
        root.display()
    ))
}

/// Where the cache is: as named, else the nearest.
pub(super) fn cache_root(named: Option<&Path>) -> Result<PathBuf, Failure> {
    named.map_or_else(nearest_cache, |root| Ok(root.to_owned()))
}

/// The nearest folder `cache` upwards that is one of ours, else `./cache`.
fn nearest_cache() -> Result<PathBuf, Failure> {
    let here = env::current_dir().context("find the current folder")?;
    let ours = |folder: &Path| folder.join("cache").join("format").is_file();
    let found = here.ancestors().find(|folder| ours(folder));
    let place = found.unwrap_or(&here).join("cache");
    if place.exists() && !place.is_dir() {
        return Err(Failure::Effect(anyhow!(
            "{} is not a folder; name another with --cache",
            place.display()
        )));
    }
    Ok(place)
}
