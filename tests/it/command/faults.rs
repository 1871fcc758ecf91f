//! Faults of a command's text, each with its whole message.
use std::path::PathBuf;

use vgh::{diagnostic::Source, pipeline::load, stages::KINDS};

/// What is said of stages, without the heading and the closing line.
fn told(stages: &str) -> String {
    let text = format!("[pipeline]\nformat = 1\nname = \"p\"\n{stages}");
    match load(Source::file("p.toml", text), PathBuf::new(), KINDS, &[]) {
        Ok(_) => panic!("no fault was found"),
        Err(faults) => faults.to_string(),
    }
}

fn one(lines: &str) -> String {
    told(&format!("[stages.s]\nkind = \"command\"\n{lines}"))
}

#[test]
fn an_unknown_placeholder_of_the_run_is_told_with_the_nearest() {
    assert_eq!(
        one(
            "argv = [\"a\", \"{files.scirpt}\"]\nfiles = { script = \"a.py\" }\noutputs = { o = \"o\" }\n"
        ),
        r#"error: `files` has no `scirpt`
  --> p.toml:6:15
   |
 6 | argv = ["a", "{files.scirpt}"]
   |               ^^^^^^^^^^^^^^ there are: script
help: did you mean `script`?

1 fault; nothing was run"#
    );
    assert_eq!(
        one("argv = [\"a\", \"x{inputs.a}\"]\noutputs = { o = \"o\" }\n"),
        r#"error: `inputs` has no `a`
  --> p.toml:6:16
   |
 6 | argv = ["a", "x{inputs.a}"]
   |                ^^^^^^^^^^ the stage has no `inputs`

1 fault; nothing was run"#
    );
    assert_eq!(
        one("argv = [\"a\", \"{outputs}\"]\noutputs = { o = \"o\" }\n"),
        r#"error: `{outputs}` does not say which of `outputs`
  --> p.toml:6:15
   |
 6 | argv = ["a", "{outputs}"]
   |               ^^^^^^^^^
help: write `{outputs.o}`

1 fault; nothing was run"#
    );
    assert_eq!(
        one("argv = [\"a\", \"{step}\"]\noutputs = { o = \"o\" }\n"),
        r#"error: no parameter or axis is named `step`
  --> p.toml:6:15
   |
 6 | argv = ["a", "{step}"]
   |               ^^^^^^ the file declares none

1 fault; nothing was run"#
    );
    assert_eq!(
        one("argv = [\"a\"]\nfiles = { a = \"{outputs.o}\" }\noutputs = { o = \"o\" }\n"),
        r#"error: `{outputs.o}` cannot stand in `files`
  --> p.toml:7:16
   |
 7 | files = { a = "{outputs.o}" }
   |                ^^^^^^^^^^^
help: it is known when the command runs, so it may stand in `argv`, `shell`, `env`

1 fault; nothing was run"#
    );
}

#[test]
fn a_list_cannot_become_an_argument() {
    assert_eq!(
        told(
            "[params]\nall = [1, 2]\n[stages.s]\nkind = \"command\"\nargv = [\"a\", \"{all}\"]\noutputs = { o = \"o\" }\n"
        ),
        r#"error: `all` is a list, which cannot stand inside a string
  --> p.toml:8:15
   |
 8 | argv = ["a", "{all}"]
   |               ^^^^^

1 fault; nothing was run"#
    );
}

