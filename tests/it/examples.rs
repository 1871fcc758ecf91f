//! `examples/KIND.toml`: one small pipeline per kind, which teaches it and plans.
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use vgh::{
    cache::StatIndex,
    engine::{Externals, Graph, plan},
    pipeline::{Pipeline, decode, load},
    stages::KINDS,
};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")
}

/// The example of a kind, parsed and resolved against the real kinds.
pub(crate) fn example(kind: &str) -> Pipeline {
    let name = format!("examples/{kind}.toml");
    let bytes = fs::read(folder().join(format!("{kind}.toml")))
        .unwrap_or_else(|error| panic!("kind `{kind}` has no example: {name}: {error}"));
    let source = decode(&name, bytes).unwrap();
    load(source, folder(), KINDS, &[]).unwrap_or_else(|faults| panic!("{faults}"))
}

#[test]
fn each_kind_has_an_example_that_plans() {
    for kind in KINDS {
        let pipeline = example(kind.name);
        assert_eq!(pipeline.name, kind.name);
        let text = &pipeline.text;
        let opening = format!("# `{}` ", kind.name);
        assert!(
            text.starts_with(&opening),
            "{}: open with what the kind does: `{opening}..`",
            kind.name
        );
        let shown = pipeline
            .stages
            .iter()
            .any(|stage| stage.kind.name == kind.name);
        assert!(shown, "{}: its example has no stage of it", kind.name);
        let externals = Externals::digest(&pipeline, &mut StatIndex::in_memory());
        let externals = externals.unwrap_or_else(|error| panic!("{}: {error:#}", kind.name));
        let graph = Graph::build(&pipeline, None);
        let plan = plan(&pipeline, &graph, &externals, None);
        // All of it is needed, and there is no cache yet.
        assert_eq!(
            plan.counts(),
            (0, pipeline.instances.len(), 0),
            "{}",
            kind.name
        );
    }
}

#[test]
fn every_example_is_of_a_kind() {
    let entries = fs::read_dir(folder()).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let pipelines: BTreeSet<String> = paths
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    assert_eq!(
        pipelines,
        KINDS.iter().map(|kind| kind.name.to_owned()).collect()
    );
}
