//! `vgh schema`: takes every pipeline there is, and refuses broken ones.
use std::{fs, path::Path};

use jsonschema::Validator;
use serde_json::Value;

use crate::{commands::said, project::Project};

fn validator() -> Validator {
    let output = Project::empty().vgh(&["schema"]);
    let schema: Value = serde_json::from_slice(&output.stdout).unwrap();
    jsonschema::meta::validate(&schema).unwrap();
    jsonschema::validator_for(&schema).unwrap()
}

fn json(text: &str) -> Value {
    toml::from_str(text).unwrap()
}

fn faults(validator: &Validator, text: &str) -> Vec<String> {
    validator
        .iter_errors(&json(text))
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect()
}

#[test]
fn every_pipeline_of_this_repository_is_valid() {
    let validator = validator();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut seen = 0;
    for folder in ["pipelines", "examples", "tests/it", "src/cli"] {
        for entry in fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            // The sketch is of kinds that only tests have.
            let ours = path.extension().is_some_and(|ending| ending == "toml");
            if ours && !path.ends_with("sketch.toml") {
                let found = faults(&validator, &fs::read_to_string(&path).unwrap());
                assert!(found.is_empty(), "{}: {found:#?}", path.display());
                seen += 1;
            }
        }
    }
    assert!(seen > 15, "{seen}");
}

#[test]
fn broken_pipelines_are_refused_by_it_and_by_vgh() {
    let validator = validator();
    let project = Project::empty();
    let good = include_str!("../mini.toml");
    assert_eq!(faults(&validator, good), [""; 0]);
    for (from, to) in [
        ("format = 1", "format = 2"),
        ("name = \"mini\"", "name = \"mini\"\ntitle = \"x\""),
        ("[params]", "[parms]"),
        ("step = [4, 8, 12]", "step = []"),
        ("step = [4, 8, 12]", "step = { from = 1, to = 2 }"),
        ("kind = \"pretrain\"", "kind = \"pretrane\""),
        ("kind = \"copy-corpus\"\n", ""),
        ("over = [\"lr\"]", "over = \"lr\""),
        ("train = 24", "train = \"many\""),
        ("train = 24", "trian = 24"),
        ("hidden_size = 32", "hidden_size = -1"),
        (
            "inputs = { corpus = \"corpus\" }",
            "inputs = { corpse = \"corpus\" }",
        ),
        ("inputs = { corpus = \"corpus\" }", "inputs = \"corpus\""),
        ("inputs = { corpus = \"corpus\" }\nsteps", "steps"),
        ("updates = \"{budget}\"\n", ""),
        ("layers = 2", "layers = 2\nresources = { cpus = 2 }"),
        ("layers = 2", "layers = 2\nretries = true"),
        ("layers = 2", "layers = 2\nsnapshots = \"all\""),
        ("device = \"cpu\"", "device = \"abacus\""),
        ("dtype = \"f32\"", "speed = 9"),
    ] {
        assert!(good.contains(from), "{from}");
        let bad = good.replacen(from, to, 1);
        assert!(!faults(&validator, &bad).is_empty(), "{to} is taken");
        project.write("bad.toml", &bad);
        let (code, text) = said(&project, &["plan", "bad.toml"]);
        assert_eq!(code, Some(2), "{to}: {text}");
    }
}
