//! `vgh runs`.
use serde_json::Value;

use crate::{
    commands::{BAD, TOY, ran, said, shows, toy},
    project::Project,
};

#[test]
fn runs_are_listed_newest_last() {
    let project = ran();
    project.write("toy.toml", format!("{TOY}{BAD}"));
    assert_eq!(
        said(
            &project,
            &["run", "toy.toml", "--progress", "none", "--keep-going"]
        )
        .0,
        Some(1)
    );
    shows("runs.txt", &project, &["runs"]);
    shows("runs-one.txt", &project, &["runs", "-n", "1"]);
    let output = project.vgh(&["runs", "--json"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        (&lines[0]["result"], &lines[1]["result"]),
        (&"done".into(), &"failed".into())
    );
    assert_eq!(
        (&lines[1]["failed"], &lines[1]["cached"]),
        (&2.into(), &4.into())
    );
}

#[test]
fn before_the_first_run_that_is_said() {
    shows("runs-no-cache.txt", &Project::empty(), &["runs"]);
    let project = toy();
    project.cache();
    shows("runs-none.txt", &project, &["runs"]);
}
