//! The tests' small language: a folder, a pipeline text, a run, what it did.
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
};

use vgh::{
    cache::{Cache, RecordIndex, StatIndex},
    diagnostic::{Faults, Source},
    engine::{
        Capacity, Done, Event, Externals, Graph, Options, Plan, RunTotals, State, execute,
        executor::Inline,
        explain::{Explainer, Explanation},
        plan_forcing,
    },
    pipeline::{InstanceId, Pipeline, Selector, load},
    stage::Kind,
};

use crate::toy::KINDS;

/// a -> b -> all, c over two values -> d -> all.
pub(crate) const BASE: &str = r#"
[axes]
i = [1, 2]

[stages.a]
kind = "number"
value = 1e-4

[stages.b]
kind = "double"
inputs = { n = "a" }

[stages.c]
kind = "number"
over = ["i"]
value = "{i}"

[stages.d]
kind = "double"
over = ["i"]
add = 1000
inputs = { n = "c" }

[stages.all]
kind = "collect"
along = ["i"]
inputs = { n = ["d", "b"] }
"#;

/// A temporary project with a cache, running toy kinds in this process.
pub(crate) struct Space {
    folder: tempfile::TempDir,
}

/// What a run did.
#[derive(Debug)]
pub(crate) struct Ran {
    /// Labels of the instances that were executed, sorted.
    pub(crate) executed: Vec<String>,
    /// What the plan said beforehand: label to state.
    pub(crate) planned: BTreeMap<String, State>,
    pub(crate) totals: RunTotals,
    /// Text of output `n` by label.
    pub(crate) texts: BTreeMap<String, String>,
    pub(crate) failures: Vec<String>,
    pub(crate) warnings: Vec<String>,
    /// Labels of what nothing consumes or was selected.
    pub(crate) targets: Vec<String>,
}

/// A run in all its parts; [`Space::run`] fills in the usual ones.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) kinds: &'static [Kind],
    pub(crate) folder: &'a Path,
    pub(crate) cache: &'a Path,
    /// Without the `[pipeline]` table.
    pub(crate) stages: &'a str,
    pub(crate) selectors: &'a [&'a str],
    pub(crate) forced: &'a [&'a str],
    pub(crate) keep_going: bool,
}

impl Space {
    pub(crate) fn new() -> Space {
        Space {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// In memory where the system offers that: for tests of many runs.
    pub(crate) fn in_memory() -> Space {
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        Space {
            folder: folder.unwrap(),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).unwrap();
    }

    pub(crate) fn cache(&self) -> Cache {
        Cache::open(&self.path().join("cache")).unwrap()
    }

    /// `stages` without the `[pipeline]` table.
    pub(crate) fn pipeline(&self, stages: &str) -> Pipeline {
        read(KINDS, self.path(), stages)
    }

    pub(crate) fn run(&self, stages: &str) -> Ran {
        self.run_selected(stages, &[], false)
    }

    pub(crate) fn run_selected(&self, stages: &str, selectors: &[&str], keep_going: bool) -> Ran {
        let cache = self.cache_path();
        Asked {
            selectors,
            keep_going,
            ..self.usual(&cache, stages)
        }
        .run()
    }

    /// A run of everything with the toy kinds, in this folder and its cache.
    pub(crate) fn usual<'a>(&'a self, cache: &'a Path, stages: &'a str) -> Asked<'a> {
        Asked {
            kinds: KINDS,
            folder: self.path(),
            cache,
            stages,
            selectors: &[],
            forced: &[],
            keep_going: false,
        }
    }

    /// What is wrong with a text.
    pub(crate) fn faults(&self, stages: &str) -> String {
        match try_read(KINDS, self.path(), stages) {
            Ok(_) => panic!("no fault was found"),
            Err(faults) => faults.to_string(),
        }
    }

    pub(crate) fn cache_path(&self) -> PathBuf {
        self.path().join("cache")
    }
}

fn try_read(kinds: &'static [Kind], folder: &Path, stages: &str) -> Result<Pipeline, Faults> {
    let text = format!("[pipeline]\nformat = 1\nname = \"toy\"\n{stages}");
    load(
        Source::file("toy.toml", text),
        PathBuf::from(folder),
        kinds,
        &[],
    )
}

fn read(kinds: &'static [Kind], folder: &Path, stages: &str) -> Pipeline {
    try_read(kinds, folder, stages).unwrap_or_else(|faults| panic!("{faults}"))
}

fn selected(pipeline: &Pipeline, selectors: &[&str]) -> Vec<InstanceId> {
    let selectors: Vec<Selector> = selectors
        .iter()
        .map(|text| Selector::parse(text).unwrap())
        .collect();
    pipeline.select(&selectors).unwrap()
}

