//! `vgh graph`.
use crate::commands::{BAD, TOY, ran, said, shows, toy};

#[test]
fn a_new_pipeline_is_all_to_run() {
    let project = toy();
    shows("graph.dot", &project, &["graph", "toy.toml"]);
    shows(
        "graph-instances.mermaid",
        &project,
        &[
            "graph",
            "toy.toml",
            "say",
            "--instances",
            "--format",
            "mermaid",
        ],
    );
    assert!(!project.file("cache").exists());
}

#[test]
fn states_are_told_in_every_language() {
    let project = ran();
    project.write("toy.toml", format!("{TOY}{BAD}").replace("wc -c", "wc -l"));
    assert_eq!(
        said(
            &project,
            &["run", "toy.toml", "bad@x=1", "--progress", "none"]
        )
        .0,
        Some(1)
    );
    shows(
        "graph-states.mermaid",
        &project,
        &["graph", "toy.toml", "--format", "mermaid"],
    );
    shows(
        "graph-states.svg",
        &project,
        &["graph", "toy.toml", "--format", "svg"],
    );
}
