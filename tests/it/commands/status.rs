//! `vgh status`.
use std::{
    io::{BufRead, BufReader},
    process::Stdio,
};

use serde_json::Value;

use crate::{
    commands::{BAD, TOY, ran, run_toy, said, shows, stable, toy},
    project::Project,
};

fn status(project: &Project) -> Value {
    let output = project.vgh(&["status", "--json"]);
    let all: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    all.into_iter().next().unwrap_or(Value::Null)
}

#[test]
fn the_last_run_is_told_with_its_failures() {
    let project = ran();
    shows("status-done.txt", &project, &["status"]);
    project.write("toy.toml", format!("{TOY}{BAD}"));
    assert_eq!(run_toy(&project), Some(1));
    shows("status-failed.txt", &project, &["status", "last"]);
    assert_eq!(status(&project)["result"], "failed");
}

#[test]
fn a_live_run_is_known_by_its_lock_and_a_dead_one_too() {
    let project = toy();
    let wait = "\n[stages.wait]\nkind = \"command\"\nshell = \"echo one; sleep 60\"\noutputs = { o = \"o\" }\n";
    project.write("toy.toml", format!("{TOY}{wait}"));
    let mut run = project
        .command(&["run", "toy.toml", "wait", "--json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut events = BufReader::new(run.stdout.take().unwrap()).lines();
    assert!(events.any(|line| line.unwrap().contains("\"event\":\"started\"")));
    // Its folder is there before it says so.
    let live = status(&project);
    assert_eq!(live["result"], "running", "{live}");
    let (_, text) = said(&project, &["status"]);
    assert!(text.starts_with("toy (RUN): running for TIME"), "{text}");
    run.kill().unwrap();
    run.wait().unwrap();
    assert_eq!(status(&project)["result"], "died");
    let output = project.vgh(&["status"]);
    let text = stable(&String::from_utf8(output.stdout).unwrap(), project.path());
    let first = text.lines().next().unwrap();
    assert_eq!(
        first,
        "toy (RUN): died, last heard of TIME ago; the next `vgh run` goes on from there"
    );
}
