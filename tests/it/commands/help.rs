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

/// The overview, the command itself and `help` say the same sentence.
#[test]
fn each_command_is_said_to_be_the_same_everywhere() {
    fn checked(project: &Project, command: &[&str]) -> usize {
        let help = |words: &[&str]| {
            let (code, text) = said(project, words);
            assert_eq!(code, Some(0), "{words:?}");
            text
        };
        let overview = help(&[command, &["-h"]].concat());
        let lines = overview.lines().skip_while(|line| *line != "Commands:");
        let lines = lines.skip(1).take_while(|line| !line.is_empty());
        let mut count = 0;
        for line in lines.map(str::trim) {
            let (name, sentence) = line.split_once(' ').unwrap();
            if name == "help" {
                continue;
            }
            let command = [command, &[name]].concat();
            for text in [
                help(&[&command[..], &["-h"]].concat()),
                help(&[&command[..], &["--help"]].concat()),
                help(&[&["help"], &command[..]].concat()),
            ] {
                assert_eq!(text.lines().next(), Some(sentence.trim()), "{command:?}");
            }
            count += 1 + checked(project, &command);
        }
        count
    }
    assert!(checked(&Project::empty(), &[]) > 15);
}
