//! `vgh completions`.
use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use crate::project::Project;

#[test]
fn bash_takes_its_completions() {
    let output = Project::empty().vgh(&["completions", "bash"]);
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let subcommand = |words: &[&str]| {
        let plain = format!("vgh__{}", words.join("__"));
        text.contains(&plain)
            || text.contains(&format!("vgh__subcmd__{}", words.join("__subcmd__")))
    };
    for command in ["run", "status", "graph", "completions"] {
        assert!(subcommand(&[command]), "{command}");
    }
    for command in ["ls", "gc", "verify", "drop", "path"] {
        assert!(subcommand(&["cache", command]), "{command}");
        assert!(subcommand(&["help", "cache", command]), "{command}");
    }
    for option in ["--keep-going", "--older-than", "--read-data", "--all"] {
        assert!(text.contains(option), "{option}");
    }
    let mut bash = Command::new("bash")
        .arg("-n")
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = bash.stdin.take().unwrap();
    input.write_all(&output.stdout).unwrap();
    drop(input);
    assert!(bash.wait().unwrap().success());
}

#[test]
fn every_shell_gets_some_and_others_are_named() {
    for shell in ["zsh", "fish", "elvish", "powershell"] {
        let output = Project::empty().vgh(&["completions", shell]);
        assert!(
            output.status.success() && output.stdout.len() > 1000,
            "{shell}"
        );
    }
    let output = Project::empty().vgh(&["completions", "csh"]);
    assert_eq!(output.status.code(), Some(2));
}