#[test]
fn bad_outputs_variables_and_names() {
    assert_eq!(
        one("argv = [\"a\"]\noutputs = { o = \"../o\", p = \"p\" }\n"),
        r#"error: `outputs`: an output is a path below the folder that the command runs in, such as "plot.svg" or "figures/", not "../o"
  --> p.toml:7:17
   |
 7 | outputs = { o = "../o", p = "p" }
   |                 ^^^^^^

1 fault; nothing was run"#
    );
    assert_eq!(
        one("argv = [\"a\"]\noutputs = { \"o o\" = \"o\" }\n"),
        r#"error: `o o` cannot be a name of `outputs`
  --> p.toml:7:13
   |
 7 | outputs = { "o o" = "o" }
   |             ^^^^^
help: a name has letters a-z, digits, `-` and `_`, and at most 80 of them

1 fault; nothing was run"#
    );
    assert_eq!(
        one("argv = [\"a\"]\n"),
        r#"error: stage `s` does not set `outputs`
  --> p.toml:5:8
   |
 5 | kind = "command"
   |        ^^^^^^^^^ needs outputs

1 fault; nothing was run"#
    );
    assert_eq!(
        one("outputs = { o = \"o\" }\n"),
        r#"error: a command needs `argv = ["program", ...]` or `shell = "..."`
  --> p.toml:5:8
   |
 5 | kind = "command"
   |        ^^^^^^^^^ `argv` is [] by default

1 fault; nothing was run"#
    );
    assert_eq!(
        one(
            "argv = [\"a\"]\noutputs = { o = \"o\" }\nenv = { \"A B\" = \"\" }\npass_env = [\"1\"]\n"
        ),
        r#"error: `env`: "A B" cannot name an environment variable (letters, digits and `_`)
  --> p.toml:8:9
   |
 8 | env = { "A B" = "" }
   |         ^^^^^

error: `pass_env`: "1" cannot name an environment variable (letters, digits and `_`)
  --> p.toml:9:12
   |
 9 | pass_env = ["1"]
   |            ^^^^^

2 faults; nothing was run"#
    );
    assert_eq!(
        one("argv = \"a b\"\noutputs = { o = \"o\" }\n"),
        r#"error: `argv` takes a list, not the string "a b"
  --> p.toml:6:8
   |
 6 | argv = "a b"
   |        ^^^^^

1 fault; nothing was run"#
    );
}

#[test]
fn inputs_that_cannot_be_told_apart() {
    let two = "[stages.a]\nkind = \"command\"\nargv = [\"a\"]\noutputs = { o = \"o.txt\", p = \"p.svg\" }\n";
    assert_eq!(
        told(&format!(
            "{two}[stages.s]\nkind = \"command\"\nargv = [\"a\"]\ninputs = {{ x = [\"a.o\", \"a.p\"] }}\noutputs = {{ o = \"o\" }}\n"
        )),
        r#"error: input `x` would hold files (`.txt`) and files (`.svg`)
  --> p.toml:11:24
   |
11 | inputs = { x = ["a.o", "a.p"] }
   |                        ^^^^^
help: give each an input of its own

1 fault; nothing was run"#
    );
    assert_eq!(
        told(&format!(
            "{two}[stages.s]\nkind = \"command\"\nargv = [\"a\"]\ninputs = {{ x = [\"a.o\", \"a.o\"] }}\noutputs = {{ o = \"o\" }}\n"
        )),
        r#"error: two sources of `x` stand at the same place: no coordinates
  --> p.toml:11:24
   |
11 | inputs = { x = ["a.o", "a.o"] }
   |                        ^^^^^ `s` could not tell them apart

1 fault; nothing was run"#
    );
    assert_eq!(
        told(&format!(
            "{two}[stages.s]\nkind = \"command\"\nargv = [\"a\"]\ninputs = {{ x = \"a\", \"y z\" = \"a.q\" }}\noutputs = {{ o = \"o\" }}\n"
        )),
        r#"error: `a` has 2 outputs that `x` takes
  --> p.toml:11:16
   |
11 | inputs = { x = "a", "y z" = "a.q" }
   |                ^^^
help: name one: "a.o", "a.p"

error: `y z` cannot be an input
  --> p.toml:11:21
   |
11 | inputs = { x = "a", "y z" = "a.q" }
   |                     ^^^^^
help: a name has letters a-z, digits, `-` and `_`, and at most 80 of them

2 faults; nothing was run"#
    );
}
