//! Golden shapes: what every stage in `pipelines/` depends on, before inputs.
//! A difference here means that users' results run again: raise the kind's
//! VERSION, or leave a new parameter out of the manifest while it has its
//! default. Accept a wanted difference with `VGH_ACCEPT=1`. Beside them, in
//! `outputs`, the numbers that each kind gives at its VERSION.
mod judge;
mod outputs;
mod summary;

use std::{collections::BTreeMap, fs, path::Path};

use vgh::{
    digest::Digest,
    engine::{Manifest, Outside},
    pipeline::{decode, load},
    stages::KINDS,
};

/// Stage name to the digest of its instances' shapes.
fn shapes(path: &Path) -> String {
    let source = decode(&path.display().to_string(), fs::read(path).unwrap()).unwrap();
    let folder = path.parent().unwrap().to_owned();
    let pipeline = load(source, folder, KINDS, &[]).unwrap_or_else(|faults| panic!("{faults}"));
    let mut stages: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for id in pipeline.ids() {
        let stage = pipeline.stage_of(id);
        let shape = Manifest::shape(stage.kind, pipeline.instance(id), &Outside::default());
        stages
            .entry(&stage.name)
            .or_default()
            .push(shape.digest().to_string());
    }
    let line = |(name, mut digests): (&str, Vec<String>)| {
        digests.sort();
        let all = Digest::of(digests.concat().as_bytes());
        format!("{name} {} {}\n", digests.len(), all.short())
    };
    stages.into_iter().map(line).collect()
}

#[test]
fn shapes_of_the_pipelines_stay_what_they_are() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut seen = 0;
    for entry in fs::read_dir(root.join("pipelines")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "toml") {
            continue;
        }
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let golden = root.join(format!("tests/fixtures/shapes/{name}.txt"));
        let now = shapes(&path);
        if std::env::var_os("VGH_ACCEPT").is_some() {
            fs::create_dir_all(golden.parent().unwrap()).unwrap();
            fs::write(&golden, &now).unwrap();
        }
        assert_eq!(
            now,
            fs::read_to_string(&golden).unwrap_or_default(),
            "{name}"
        );
        seen += 1;
    }
    assert!(seen > 0);
}
