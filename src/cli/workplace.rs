//! Where the pipeline and the cache are, and how they are opened.
use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, anyhow};

use crate::{
    cache::{Cache, RecordIndex, StatIndex},
    cli::{args::Place, exit::Failure},
    diagnostic::Source,
    engine::{Externals, Graph},
    pipeline::{InstanceId, Pipeline, Selector, decode, load},
    stages::KINDS,
};

const FOLDER: &str = "pipelines";
const DEFAULT: &str = "pipelines/quickstart.toml";
const EMBEDDED: &str = include_str!("../../pipelines/quickstart.toml");
const EMBEDDED_NAME: &str = "quickstart.toml (embedded)";

/// The text of a pipeline and where all is, before anything is made of it.
pub(super) struct Written {
    pub(super) source: Source,
    /// Where relative externals start.
    pub(super) folder: PathBuf,
    pub(super) cache_root: PathBuf,
}

impl Written {
    pub(super) fn read(place: &Place) -> Result<Written, Failure> {
        let (source, folder) = read(split(&place.words).0)?;
        Ok(Written {
            source,
            folder,
            cache_root: cache_root(place.cache.as_deref())?,
        })
    }
}

/// A pipeline, what is asked of it, and its cache's place.
pub(super) struct Workplace {
    pub(super) pipeline: Pipeline,
    /// What the selectors name; `None` asks for everything.
    pub(super) targets: Option<Vec<InstanceId>>,
    pub(super) cache_root: PathBuf,
}

impl Workplace {
    pub(super) fn open(place: &Place) -> Result<Workplace, Failure> {
        Workplace::of(Written::read(place)?, place)
    }

    pub(super) fn of(written: Written, place: &Place) -> Result<Workplace, Failure> {
        let pipeline = load(written.source, written.folder, KINDS, &place.set)?;
        let (_, words) = split(&place.words);
        let targets = if words.is_empty() {
            None
        } else {
            let selectors: Vec<Selector> = words
                .iter()
                .map(|word| Selector::parse(word))
                .collect::<Result<_, _>>()?;
            Some(pipeline.select(&selectors)?)
        };
        Ok(Workplace {
            pipeline,
            targets,
            cache_root: written.cache_root,
        })
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

/// A first word that looks like a path is the file; the rest are selectors.
pub(super) fn split(words: &[String]) -> (Option<&Path>, &[String]) {
    match words.split_first() {
        Some((first, rest)) if looks_like_file(first) => (Some(Path::new(first)), rest),
        _ => (None, words),
    }
}

fn looks_like_file(word: &str) -> bool {
    Path::new(word)
        .extension()
        .is_some_and(|extension| extension == "toml")
        || word.contains('/')
}

fn read(file: Option<&Path>) -> Result<(Source, PathBuf), Failure> {
    let path = match file {
        Some(path) => path.to_owned(),
        None => match default_file()? {
            Some(path) => path,
            None => return Ok((Source::file(EMBEDDED_NAME, EMBEDDED), PathBuf::from("."))),
        },
    };
    let bytes = fs::read(&path)
        .map_err(|error| Failure::Usage(format!("read {}: {error}", path.display())))?;
    let folder = path.parent().map_or_else(PathBuf::new, Path::to_owned);
    Ok((decode(&path.display().to_string(), bytes)?, folder))
}

/// `pipelines/quickstart.toml`, else the only file there; `None` without a folder.
fn default_file() -> Result<Option<PathBuf>, Failure> {
    if Path::new(DEFAULT).is_file() {
        return Ok(Some(DEFAULT.into()));
    }
    let Ok(entries) = fs::read_dir(FOLDER) else {
        return Ok(None);
    };
    let paths = entries.filter_map(Result::ok).map(|entry| entry.path());
    let mut files: Vec<PathBuf> = paths
        .filter(|path| path.extension().is_some_and(|ext| ext == "toml"))
        .collect();
    files.sort();
    match files.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(one.clone())),
        several => {
            let names: Vec<String> = several
                .iter()
                .map(|path| format!("  {}", path.display()))
                .collect();
            Err(Failure::Usage(format!(
                "several pipelines here; name one of them:\n{}",
                names.join("\n")
            )))
        }
    }
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
