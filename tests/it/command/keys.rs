//! What reruns a command and what does not.
use std::fs;

use vgh::cache::Record;

use crate::command::{Bench, Did};

const ONE: &str = r#"
[stages.one]
kind = "command"
argv = ["sh", "{files.script}"]
files = { script = "a.sh", data = "data" }
outputs = { out = "out.txt" }
env = { LEVEL = "1" }
pass_env = ["VGH_PASSED", "VGH_TEST_TOKEN"]
hash_env = ["VGH_HASHED"]
"#;

fn bench() -> Bench {
    let bench = Bench::new(ONE);
    bench.write(
        "a.sh",
        "echo \"$LEVEL ${VGH_HASHED-unset}\" > out.txt; ls -R ../files/data\n",
    );
    bench.write("data/x/y", "1");
    bench.succeed();
    bench
}

fn with(bench: &Bench, variables: &[(&str, &str)]) -> Did {
    let mut command = bench.command();
    command.envs(variables.iter().copied());
    let did = Did::of(&command.output().unwrap());
    assert_eq!(did.code, Some(0), "{did:#?}");
    did
}

fn edited(bench: &Bench, from: &str, to: &str) -> Vec<String> {
    assert!(ONE.contains(from), "{from}");
    bench.stages(&ONE.replace(from, to));
    bench.succeed().executed
}

const NOTHING: Vec<String> = Vec::new();

#[test]
fn an_edit_of_what_counts_reruns() {
    let bench = bench();
    bench.write("a.sh", "echo other > out.txt\n");
    assert_eq!(bench.succeed().executed, ["one"]);
    assert_eq!(bench.result("one/out.txt"), "other\n");
    bench.write("data/x/y", "2");
    assert_eq!(bench.succeed().executed, ["one"]);
    bench.write("data/x/z", "");
    assert_eq!(bench.succeed().executed, ["one"]);
    assert_eq!(edited(&bench, "LEVEL = \"1\"", "LEVEL = \"2\""), ["one"]);
    assert_eq!(edited(&bench, "[\"sh\",", "[\"/bin/sh\","), ["one"]);
    assert_eq!(edited(&bench, "\"VGH_HASHED\"", "\"VGH_OTHER\""), ["one"]);
    bench.write("a.sh", "cat out.txt 2> x; echo > x.txt\n");
    assert_eq!(edited(&bench, "\"out.txt\"", "\"x.txt\""), ["one"]);
}

#[test]
fn an_edit_of_what_does_not_count_reruns_nothing() {
    let bench = bench();
    assert_eq!(edited(&bench, "stages.one", "stages.uno"), NOTHING);
    assert_eq!(edited(&bench, "\"VGH_PASSED\", ", ""), NOTHING);
    assert_eq!(
        edited(
            &bench,
            "kind = \"command\"",
            "kind = \"command\"\nretries = 1"
        ),
        NOTHING
    );
    // Another name and place of the same script, and another mode.
    bench.write("elsewhere/b.sh", fs::read(bench.path("a.sh")).unwrap());
    assert_eq!(edited(&bench, "\"a.sh\"", "\"elsewhere/b.sh\""), NOTHING);
    // Its ending is what a command may go by.
    bench.write("a.txt", fs::read(bench.path("a.sh")).unwrap());
    assert_eq!(edited(&bench, "\"a.sh\"", "\"a.txt\""), ["one"]);
}

#[test]
fn a_moved_project_reruns_nothing() {
    let bench = bench();
    let moved = Bench::new(ONE);
    for name in ["a.sh", "data/x/y"] {
        moved.write(name, fs::read(bench.path(name)).unwrap());
    }
    fs::remove_dir_all(moved.path("cache")).ok();
    fs::rename(bench.path("cache"), moved.path("cache")).unwrap();
    assert_eq!(moved.succeed().executed, NOTHING);
    assert_eq!(moved.result("one/out.txt"), "1 unset\n");
}

/// Edge case 32: set, unset and empty are three values.
#[test]
fn case_32_a_declared_variable_has_three_states_and_an_undeclared_one_none() {
    let bench = bench();
    assert_eq!(with(&bench, &[("VGH_HASHED", "")]).executed, ["one"]);
    assert_eq!(bench.result("one/out.txt"), "1 \n");
    assert_eq!(with(&bench, &[("VGH_HASHED", "a")]).executed, ["one"]);
    assert_eq!(with(&bench, &[("VGH_HASHED", "b")]).executed, ["one"]);
    assert_eq!(with(&bench, &[("VGH_HASHED", "")]).executed, NOTHING);
    assert_eq!(with(&bench, &[]).executed, NOTHING);
    assert_eq!(with(&bench, &[("VGH_OTHER", "x")]).executed, NOTHING);
    assert_eq!(with(&bench, &[("VGH_PASSED", "x")]).executed, NOTHING);
}

#[test]
fn the_record_says_what_the_command_was_given() {
    let bench = Bench::new(ONE);
    bench.write(
        "a.sh",
        "echo $VGH_PASSED > out.txt; echo my $VGH_TEST_TOKEN\n",
    );
    bench.write("data/x", "1");
    let did = with(
        &bench,
        &[("VGH_PASSED", "seen"), ("VGH_TEST_TOKEN", "hunter22")],
    );
    assert_eq!(did.log, ["my ***"]);
    let Record {
        manifest,
        provenance,
        ..
    } = bench.record();
    assert_eq!(
        manifest["variables"],
        serde_json::json!({ "VGH_HASHED": null })
    );
    assert_eq!(
        manifest["params"]["argv"],
        serde_json::json!(["sh", "{files.script}"])
    );
    assert_eq!(manifest["params"].get("pass_env"), None);
    assert!(
        !manifest
            .to_string()
            .contains(bench.path("").to_str().unwrap())
    );
    let environment = provenance.environment;
    assert_eq!(environment["VGH_PASSED"], "seen");
    assert_eq!(environment["VGH_TEST_TOKEN"], "(set, not recorded)");
    assert!(environment.contains_key("PATH"));
    assert_eq!(bench.result("one/out.txt"), "seen\n");
}
