//! Golden outputs: what each kind's example gives, in a few numbers.
//! Numbers that change without a VERSION would be taken from users' caches as
//! if they were still right.
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
};

use vgh::{
    cache::{Cache, RecordIndex, StatIndex},
    digest::Digest,
    engine::{
        Capacity, Event, Externals, Graph, Manifest, Options, Outcome, execute, executor::Inline,
        plan,
    },
    pipeline::{InstanceId, Pipeline},
    stages::KINDS,
};

use super::{
    judge::{Golden, Verdict, judge},
    summary,
};
use crate::examples::example;

/// Kinds that compute nothing of their own.
const WITHOUT_NUMBERS: &[&str] = &["command", "hf-checkpoint"];

#[test]
fn kinds_give_the_numbers_of_their_version() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(folder.path()).unwrap();
    let names = KINDS.iter().map(|kind| kind.name);
    let names: Vec<&str> = names
        .filter(|name| !WITHOUT_NUMBERS.contains(name))
        .collect();
    let made: BTreeMap<&str, Golden> = (names.iter())
        .map(|name| (*name, golden(name, &cache)))
        .collect();
    let accept = std::env::var_os("VGH_ACCEPT").is_some();
    let (mut outdated, mut broken) = (Vec::new(), BTreeMap::new());
    for (kind, now) in &made {
        let path = fixture(kind);
        let committed = fs::read_to_string(&path).ok();
        match judge(committed.as_deref(), now) {
            Verdict::Same => {}
            Verdict::Outdated(_) if accept => {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(&path, now.show(kind)).unwrap();
            }
            Verdict::Outdated(why) => outdated.push(format!("`{kind}`: {why}")),
            Verdict::Broken(what) => {
                broken.insert(*kind, what);
            }
        }
    }
    // A kind that is fed by a broken one may be innocent.
    let guilty = |kind: &str| {
        !broken
            .keys()
            .any(|&other| other != kind && made[kind].comes_from(other))
    };
    let guilty: Vec<String> = (broken.iter().filter(|(kind, _)| guilty(kind)))
        .map(|(kind, what)| format!("`{kind}` gives other numbers; {what}"))
        .collect();
    assert!(
        broken.is_empty(),
        "{}\nraise VERSION of that kind (or lm::VERSION), then accept with VGH_ACCEPT=1",
        guilty.join("\n")
    );
    assert!(
        outdated.is_empty(),
        "{}\nif that is meant, accept with VGH_ACCEPT=1",
        outdated.join("\n")
    );
    let files = fs::read_dir(fixture("").parent().unwrap()).unwrap();
    let files: BTreeSet<PathBuf> = files.map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files, names.iter().map(|name| fixture(name)).collect());
}

fn fixture(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/golden/{kind}.txt"))
}

/// Runs the example of a kind: the last instance of its stage.
fn golden(kind: &str, cache: &Cache) -> Golden {
    let pipeline = example(kind);
    let externals = Externals::digest(&pipeline, &mut StatIndex::in_memory()).unwrap();
    let outcome = run(&pipeline, &externals, cache);
    let stage = pipeline.stages.iter().find(|stage| stage.kind.name == kind);
    let stage = stage.unwrap();
    let last = InstanceId(stage.instances.end - 1);
    let mut lines = Vec::new();
    for (port, content) in &*outcome.results[&last].outputs {
        let artifact = stage.output(port).unwrap().artifact;
        lines.extend(summary::lines(port, artifact, content, cache));
    }
    Golden {
        from: from(&pipeline, &externals, last),
        lines,
    }
}

fn run(pipeline: &Pipeline, externals: &Externals, cache: &Cache) -> Outcome {
    let mut index = RecordIndex::load(cache).unwrap();
    let graph = Graph::build(pipeline, None);
    let plan = plan(pipeline, &graph, externals, Some((cache, &index)));
    let stop = AtomicBool::new(false);
    let options = Options {
        jobs: 1,
        capacity: &Capacity::uncounted(),
        keep_going: false,
        stop: &stop,
        run: "golden",
        beside: &[],
        stat: &StatIndex::in_memory(),
        deliver: &|_| Vec::new(),
    };
    let mut failures = Vec::new();
    let mut watch = |event: Event| {
        if let Event::Failed {
            instance, error, ..
        } = event
        {
            failures.push(format!("{instance}: {error}"));
        }
    };
    let outcome = execute(
        (pipeline, &graph, externals),
        &plan,
        (cache, &mut index),
        &mut Inline::new(KINDS, cache),
        &options,
        &mut watch,
    );
    assert!(failures.is_empty(), "{}: {failures:?}", pipeline.name);
    outcome.unwrap()
}

/// An instance's kind and all that feed it, with what their keys hold beside
/// input digests.
fn from(pipeline: &Pipeline, externals: &Externals, last: InstanceId) -> Vec<String> {
    let (mut seen, mut stack) = (BTreeSet::new(), vec![last]);
    while let Some(id) = stack.pop() {
        if seen.insert(id) {
            let inputs = pipeline.instance(id).inputs.iter();
            stack.extend(
                inputs
                    .flat_map(|input| &input.sources)
                    .map(|source| source.instance),
            );
        }
    }
    let mut shapes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for id in seen {
        let kind = pipeline.stage_of(id).kind;
        let shape = Manifest::shape(kind, pipeline.instance(id), externals.of(id));
        let lm = kind.lm.map_or(String::new(), |lm| format!(" lm {lm}"));
        let name = format!("{} VERSION {}{lm}", kind.name, kind.version);
        shapes
            .entry(name)
            .or_default()
            .push(shape.digest().to_string());
    }
    let line = |(name, shapes): (String, Vec<String>)| {
        format!(
            "{name} shape {}",
            Digest::of(shapes.concat().as_bytes()).short()
        )
    };
    shapes.into_iter().map(line).collect()
}
