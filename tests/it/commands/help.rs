//! `--help` of each command: one sentence, options, examples.
use crate::{commands::said, project::Project};

#[test]
fn each_command_explains_itself() {
    let project = Project::empty();
    let (code, overview) = said(&project, &["--help"]);
    assert_eq!(code, Some(0));
    let commands: Vec<&str> = overview
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help" && !name.starts_with('['))
        .collect();
    for looked in [
        "status",
        "runs",
        "logs",
        "graph",
        "diff",
        "kinds",
        "schema",
        "init",
        "completions",
    ] {
        assert!(commands.contains(&looked), "{overview}");
        let (code, text) = said(&project, &[looked, "--help"]);
        assert_eq!(code, Some(0));
        let first = text.lines().next().unwrap();
        assert!(
            first.len() > 20 && !first.ends_with('.'),
            "{looked}: {first}"
        );
        assert!(text.contains("\nExamples:\n  vgh "), "{looked}: {text}");
    }
}
