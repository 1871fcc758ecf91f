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
    for command in ["run", "status", "graph", "completions"] {
        assert!(
            text.contains(&format!("vgh__{command}"))
                || text.contains(&format!("vgh__subcmd__{command}")),
            "{command}"
        );
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
