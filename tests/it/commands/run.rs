//! `vgh run` as people see it, where not all goes well.
use crate::{
    commands::{BAD, TOY, said, toy},
    project::Project,
};

const HEAD: &str = "[pipeline]\nformat = 1\nname = \"bad\"\n[axes]\nx = [1]\n";

#[test]
fn a_failed_log_is_told_once_and_no_results_are_announced_that_are_none() {
    let project = Project::empty();
    project.write("bad.toml", format!("{HEAD}{BAD}"));
    let args = ["run", "bad.toml", "--progress", "plain"];
    let (code, text) = said(&project, &args);
    assert_eq!(code, Some(1));
    // Beside the reason, in which a command's last line stands.
    let said_it = |line: &&str| line.contains("about to fail 1") && !line.starts_with("failed: ");
    assert_eq!(text.lines().filter(said_it).count(), 1, "{text}");
    assert!(
        text.contains("\n  1 line above, in HERE/cache/runs/RUN/logs/0"),
        "{text}"
    );
    assert!(!text.contains("Results:"), "{text}");
    let project = toy();
    project.write("toy.toml", format!("{TOY}{BAD}"));
    let args = ["run", "toy.toml", "--progress", "none", "--keep-going"];
    let (code, text) = said(&project, &args);
    assert_eq!(code, Some(1));
    assert!(text.contains("Results: results/toy\n"), "{text}");
}

#[test]
fn a_table_from_elsewhere_cost_no_rl_here() {
    let project = toy();
    let args = ["run", "toy.toml", "rewards", "--progress", "none"];
    let (code, text) = said(&project, &args);
    assert_eq!(code, Some(0));
    assert!(text.contains("analysis ") && !text.contains("RL"), "{text}");
}

#[test]
fn a_limit_below_zero_is_refused_as_one() {
    let (code, text) = said(&toy(), &["run", "toy.toml", "--max-hours", "-1"]);
    assert_eq!(code, Some(2));
    assert!(text.contains("not a number of hours"), "{text}");
}
