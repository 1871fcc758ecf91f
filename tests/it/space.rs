//! The tests' small language: a folder, a pipeline text, a run, what it did.
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
};

use vgh::{
    cache::{Cache, RecordIndex, StatIndex},
    diagnostic::Source,
    engine::{
        Capacity, Event, Externals, Graph, Options, Plan, RunTotals, State, execute,
        executor::Inline, plan,
    },
    pipeline::{Pipeline, Selector, load},
};

use crate::toy::KINDS;

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
}

impl Space {
    pub(crate) fn new() -> Space {
        Space {
            folder: tempfile::tempdir().unwrap(),
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
        let text = format!("[pipeline]\nformat = 1\nname = \"toy\"\n{stages}");
        load(
            Source::file("toy.toml", text),
            PathBuf::from(self.path()),
            KINDS,
            &[],
        )
        .unwrap_or_else(|faults| panic!("{faults}"))
    }

    pub(crate) fn run(&self, stages: &str) -> Ran {
        self.run_selected(stages, &[], false)
    }

    pub(crate) fn run_selected(&self, stages: &str, selectors: &[&str], keep_going: bool) -> Ran {
        let pipeline = self.pipeline(stages);
        let cache = self.cache();
        let mut index = RecordIndex::load(&cache).unwrap();
        let mut stat = StatIndex::load(&cache);
        let externals = Externals::digest(&pipeline, &mut stat).unwrap();
        stat.save().unwrap();
        let selectors: Vec<Selector> = selectors
            .iter()
            .map(|text| Selector::parse(text).unwrap())
            .collect();
        let targets = (!selectors.is_empty()).then(|| pipeline.select(&selectors).unwrap());
        let graph = Graph::build(&pipeline, targets.as_deref());
        let plan = plan(&pipeline, &graph, &externals, Some((&cache, &index)));
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
                keep_going,
                stop: &stop,
                run: "test",
            };
            let mut executor = Inline::new(KINDS, &cache);
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

/// What was executed lies between `run` and `run` plus `maybe`, in every test.
fn agree(plan: &Plan, pipeline: &Pipeline, ran: &Ran) {
    if ran.totals.failed > 0 {
        return;
    }
    for entry in &plan.entries {
        let label = pipeline.label(entry.id);
        let executed = ran.executed.contains(&label);
        match entry.state {
            State::Run(_) => assert!(executed, "`{label}` was planned to run and did not"),
            State::Cached => assert!(!executed, "`{label}` was planned as cached and ran"),
            State::Maybe(_) => {}
        }
    }
}
