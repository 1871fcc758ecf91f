//! What a run leaves in `cache/runs/ID/`.
use std::{collections::BTreeSet, fs};

use serde_json::Value;

use crate::{
    commands::{BAD, TOY, ran, said, toy},
    project::Project,
};

fn runs(project: &Project) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(project.file("cache/runs"));
    let mut runs: Vec<_> = entries
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path())
        .collect();
    runs.sort();
    runs
}

/// A run that ends well.
fn run_with(project: &Project, word: &str) {
    let set = format!("word=\"{word}\"");
    let args = [
        "run",
        "toy.toml",
        "-j",
        "2",
        "--progress",
        "none",
        "--set",
        &set,
    ];
    assert_eq!(said(project, &args).0, Some(0));
}

#[test]
fn a_run_leaves_no_scratch() {
    let project = toy();
    for word in ["a", "b"] {
        run_with(&project, word);
        let left = fs::read_dir(project.file("cache/tmp")).unwrap();
        let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["gate"]);
    }
}

#[test]
fn a_run_keeps_what_tells_of_it() {
    let project = toy();
    run_with(&project, "hf_abc");
    let [run] = runs(&project).try_into().unwrap();
    let names: BTreeSet<String> = fs::read_dir(&run)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let expected = [
        "environment.json",
        "events.jsonl",
        "lock",
        "logs",
        "pipeline.toml",
        "plan.json",
        "results.json",
        "status.json",
    ];
    assert_eq!(names, expected.map(str::to_owned).into());
    assert_eq!(fs::read_to_string(run.join("pipeline.toml")).unwrap(), TOY);
    let json = |name: &str| -> Value {
        serde_json::from_slice(&fs::read(run.join(name)).unwrap()).unwrap()
    };
    assert_eq!(json("plan.json")["run"], 4);
    let environment = json("environment.json");
    assert_eq!(environment["jobs"], 2);
    assert!(
        environment["argv"].to_string().contains("word=<redacted>"),
        "{environment}"
    );
    assert_eq!(json("status.json")["totals"]["executed"], 4);
    let results = json("results.json");
    let instances: Vec<&str> = results["instances"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line["instance"].as_str().unwrap())
        .collect();
    assert_eq!(instances, ["say@x=1", "say@x=2", "rewards", "list"]);
    let log = fs::read_to_string(run.join("logs/0000-say.log"))
        .or_else(|_| fs::read_to_string(run.join("logs/0001-say.log")));
    assert!(log.unwrap().starts_with("saying "));
}

#[test]
fn a_run_that_executes_nothing_leaves_nothing() {
    let project = ran();
    assert_eq!(runs(&project).len(), 1);
    assert_eq!(
        said(&project, &["run", "toy.toml", "--progress", "none"]).0,
        Some(0)
    );
    assert_eq!(runs(&project).len(), 1);
    project.write("toy.toml", format!("{TOY}{BAD}"));
    assert_eq!(
        said(&project, &["run", "toy.toml", "--progress", "none"]).0,
        Some(1)
    );
    assert_eq!(runs(&project).len(), 2);
}
