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
    show(
        one("argv = [\"a\", \"{files.scirpt}\"]\nfiles = { script = \"a.py\" }\noutputs = { o = \"o\" }\n"),
    );
    show(
        one("argv = [\"a\", \"x{inputs.a}\"]\noutputs = { o = \"o\" }\n"),
    );
    show(
        one("argv = [\"a\", \"{outputs}\"]\noutputs = { o = \"o\" }\n"),
    );
    show(
        one("argv = [\"a\", \"{step}\"]\noutputs = { o = \"o\" }\n"),
    );
    show(
        one("argv = [\"a\"]\nfiles = { a = \"{outputs.o}\" }\noutputs = { o = \"o\" }\n"),
    );
}

#[test]
fn a_list_cannot_become_an_argument() {
    show(
        told("[params]\nall = [1, 2]\n[stages.s]\nkind = \"command\"\nargv = [\"a\", \"{all}\"]\noutputs = { o = \"o\" }\n"),
    );
}

#[test]
fn bad_outputs_variables_and_names() {
    show(one("argv = [\"a\"]\noutputs = { o = \"../o\", p = \"p\" }\n"));
    show(one("argv = [\"a\"]\noutputs = { \"o o\" = \"o\" }\n"));
    show(one("argv = [\"a\"]\n"));
    show(one("outputs = { o = \"o\" }\n"));
    show(
        one("argv = [\"a\"]\noutputs = { o = \"o\" }\nenv = { \"A B\" = \"\" }\npass_env = [\"1\"]\n"),
    );
    show(one("argv = \"a b\"\noutputs = { o = \"o\" }\n"));
}

#[test]
fn inputs_that_cannot_be_told_apart() {
    let two = "[stages.a]\nkind = \"command\"\nargv = [\"a\"]\noutputs = { o = \"o.txt\", p = \"p.svg\" }\n";
    show(
        told(&format!(
            "{two}[stages.s]\nkind = \"command\"\nargv = [\"a\"]\ninputs = {{ x = [\"a.o\", \"a.p\"] }}\noutputs = {{ o = \"o\" }}\n"
        )),
    );
    show(
        told(&format!(
            "{two}[stages.s]\nkind = \"command\"\nargv = [\"a\"]\ninputs = {{ x = [\"a.o\", \"a.o\"] }}\noutputs = {{ o = \"o\" }}\n"
        )),
    );
    show(
        told(&format!(
            "{two}[stages.s]\nkind = \"command\"\nargv = [\"a\"]\ninputs = {{ x = \"a\", \"y z\" = \"a.q\" }}\noutputs = {{ o = \"o\" }}\n"
        )),
    );
}

fn show(text: String) { eprintln!("@@@{text}"); }
