//! Toy kinds that misbehave on purpose, and runs of them that can be watched:
//! for what several runs, lost bytes and changing inputs do to one cache.
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vgh::{
    artifact::ArtifactType::Files,
    cache::{Cache, RecordIndex, StatIndex},
    diagnostic::{Faults, Source},
    engine::{
        Capacity, Event, Externals, Graph, Options, RunTotals, execute, executor::Inline, plan,
    },
    pipeline::{Pipeline, load},
    stage::{
        Context, External, InputPort, Inputs, Kind, OutputPort, Outputs, Ports, Produced, Stage,
    },
};

use crate::toy::{Double, Join, Lines, Number};

const KINDS: &[Kind] = &[
    Kind::of::<Number>(),
    Kind::of::<Double>(),
    Kind::of::<Join>(),
    Kind::of::<Lines>(),
    Kind::of::<Hold>(),
    Kind::of::<Noise>(),
    Kind::of::<Meddle>(),
];

const OUT: &[OutputPort] = &[OutputPort::new("n", Files, "a text")];
const NONE: Ports = Ports {
    inputs: &[],
    outputs: OUT,
};

#[expect(clippy::unnecessary_wraps, reason = "every kind ends with it")]
fn out(text: &str) -> Result<Outputs> {
    Ok(Outputs::new().with("n", Produced::Bytes(text.as_bytes().to_vec())))
}

/// Nothing waits that long unless it is broken.
const PATIENCE: Duration = Duration::from_mins(1);

/// A constant that takes until a file appears.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Hold {
    value: f64,
    until: PathBuf,
}

impl Stage for Hold {
    const KIND: &'static str = "hold";
    const VERSION: u32 = 1;
    const ABOUT: &'static str = "a constant, late";
    const PORTS: Ports = NONE;

    fn run(&self, _inputs: &Inputs, context: &Context<'_>) -> Result<Outputs> {
        fs::write(self.until.with_extension("begun"), "")?;
        let begun = Instant::now();
        while !self.until.exists() {
            ensure!(begun.elapsed() < PATIENCE, "nobody said to go on");
            context.go_on()?;
            thread::sleep(Duration::from_millis(2));
        }
        out(&self.value.to_string())
    }
}

static NOISE: AtomicU64 = AtomicU64::new(1);

/// Another number each time.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Noise {
    #[serde(default)]
    name: String,
}

impl Stage for Noise {
    const KIND: &'static str = "noise";
    const VERSION: u32 = 1;
    const ABOUT: &'static str = "another number each time";
    const PORTS: Ports = NONE;
    const BITWISE: bool = false;

    fn run(&self, _inputs: &Inputs, _context: &Context<'_>) -> Result<Outputs> {
        out(&NOISE.fetch_add(1, Ordering::Relaxed).to_string())
    }
}

/// Reads a file and does something to it meanwhile.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Meddle {
    path: String,
    /// What to write: nothing for empty, `back` for another text and the old one again.
    write: String,
}

impl Stage for Meddle {
    const KIND: &'static str = "meddle";
    const VERSION: u32 = 1;
    const ABOUT: &'static str = "a file that changes while it is read";
    const PORTS: Ports = Ports {
        inputs: &[InputPort::one("n", Files, "a text").optional()],
        outputs: OUT,
    };

    fn externals(&self) -> Vec<External> {
        vec![External {
            param: "path",
            path: self.path.clone().into(),
        }]
    }

    fn run(&self, _inputs: &Inputs, context: &Context<'_>) -> Result<Outputs> {
        let path = context.external("path")?;
        let text = fs::read_to_string(path)?;
        // Longer than a tick of the clock of files.
        thread::sleep(Duration::from_millis(20));
        match self.write.as_str() {
            "" => {}
            "back" => {
                fs::write(path, "other")?;
                fs::write(path, &text)?;
            }
            other => fs::write(path, other)?,
        }
        out(&text)
    }
}

/// A folder with a cache.
pub(crate) struct Place {
    folder: tempfile::TempDir,
}

/// What a run did.
#[derive(Debug, Default)]
pub(crate) struct Did {
    /// Labels of what was executed, sorted.
    pub(crate) executed: Vec<String>,
    pub(crate) failures: Vec<String>,
    pub(crate) warnings: Vec<String>,
    pub(crate) totals: RunTotals,
    /// Text of output `n` by label, where its bytes are there.
    pub(crate) texts: BTreeMap<String, String>,
}

impl Place {
    pub(crate) fn new() -> Place {
        Place {
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

    pub(crate) fn load(&self, stages: &str) -> Result<Pipeline, Faults> {
        let text = format!("[pipeline]\nformat = 1\nname = \"toy\"\n{stages}");
        load(
            Source::file("toy.toml", text),
            self.path().to_owned(),
            KINDS,
            &[],
        )
    }

    pub(crate) fn run(&self, stages: &str) -> Did {
        self.watched(stages, &mut |_| {})
    }

    /// A run whose every event is shown to `watch` first.
    pub(crate) fn watched(&self, stages: &str, watch: &mut dyn FnMut(&Event)) -> Did {
        self.keeping(stages, false, watch)
    }

    pub(crate) fn keeping(
        &self,
        stages: &str,
        keep_going: bool,
        watch: &mut dyn FnMut(&Event),
    ) -> Did {
        let pipeline = self
            .load(stages)
            .unwrap_or_else(|faults| panic!("{faults}"));
        let cache = self.cache();
        let mut index = RecordIndex::load(&cache).unwrap();
        let mut stat = StatIndex::load(&cache);
        let externals = Externals::digest(&pipeline, &mut stat).unwrap();
        stat.save().unwrap();
        let graph = Graph::build(&pipeline, None);
        let plan = plan(&pipeline, &graph, &externals, Some((&cache, &index)));
        let mut did = Did::default();
        let stop = AtomicBool::new(false);
        let options = Options {
            jobs: 2,
            capacity: &Capacity::uncounted(),
            keep_going,
            stop: &stop,
            run: "test",
            beside: &[],
            stat: &stat,
            deliver: &|_| Vec::new(),
        };
        let outcome = execute(
            (&pipeline, &graph, &externals),
            &plan,
            (&cache, &mut index),
            &mut Inline::new(KINDS, &cache),
            &options,
            &mut |event: Event| {
                watch(&event);
                match event {
                    Event::Finished { instance, .. } => did.executed.push(instance),
                    Event::Failed {
                        instance, error, ..
                    } => did.failures.push(format!("{instance}: {error}")),
                    Event::Warning { message } => did.warnings.push(message),
                    _ => {}
                }
            },
        )
        .unwrap();
        for (id, done) in &outcome.results {
            let content = &done.outputs["n"];
            if let Ok(path) = cache.verified(&content.digest, content.size) {
                let text = fs::read_to_string(path).unwrap();
                did.texts.insert(pipeline.label(*id), text);
            }
        }
        did.executed.sort();
        did.totals = outcome.totals.clone();
        did
    }
}
