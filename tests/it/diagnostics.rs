//! Every fault of a pipeline's text, as it is shown: one test per bad input,
//! each with the whole message. Here the limits; below them the rest by theme.
use std::{fmt::Write as _, path::PathBuf};

use vgh::{
    diagnostic::Source,
    pipeline::{INSTANCE_LIMIT, TEXT_LIMIT, decode, load},
};

use crate::sketch::{GOOD, KINDS};

mod form;
mod inputs;
mod params;

/// What is said of a text.
fn faults(text: &str, set: &[&str]) -> String {
    let set: Vec<String> = set.iter().map(|text| (*text).to_owned()).collect();
    let source = Source::file("pipelines/sketch.toml", text);
    match load(source, PathBuf::new(), KINDS, &set) {
        Ok(_) => panic!("no fault was found"),
        Err(faults) => faults.to_string(),
    }
}

/// What is said of the good file after these replacements and `--set`.
fn told(edits: &[(&str, &str)], set: &[&str]) -> String {
    let mut text = GOOD.to_owned();
    for (from, to) in edits {
        assert!(text.contains(from), "{from}");
        text = text.replacen(from, to, 1);
    }
    faults(&text, set)
}

#[test]
fn not_utf8() {
    let mut bytes = GOOD.as_bytes().to_vec();
    bytes[50] = 0xff;
    assert_eq!(
        decode("pipelines/sketch.toml", bytes)
            .unwrap_err()
            .to_string(),
        "error: pipelines/sketch.toml is not UTF-8: byte 0xff at offset 50, in line 2\n\
         help: save the file as UTF-8\n\n\
         1 fault; nothing was run"
    );
}

#[test]
fn over_4_mib() {
    let expected = "error: the pipeline has 4194305 bytes of text; the limit is 4194304 (4 MiB)\n";
    let text = "#".repeat(TEXT_LIMIT + 1);
    assert_eq!(
        faults(&text, &[]),
        format!("{expected}\n1 fault; nothing was run")
    );
    assert_eq!(
        decode("p.toml", text.into_bytes()).unwrap_err().to_string(),
        format!("{expected}note: in p.toml\n\n1 fault; nothing was run")
    );
}

#[test]
fn over_64_levels() {
    assert_eq!(
        told(
            &[("alpha = 1.0", &format!("alpha = {}", "[".repeat(65)))],
            &[]
        ),
        r"error: tables and lists stand inside each other more than 64 levels deep
  --> pipelines/sketch.toml:33:71
   |
33 | alpha = [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[
   |                                                                       ^ level 65

1 fault; nothing was run"
    );
}

#[test]
fn bombs_are_refused() {
    for bomb in [
        "[".repeat(TEXT_LIMIT - 10),
        format!("a = {}", "[".repeat(TEXT_LIMIT - 10)),
        format!("a = {}", "{a=".repeat(TEXT_LIMIT / 3 - 10)),
        format!("{}a = 1", "a.".repeat(TEXT_LIMIT / 2 - 10)),
        format!("a = {{ {} }}", "b.".repeat(1000)),
        "[[a]]\n".repeat(200_000),
        "\"".repeat(1_000_001),
        "a = 1\n".repeat(300_000),
    ] {
        assert!(faults(&bomb, &[]).ends_with("nothing was run"));
    }
}

#[test]
fn a_long_chain_and_a_long_cycle_do_not_exhaust_the_stack() {
    let chain = |first: &str| {
        let mut text = format!("[pipeline]\nformat = 1\nname = \"c\"\n[stages.s0]\n{first}\n");
        for i in 1..20_000 {
            write!(
                text,
                "[stages.s{i}]\nkind = \"relay\"\ninputs = {{ corpus = \"s{}\" }}\n",
                i - 1
            )
            .unwrap();
        }
        text
    };
    let source = Source::file("chain.toml", chain("kind = \"copy-corpus\""));
    let pipeline = load(source, PathBuf::new(), KINDS, &[]).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(pipeline.instances.len(), 20_000);
    let cycle = chain("kind = \"relay\"\ninputs = { corpus = \"s19999\" }");
    let told = faults(&cycle, &[]);
    assert!(
        told.starts_with(
            "error: stages depend on each other: s0 -> s1 -> s2 -> s3 -> s4 -> s5 -> s6 -> s7 -> \
             s8 -> s9 -> s10 -> s11 -> s12 -> ... -> s0\n"
        ),
        "{told}"
    );
}

#[test]
fn a_file_full_of_faults_is_told_in_part() {
    let mut text = String::from("[pipeline]\nformat = 1\nname = \"f\"\n");
    for i in 0..30_000 {
        write!(
            text,
            "[stages.s{i}]\nkind = \"relay\"\ninputs = {{ corpus = \"t{i}\" }}\n"
        )
        .unwrap();
    }
    let told = faults(&text, &[]);
    assert!(
        told.ends_with("and 160 more\n200 faults; nothing was run"),
        "{told}"
    );
}

#[test]
fn over_100_000_instances() {
    assert_eq!(INSTANCE_LIMIT, 100_000);
    assert_eq!(
        told(
            &[(
                "rl_seed = [0, 1]",
                "rl_seed = { from = 0, to = 9999, by = 1 }"
            )],
            &[]
        ),
        r#"error: the pipeline has 240014 instances; the limit is 100000
  --> pipelines/sketch.toml:42:9
   |
42 | over = ["step", "lr", "rl_seed", "budget"]
   |         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ 240000 of them are `grpo`

1 fault; nothing was run"#
    );
}

#[test]
fn over_100_000_values() {
    assert_eq!(
        told(
            &[(
                "rl_seed = [0, 1]",
                "rl_seed = { from = 0, to = 9_000_000_000, by = 1 }"
            )],
            &[]
        ),
        r"error: the axis `rl_seed` has 9000000001 values
  --> pipelines/sketch.toml:13:11
   |
13 | rl_seed = { from = 0, to = 9_000_000_000, by = 1 }
   |           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ the limit is 100000

1 fault; nothing was run"
    );
}

#[test]
fn a_product_beyond_any_number() {
    let mut text = String::from("[pipeline]\nformat = 1\nname = \"p\"\n[axes]\n");
    for axis in 0..50 {
        writeln!(text, "a{axis} = {{ from = 1, to = 1000, by = 1 }}").unwrap();
    }
    let over: Vec<String> = (0..50).map(|axis| format!("\"a{axis}\"")).collect();
    write!(
        text,
        "[stages.s]\nkind = \"copy-corpus\"\nover = [{}]\n",
        over.join(", ")
    )
    .unwrap();
    let told = faults(&text, &[]);
    assert!(
        told.starts_with(
            "error: the pipeline has more than 10^38 instances; the limit is 100000\n"
        ),
        "{told}"
    );
}

#[test]
fn more_connections_than_are_kept() {
    let text = GOOD
        .replace(
            "rl_seed = [0, 1]",
            "rl_seed = { from = 1, to = 2000, by = 1 }\nx = { from = 1, to = 2000, by = 1 }",
        )
        .replace("over = [\"lr\"]\nladder", "over = [\"lr\", \"x\"]\nladder");
    let told = faults(&text, &[]);
    assert!(
        told.starts_with(
            "error: the pipeline has more than 2000000 connections between instances\n"
        ),
        "{told}"
    );
}
