//! The engine on toy kinds: what an edit reruns, and what it does not.
use std::fs;

use vgh::engine::{Reason, State};

use crate::{
    space::{BASE, Ran, Space},
    toy::UPDATES,
};

fn none(ran: &Ran) {
    assert_eq!(ran.executed, Vec::<String>::new());
}

#[test]
fn a_second_run_does_nothing() {
    let space = Space::new();
    let first = space.run(BASE);
    assert_eq!(
        first.executed,
        ["a", "all", "b", "c@i=1", "c@i=2", "d@i=1", "d@i=2"]
    );
    assert_eq!(first.texts["all"], ": 0.0002\ni=1: 1002\ni=2: 1004");
    let second = space.run(BASE);
    none(&second);
    assert_eq!((second.totals.cached, second.totals.failed), (7, 0));
    assert_eq!(second.texts, first.texts);
}

#[test]
fn spelling_and_order_rerun_nothing() {
    let space = Space::new();
    space.run(BASE);
    for (from, to) in [
        ("[axes]", "# a comment\n[axes]"),
        ("1e-4", "0.0001"),
        ("1e-4", "1.0e-4"),
        ("i = [1, 2]", "i = [2, 1]"),
        ("i = [1, 2]", "i = [\n  1,\n  2,\n]"),
        (
            "kind = \"number\"\nvalue = 1e-4",
            "value = 1e-4\nkind = 'number'",
        ),
        (
            "kind = \"double\"\ninputs",
            "kind = \"double\"\nresources = { cpu = 2 }\ninputs",
        ),
    ] {
        let edited = BASE.replacen(from, to, 1);
        assert_ne!(edited, BASE);
        none(&space.run(&edited));
    }
    // A renamed stage.
    none(
        &space.run(
            &BASE
                .replace("stages.b]", "stages.twice]")
                .replace("\"b\"]", "\"twice\"]"),
        ),
    );
}

#[test]
fn an_edit_reruns_what_it_touches() {
    let space = Space::new();
    space.run(BASE);
    assert_eq!(
        space.run(&BASE.replace("1e-4", "2e-4")).executed,
        ["a", "all", "b"]
    );
    // Back again: everything is still known.
    none(&space.run(BASE));
    assert_eq!(
        space.run(&BASE.replace("[1, 2]", "[1, 2, 3]")).executed,
        ["all", "c@i=3", "d@i=3"]
    );
    assert_eq!(space.run(&BASE.replace("[1, 2]", "[2]")).executed, ["all"]);
}

#[test]
fn a_comment_in_an_input_is_cut_off_and_the_plan_says_maybe() {
    let space = Space::new();
    let text = "[stages.a]\nkind = \"lines\"\npath = \"in.txt\"\n[stages.b]\nkind = \"double\"\ninputs = { n = \"a\" }\n";
    space.write("in.txt", "# one\n21");
    assert_eq!(space.run(text).texts["b"], "42");
    space.write("in.txt", "# two\n21");
    let ran = space.run(text);
    assert_eq!(ran.executed, ["a"]);
    assert_eq!(ran.planned["a"], State::Run(Reason::NoRecord));
    assert_eq!(ran.planned["b"], State::Maybe(Reason::InputsChange));
    space.write("in.txt", "4");
    assert_eq!(space.run(text).executed, ["a", "b"]);
    space.write("in.txt", "# one\n21");
    none(&space.run(text));
}

#[test]
fn a_missing_external_is_named() {
    let space = Space::new();
    let pipeline = space.pipeline("[stages.a]\nkind = \"lines\"\npath = \"gone.txt\"\n");
    let mut stat = vgh::cache::StatIndex::in_memory();
    let error = vgh::engine::Externals::digest(&pipeline, &mut stat).unwrap_err();
    let text = error.to_string();
    let text = text.replace(&space.path().display().to_string(), "FOLDER");
    assert_eq!(
        text,
        "error: `path` of stage `a` names gone.txt, which is not there\n  \
         --> toy.toml:6:8\n   |\n 6 | path = \"gone.txt\"\n   \
         |        ^^^^^^^^^^ there is no FOLDER/gone.txt\n\n\
         1 fault; nothing was run"
    );
}

fn counting(axis: &str) -> String {
    format!(
        "[axes]\nk = {axis}\n[stages.a]\nkind = \"number\"\nvalue = 7\n[stages.count]\nkind = \"count\"\nover = [\"k\"]\n\
         to = \"{{k}}\"\ninputs = {{ n = \"a\" }}\n"
    )
}

fn updates_of(work: impl FnOnce() -> Ran) -> (u64, Ran) {
    UPDATES.with(|updates| updates.set(0));
    let ran = work();
    (UPDATES.with(std::cell::Cell::get), ran)
}

