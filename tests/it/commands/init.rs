//! `vgh init`.
use std::fs;

use vgh::{
    pipeline::{decode, load},
    stages::KINDS,
};

use crate::{
    commands::{said, shows},
    project::Project,
};

#[test]
fn a_first_pipeline_is_written_once() {
    let project = Project::empty();
    project.write("study/.gitignore", "cache/\n*.log");
    shows("init.txt", &project, &["init", "study"]);
    shows("init-again.txt", &project, &["init", "study"]);
    shows("init-here.txt", &project, &["init"]);
    let ignored = fs::read_to_string(project.file("study/.gitignore")).unwrap();
    assert_eq!(ignored, "cache/\n*.log\n/results\n");
    let ignored = fs::read_to_string(project.file(".gitignore")).unwrap();
    assert_eq!(ignored, "/cache\n/results\n");
}

#[test]
fn the_first_pipeline_runs() {
    let project = Project::empty();
    assert_eq!(said(&project, &["init"]).0, Some(0));
    let path = project.file("pipelines/first.toml");
    let source = decode("first.toml", fs::read(&path).unwrap()).unwrap();
    let pipeline = load(source, project.file("pipelines"), KINDS, &[]);
    assert_eq!(
        pipeline.unwrap_or_else(|faults| panic!("{faults}")).name,
        "first"
    );
    let (code, text) = said(
        &project,
        &["run", "corpus", "prompts", "--progress", "none"],
    );
    assert_eq!(code, Some(0), "{text}");
}
