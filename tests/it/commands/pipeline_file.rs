//! Which file a command takes, and what it says of files that are not there.
use std::fs;

use crate::{
    commands::{TOY, said, shows, toy},
    project::Project,
};

#[test]
fn the_built_in_pipeline_is_announced_and_spoils_no_json() {
    let project = Project::empty();
    let output = project.vgh(&["plan", "corpus", "--json"]);
    assert!(serde_json::from_slice::<serde_json::Value>(&output.stdout).is_ok());
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "no pipelines/*.toml here: this is the built-in quickstart\n"
    );
    project.write("pipelines/toy.toml", TOY);
    project.write("pipelines/rewards.csv", super::REWARDS);
    let output = project.vgh(&["plan"]);
    assert!(output.stderr.is_empty());
}

#[test]
fn a_file_that_is_not_there_brings_the_nearest() {
    let project = Project::empty();
    project.write("pipelines/first.toml", TOY);
    for word in ["first", "first.toml", "pipelines/frist.toml", "./first"] {
        let (code, text) = said(&project, &["plan", word]);
        assert_eq!(code, Some(2), "{word}");
        assert!(
            text.contains("\nhelp: did you mean ") && text.contains("`pipelines/first.toml`?"),
            "{word}: {text}"
        );
    }
    let (_, text) = said(&project, &["plan", "other.toml"]);
    assert!(!text.contains("help"), "{text}");
}

#[test]
fn a_missing_external_has_a_place() {
    let project = toy();
    fs::rename(project.file("rewards.csv"), project.file("reward.csv")).unwrap();
    shows("missing-file.txt", &project, &["plan", "toy.toml"]);
    let args = [
        "plan",
        "toy.toml",
        "--set",
        "stages.rewards.path=gone/x.csv",
    ];
    shows("missing-file-set.txt", &project, &args);
    let script = "[stages.script]\nkind = \"command\"\nargv = [\"sh\", \"{files.it}\"]\n\
                  files = { it = \"it.sh\" }\noutputs = { o = \"o\" }\n";
    project.write("toy.toml", format!("{TOY}{script}"));
    shows("missing-files.txt", &project, &["run", "toy.toml"]);
}