#[test]
fn a_progressive_family_is_one_pass_and_equals_separate_runs() {
    let fused = Space::new();
    let (updates, ran) = updates_of(|| fused.run(&counting("[3, 1, 5]")));
    assert_eq!(updates, 5);
    for k in [1, 3, 5] {
        let separate = Space::new().run(&counting(&format!("[{k}]")));
        let label = format!("count@k={k}");
        assert_eq!(separate.texts[&label], ran.texts[&label]);
    }
    let (updates, more) = updates_of(|| fused.run(&counting("[3, 1, 5, 8]")));
    assert_eq!((updates, more.executed), (3, vec!["count@k=8".to_owned()]));
    assert_eq!(more.texts["count@k=8"], "7 1 2 3 4 5 6 7 8");
    // Below the snapshot there is nothing to go on from.
    let (updates, less) = updates_of(|| fused.run(&counting("[2]")));
    assert_eq!((updates, less.texts["count@k=2"].as_str()), (2, "7 1 2"));
    // And the longer pass's snapshot has not been lost by that.
    let (updates, _) = updates_of(|| fused.run(&counting("[9]")));
    assert_eq!(updates, 1);
}

#[test]
fn lost_bytes_are_made_again_only_when_wanted() {
    let space = Space::new();
    let text = "[stages.a]\nkind = \"number\"\nvalue = 3\n[stages.b]\nkind = \"double\"\ninputs = { n = \"a\" }\n";
    space.run(text);
    let lose = |content: &str| {
        let digest = vgh::digest::Digest::of(content.as_bytes());
        fs::remove_file(space.cache().blob_path(&digest)).unwrap();
    };
    lose("3");
    none(&space.run(text));
    let ran = space.run(&text.replace("kind = \"double\"", "kind = \"double\"\nadd = 1"));
    assert_eq!(ran.executed, ["a", "b"]);
    assert_eq!(ran.planned["a"], State::Run(Reason::BytesMissing));
    lose("6");
    assert_eq!(space.run(text).executed, ["b"]);
}

#[test]
fn a_corrupt_blob_is_never_consumed() {
    let space = Space::new();
    let text = "[stages.a]\nkind = \"number\"\nvalue = 3\n[stages.b]\nkind = \"double\"\ninputs = { n = \"a\" }\n";
    space.run(text);
    let digest = vgh::digest::Digest::of(b"3");
    let path = space.cache().blob_path(&digest);
    let mut permissions = fs::metadata(&path).unwrap().permissions();
    #[expect(
        clippy::permissions_set_readonly_false,
        reason = "the test spoils a blob on purpose"
    )]
    permissions.set_readonly(false);
    fs::set_permissions(&path, permissions).unwrap();
    fs::write(&path, "4").unwrap();
    let edited = text.replace("kind = \"double\"", "kind = \"double\"\nadd = 1");
    // Found when it is read, and made again by the same run.
    let mended = space.run(&edited);
    assert_eq!(mended.totals.failed, 0, "{mended:?}");
    assert_eq!(mended.executed, ["a", "b"]);
    assert_eq!(mended.texts["b"], "7");
}

#[test]
fn a_failure_names_the_stage_and_spares_the_others_when_told() {
    let space = Space::new();
    let text = "[stages.a]\nkind = \"number\"\nvalue = 1\n[stages.bad]\nkind = \"fail\"\ninputs = { n = \"a\" }\n\
                [stages.after]\nkind = \"double\"\ninputs = { n = \"bad\" }\n[stages.good]\nkind = \"double\"\ninputs = { n = \"a\" }\n";
    let ran = space.run_selected(text, &[], true);
    assert_eq!(ran.failures, ["bad: told to fail"]);
    assert_eq!(ran.executed, ["a", "good"]);
    assert_eq!((ran.totals.failed, ran.totals.skipped), (1, 1));
    let ran = space.run_selected(
        &text.replace("\"fail\"", "\"fail\"\npanic = true"),
        &[],
        true,
    );
    assert_eq!(
        ran.failures,
        ["bad: the stage panicked, which is a fault of vgh: told to panic"]
    );
}

#[test]
fn selectors_run_what_they_name_and_what_that_needs() {
    let space = Space::new();
    assert_eq!(
        space.run_selected(BASE, &["d@i=2"], false).executed,
        ["c@i=2", "d@i=2"]
    );
    assert_eq!(space.run_selected(BASE, &["b"], false).executed, ["a", "b"]);
    assert_eq!(space.run(BASE).executed, ["all", "c@i=1", "d@i=1"]);
}

#[test]
fn two_stages_with_one_key_execute_once() {
    let space = Space::new();
    let text =
        "[stages.a]\nkind = \"number\"\nvalue = 5\n[stages.b]\nkind = \"number\"\nvalue = 5.0\n";
    let ran = space.run(text);
    assert_eq!(ran.texts["a"], ran.texts["b"]);
    let records = space.cache().records().unwrap().count();
    assert_eq!(records, 1);
    none(&space.run(text));
}
