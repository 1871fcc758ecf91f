//! `vgh diff`.
use serde_json::Value;

use crate::{
    commands::{ran, run_toy, shows},
    project::Project,
};

/// A toy that ran twice with another word and another table between.
fn twice() -> (Project, String) {
    let project = ran();
    let first = project.vgh(&["runs", "--json"]);
    let first: Value = serde_json::from_slice(&first.stdout).unwrap();
    let text = super::TOY.replace("hello", "goodbye");
    project.write("toy.toml", text);
    project.write(
        "rewards.csv",
        super::REWARDS.replace("0.44,0.09", "0.45,0.1"),
    );
    assert_eq!(run_toy(&project), Some(0));
    (project, first["run"].as_str().unwrap().to_owned())
}

#[test]
fn what_differs_is_told_from_cause_to_numbers() {
    let (project, first) = twice();
    shows("diff.txt", &project, &["diff", &first, "last"]);
    let output = project.vgh(&["diff", &first, "last", "--json"]);
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let gain = &found["numbers"][0];
    assert_eq!(gain["column"], "gain");
    assert!(
        (gain["largest"].as_f64().unwrap() - 0.01).abs() < 1e-9,
        "{gain}"
    );
    assert_eq!(
        (&gain["row"], &gain["instance"]),
        (&1.into(), &"rewards".into())
    );
}

#[test]
fn a_run_is_like_itself_and_others_are_named() {
    let project = ran();
    shows("diff-same.txt", &project, &["diff", "last", "last"]);
    shows("diff-unknown.txt", &project, &["diff", "last", "yesterday"]);
}
