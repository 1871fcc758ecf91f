//! `vgh kinds`.
use serde_json::Value;
use vgh::stages::KINDS;

use crate::{commands::shows, project::Project};

#[test]
fn kinds_are_listed_and_described() {
    let project = Project::empty();
    shows("kinds.txt", &project, &["kinds"]);
    shows("kinds-grpo.txt", &project, &["kinds", "grpo"]);
    shows("kinds-command.txt", &project, &["kinds", "command"]);
    shows("kinds-unknown.txt", &project, &["kinds", "grop"]);
}

#[test]
fn a_program_gets_all_of_it() {
    let output = Project::empty().vgh(&["kinds", "--json"]);
    let kinds: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(kinds.len(), KINDS.len());
    for kind in &kinds {
        let name = kind["kind"].as_str().unwrap();
        for parameter in kind["parameters"].as_array().unwrap() {
            let told = |field: &str| parameter[field].as_str().unwrap().len();
            assert!(told("about") > 0 && told("type") > 0, "{name}: {parameter}");
            assert_ne!(parameter["type"], "anything", "{name}: {parameter}");
        }
    }
    let one = Project::empty().vgh(&["kinds", "grpo", "--json"]);
    let one: Value = serde_json::from_slice(&one.stdout).unwrap();
    assert!(kinds.contains(&one));
}
