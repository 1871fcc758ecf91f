//! `vgh logs`.
use std::{
    io::{BufRead, BufReader},
    process::Stdio,
};

use crate::commands::{BAD, TOY, ran, run_toy, shows, toy};

#[test]
fn what_a_stage_said_is_found_by_its_name() {
    let project = ran();
    shows("logs.txt", &project, &["logs", "say"]);
    shows("logs-one.txt", &project, &["logs", "say@x=2"]);
    shows("logs-silent.txt", &project, &["logs", "rewards"]);
    shows("logs-unknown.txt", &project, &["logs", "nobody"]);
}

#[test]
fn a_run_gives_all_its_logs_with_the_errors() {
    let project = ran();
    project.write("toy.toml", format!("{TOY}{BAD}"));
    assert_eq!(run_toy(&project), Some(1));
    shows("logs-run.txt", &project, &["logs", "last"]);
    // The newest run that had the stage is not the last run.
    shows("logs-older.txt", &project, &["logs", "say@x=1"]);
}

#[test]
fn a_followed_log_ends_with_its_run() {
    let project = toy();
    // It waits for a file, which the test makes once it has seen the first line.
    let gate = project.file("gate");
    let wait = format!(
        "\n[stages.wait]\nkind = \"command\"\nshell = \"echo one; until [ -e '{}' ]; do sleep 0.02; done; echo two; touch {{outputs.o}}\"\noutputs = {{ o = \"o\" }}\n",
        gate.display()
    );
    project.write("toy.toml", format!("{TOY}{wait}"));
    let mut run = project
        .command(&["run", "toy.toml", "wait", "--json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut events = BufReader::new(run.stdout.take().unwrap()).lines();
    assert!(events.any(|line| line.unwrap().contains("\"line\":\"one\"")));
    let mut logs = project
        .command(&["logs", "wait", "--follow"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(logs.stdout.take().unwrap()).lines();
    let mut next = || lines.next().unwrap().unwrap();
    assert_eq!(
        (next(), next()),
        ("==> wait <==".to_owned(), "one".to_owned())
    );
    std::fs::write(gate, "").unwrap();
    assert_eq!(next(), "two");
    assert!(lines.next().is_none());
    assert!(logs.wait().unwrap().success());
    // The pipe is emptied, so that the run can end.
    events.for_each(drop);
    assert!(run.wait().unwrap().success());
}
