//! What is said where something lacks or lies, word by word, and that nothing
//! wrong stays behind.
use std::process::Output;

use crate::{
    ladder::{Ladder, TEXT, branch, files_below, open, push, revision, said},
    project::events,
};

pub(super) const ONE: &str = "checkpoint@step=100";

/// What was said, without names that differ between runs.
fn plain(ladder: &Ladder, output: &Output) -> String {
    let place = ladder.project.path().display().to_string();
    said(output)
        .replace(&place, "PROJECT")
        .replace(&ladder.hub.endpoint(), "HUB")
}

/// Nothing counts as a result, and nobody finds half of one.
fn assert_nothing_is_visible(ladder: &Ladder) {
    if ladder.project.file("cache").exists() {
        assert_eq!(ladder.project.cache().records().unwrap().count(), 0);
    }
    let results = ladder.project.file("results");
    if results.exists() {
        let mut files = files_below(&results);
        files.retain(|file| !file.ends_with(".published"));
        assert!(files.is_empty(), "{files:?}");
    }
}

/// The fault of a pipeline with one edit, found before anything runs.
fn refused(ladder: &Ladder, from: &str, to: &str) -> String {
    ladder.project.write("ladder.toml", TEXT.replace(from, to));
    let output = ladder.vgh(&["run", "ladder.toml"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(ladder.lock().is_empty());
    assert_nothing_is_visible(ladder);
    plain(ladder, &output)
}

/// The fault of the value of a line of the pipeline.
fn fault(message: &str, line: &str, label: &str, help: &str) -> String {
    let number = TEXT_LINE;
    let value = line.split_once(" = ").map_or("", |(_, value)| value);
    let carets = "^".repeat(value.chars().count());
    let at = line.len() - value.len() + 1;
    let label = if label.is_empty() {
        String::new()
    } else {
        format!(" {label}")
    };
    let help = if help.is_empty() {
        String::new()
    } else {
        format!("help: {help}\n")
    };
    format!(
        "error: {message}\n  --> ladder.toml:{number}:{at}\n   |\n{number} | {line}\n   | \
         {:width$}{carets}{label}\n{help}\n1 fault; nothing was run\n",
        "",
        width = at - 1
    )
}

/// Where the revision stands.
const TEXT_LINE: usize = 13;
const LINE: &str = "revision = \"stage1-step{step}-tokens*\"";

#[test]
fn what_the_hub_does_not_have_is_told_at_its_place() {
    let ladder = Ladder::new();
    ladder.hub.change("owner/model", |repo| {
        push(repo, "stage2-step100-tokens1B", &revision(1, ""));
    });
    // A step between two, and those around it.
    assert_eq!(
        refused(&ladder, "to = 600, by = 100", "to = 150, by = 50"),
        fault(
            "no branch or tag matches `stage1-step150-tokens*`",
            LINE,
            "no checkpoint of this step",
            "around it: `stage1-step100-tokens1B`, `stage1-step200-tokens2B`"
        )
    );
    assert_eq!(
        refused(&ladder, "\"stage1-step{step}-", "\"*step{step}-"),
        fault(
            "`*step100-tokens*` matches 2 branches and tags",
            "revision = \"*step{step}-tokens*\"",
            "`stage1-step100-tokens1B`, `stage2-step100-tokens1B`",
            "write enough of the name to mean one"
        )
    );
    assert_eq!(
        refused(
            &ladder,
            "\"stage1-step{step}-tokens*\"",
            "\"stage1-step101-tokens1B\""
        ),
        fault(
            "cannot get `owner/model` at `stage1-step101-tokens1B`: no such revision; did you mean \
             `stage1-step100-tokens1B`?",
            "revision = \"stage1-step101-tokens1B\"",
            "",
            ""
        )
    );
}

#[test]
fn a_repository_of_no_use_is_told_at_its_place() {
    let ladder = Ladder::new();
    ladder.hub.change("owner/model", |repo| {
        let pickle = [
            ("config.json", open("config.json")),
            ("pytorch_model.bin", vec![1; 9]),
        ];
        push(repo, "pickle", &pickle);
    });
    assert_eq!(
        refused(&ladder, "\"stage1-step{step}-tokens*\"", "\"pickle\""),
        fault(
            "owner/model at `pickle` has only pickle files",
            "revision = \"pickle\"",
            "no `*.safetensors`",
            "loading a pickle can run anybody's code, so only safetensors are read: look for a \
             converted revision, or convert it yourself and use `local-checkpoint`"
        )
    );
    assert_eq!(
        refused(&ladder, "owner/model", "owner/modle"),
        fault(
            "cannot get `owner/modle`: no such repository, or this token may not see it; did you \
             mean `owner/model`?",
            LINE,
            "",
            ""
        )
    );
    ladder.hub.change("owner/model", |repo| {
        repo.strange.push("../../evil".to_owned());
    });
    let text = refused(&ladder, "", "");
    let says = "its listing has a file `../../evil` whose name is not safe: it holds `.` or `..`";
    assert!(
        text.starts_with("error: cannot get `owner/model` at ") && text.contains(says),
        "{text}"
    );
    assert!(
        !ladder
            .project
            .path()
            .parent()
            .unwrap()
            .join("evil")
            .exists()
    );
}

/// Why one checkpoint could not be had.
pub(super) fn failure(ladder: &Ladder, args: &[&str]) -> String {
    let output = ladder.vgh(&[&["run", "ladder.toml", ONE, "--json"], args].concat());
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let events = events(&output);
    let failed: Vec<_> = events
        .iter()
        .filter(|event| event["event"] == "failed")
        .collect();
    assert_eq!(failed.len(), 1, "{}", said(&output));
    let commit = ladder
        .hub
        .change("owner/model", |repo| repo.branches[&branch(100)].clone());
    failed[0]["error"]
        .as_str()
        .unwrap()
        .replace(&ladder.hub.endpoint(), "HUB")
        .replace(&commit[..12], "COMMIT")
}

#[test]
fn what_cannot_be_had_is_told_with_what_to_do() {
    let ladder = Ladder::new();
    for status in [401, 403] {
        ladder
            .hub
            .change("owner/model", |repo| repo.gated = Some(status));
        assert_eq!(
            failure(&ladder, &[]),
            "cannot get `config.json` of `owner/model` at COMMIT: the repository is gated: open \
             HUB/owner/model, accept its terms"
        );
    }
    ladder.hub.change("owner/model", |repo| {
        repo.gated = None;
        repo.missing.push("tokenizer.json".to_owned());
    });
    assert_eq!(
        failure(&ladder, &[]),
        "cannot get `tokenizer.json` of `owner/model` at COMMIT: no such file at this revision"
    );
    assert_nothing_is_visible(&ladder);
    // What was fetched before that is not fetched again.
    let before = ladder.hub.sent();
    ladder
        .hub
        .change("owner/model", |repo| repo.missing.clear());
    assert_eq!(ladder.run(&[ONE]), (1, 0));
    assert_eq!(
        ladder.hub.sent() - before,
        open("tokenizer.json").len() as u64
    );
}

/// The same with one file of the revision as `spoil` leaves it.
fn lie(name: &str, spoil: impl Fn(&mut Vec<u8>)) -> String {
    let ladder = Ladder::new();
    ladder.hub.change("owner/model", |repo| {
        let mut files = revision(100, "");
        for (path, bytes) in &mut files {
            if *path == name {
                spoil(bytes);
            }
        }
        push(repo, &branch(100), &files);
    });
    let error = failure(&ladder, &[]);
    assert_nothing_is_visible(&ladder);
    let named = "owner/model at stage1-step100-tokens1B: ";
    error
        .strip_prefix(named)
        .unwrap_or_else(|| panic!("{error}"))
        .to_owned()
}

fn edited(bytes: &mut Vec<u8>, from: &str, to: &str) {
    let text = String::from_utf8(bytes.clone()).unwrap();
    assert!(text.contains(from), "no `{from}`");
    *bytes = text.replace(from, to).into_bytes();
}

#[test]
fn files_that_lie_are_refused() {
    assert_eq!(
        lie("config.json", |bytes| edited(
            bytes,
            "\"hidden_size\": 64",
            "\"hidden_size\": 128"
        )),
        "`model.safetensors`: tensor `model.embed_tokens.weight` has shape [264, 64]; the config \
         asks for [264, 128]"
    );
    assert_eq!(
        lie("config.json", |bytes| edited(
            bytes,
            "\"num_hidden_layers\": 3",
            "\"num_hidden_layers\": 4"
        )),
        "`model.safetensors`: tensor `model.layers.3.self_attn.q_proj.weight` is missing"
    );
    assert_eq!(
        lie("config.json", |bytes| edited(
            bytes,
            "\"vocab_size\": 264",
            "\"vocab_size\": 4000000000000"
        )),
        "`config.json`: `vocab_size` is 4000000000000; allowed: 1 to 16777216"
    );
    assert_eq!(
        lie("model.safetensors", |bytes| bytes[..8]
            .copy_from_slice(&(2_u64 << 30).to_le_bytes())),
        "`model.safetensors`: the header claims 2147483648 bytes; allowed: 100000000"
    );
    assert_eq!(
        lie("model.safetensors", |bytes| bytes[..8]
            .copy_from_slice(&(90_000_000_u64).to_le_bytes())),
        "`model.safetensors`: the header claims 90000000 bytes; the file has 707448 after it starts"
    );
    assert_eq!(
        lie("model.safetensors", |bytes| bytes.truncate(500_000)),
        "`model.safetensors`: the file is truncated: its tensors end at 703744, its data at 496288"
    );
    assert_eq!(
        lie("tokenizer.json", |bytes| bytes.truncate(100)),
        "`tokenizer.json`: EOF while parsing a value at line 7 column 11"
    );
}