impl Asked<'_> {
    /// What is said about the selected instances before such a run.
    pub(crate) fn explain(&self, selectors: &[&str]) -> Vec<Explanation> {
        let pipeline = read(self.kinds, self.folder, self.stages);
        let cache = Cache::open(self.cache).unwrap();
        let index = RecordIndex::load(&cache).unwrap();
        let externals = Externals::digest(&pipeline, &mut StatIndex::in_memory()).unwrap();
        let graph = Graph::build(&pipeline, None);
        let known = Some((&cache, &index));
        let forced = selected(&pipeline, self.forced).into_iter().collect();
        let plan = plan_forcing(&pipeline, &graph, &externals, known, &forced);
        let mut explainer = Explainer::new((&pipeline, &externals), &plan, known);
        let asked = selected(&pipeline, selectors).into_iter();
        asked.map(|id| explainer.explain(id).unwrap()).collect()
    }

    /// How many files outside the cache such a run would read now, rather than
    /// only look at.
    pub(crate) fn reads(&self) -> usize {
        let pipeline = read(self.kinds, self.folder, self.stages);
        let mut stat = StatIndex::load(&Cache::open(self.cache).unwrap());
        Externals::digest(&pipeline, &mut stat).unwrap();
        stat.hashed()
    }

    pub(crate) fn run(&self) -> Ran {
        let pipeline = read(self.kinds, self.folder, self.stages);
        let cache = Cache::open(self.cache).unwrap();
        let mut index = RecordIndex::load(&cache).unwrap();
        let mut stat = StatIndex::load(&cache);
        let externals = Externals::digest(&pipeline, &mut stat).unwrap();
        stat.save().unwrap();
        let targets = (!self.selectors.is_empty()).then(|| selected(&pipeline, self.selectors));
        let graph = Graph::build(&pipeline, targets.as_deref());
        let forced = selected(&pipeline, self.forced).into_iter().collect();
        let known = Some((&cache, &index));
        let plan = plan_forcing(&pipeline, &graph, &externals, known, &forced);
        let planned = plan
            .entries
            .iter()
            .map(|entry| (pipeline.label(entry.id), entry.state.clone()))
            .collect();
        let mut ran = Ran {
            executed: Vec::new(),
            planned,
            totals: RunTotals::default(),
            texts: BTreeMap::new(),
            failures: Vec::new(),
            warnings: Vec::new(),
            targets: (pipeline.ids().filter(|id| graph.is_target(*id)))
                .map(|id| pipeline.label(id))
                .collect(),
        };
        let outcome = {
            let mut watch = |event: Event| match event {
                Event::Finished { instance, .. } => ran.executed.push(instance),
                Event::Failed {
                    instance, error, ..
                } => ran.failures.push(format!("{instance}: {error}")),
                Event::Warning { message } => ran.warnings.push(message),
                _ => {}
            };
            let stop = AtomicBool::new(false);
            let options = Options {
                jobs: 2,
                capacity: &Capacity::uncounted(),
                keep_going: self.keep_going,
                stop: &stop,
                run: "test",
                beside: &[],
                stat: &stat,
                deliver: &|results| broken(&cache, results),
            };
            let mut executor = Inline::new(self.kinds, &cache);
            execute(
                (&pipeline, &graph, &externals),
                &plan,
                (&cache, &mut index),
                &mut executor,
                &options,
                &mut watch,
            )
            .unwrap()
        };
        for (id, done) in &outcome.results {
            if let Some(content) = done.outputs.get("n")
                && let Ok(path) = cache.verified(&content.digest, content.size)
            {
                ran.texts
                    .insert(pipeline.label(*id), fs::read_to_string(path).unwrap());
            }
        }
        ran.executed.sort();
        ran.totals = outcome.totals;
        agree(&plan, &pipeline, &ran);
        ran
    }
}

/// The results of which bytes cannot be read.
fn broken(cache: &Cache, results: &BTreeMap<InstanceId, Done>) -> Vec<InstanceId> {
    let mut found = Vec::new();
    for (id, done) in results {
        let mut contents = done.outputs.values();
        if contents.any(|content| cache.verified(&content.digest, content.size).is_err()) {
            found.push(*id);
        }
    }
    found
}

/// What was executed lies between `run` and `run` plus `maybe`, in every test.
/// Damage that only reading finds may make a cached result run as well.
fn agree(plan: &Plan, pipeline: &Pipeline, ran: &Ran) {
    if ran.totals.failed > 0 {
        return;
    }
    let damage = ran.warnings.iter().any(|text| text.contains("is corrupt"));
    for entry in &plan.entries {
        let label = pipeline.label(entry.id);
        let executed = ran.executed.contains(&label);
        match entry.state {
            State::Run(_) => assert!(executed, "`{label}` was planned to run and did not"),
            State::Cached => {
                assert!(
                    !executed || damage,
                    "`{label}` was planned as cached and ran"
                );
            }
            State::Maybe(_) => {}
        }
    }
}
