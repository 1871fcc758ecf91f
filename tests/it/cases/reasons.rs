//! What is said about a run: the differences that `why` names (case 4), forced
//! runs (case 17), limits, and what fails beside what goes on.
use serde_json::json;
use vgh::engine::{
    Reason, State,
    explain::{Cause, Change, Difference, Explanation, Nearness},
};

use crate::{
    cases::meaning::none,
    project::Project,
    space::{Asked, BASE, Space},
    toy::DICE,
};

fn explain(space: &Space, stages: &str, selector: &str) -> Explanation {
    let cache = space.cache_path();
    let mut explained = space.usual(&cache, stages).explain(&[selector]);
    assert_eq!(explained.len(), 1, "{selector}");
    explained.remove(0)
}

fn entry(path: &str, before: f64, now: f64) -> Difference {
    Difference::Entry {
        path: path.to_owned(),
        before: Some(json!(before)),
        now: Some(json!(now)),
    }
}

#[test]
fn case_04_the_nearest_float_reruns_and_why_prints_both() {
    let space = Space::new();
    space.run(BASE);
    let edited = BASE.replace("1e-4", "0.00010000000000000002");
    let why = explain(&space, &edited, "a");
    assert_eq!(why.plan, State::Run(Reason::NoRecord));
    assert_eq!(why.compared.unwrap().nearness, Nearness::Instance);
    let changed = entry("params.value", 1e-4, 0.000_100_000_000_000_000_02);
    assert_eq!(why.differences, [changed]);
    let text = serde_json::to_string(&why.differences).unwrap();
    assert!(
        text.contains("0.0001,") && text.contains("0.00010000000000000002"),
        "{text}"
    );
    assert_eq!(space.run(&edited).executed, ["a", "all", "b"]);
}

#[test]
fn what_runs_only_because_of_something_above_leads_to_its_root() {
    let space = Space::new();
    space.run(BASE);
    let edited = BASE.replace("1e-4", "3");
    let why = explain(&space, &edited, "all");
    assert_eq!(why.plan, State::Maybe(Reason::InputsChange));
    assert_eq!(
        (why.waits_for.as_slice(), why.differences.len()),
        (&["b".to_owned()][..], 0)
    );
    assert_eq!(why.roots.len(), 1, "{:?}", why.roots);
    assert_eq!(why.roots[0].chain, ["all", "b", "a"]);
    let cause = Cause::Changed {
        differences: vec![entry("params.value", 1e-4, 3.0)],
    };
    assert_eq!(why.roots[0].cause, cause);
    // Back to what was known, without `all`: its key is known, and its input is another.
    space.run_selected(&edited, &["b"], false);
    let why = explain(&space, &edited, "all");
    assert_eq!(why.plan, State::Run(Reason::NoRecord));
    let [
        Difference::Input {
            port,
            change,
            producer,
            ..
        },
    ] = &why.differences[..]
    else {
        panic!("{:?}", why.differences)
    };
    assert_eq!(
        (port.as_str(), *change, producer.as_deref()),
        ("n", Change::Content, Some("b"))
    );
    assert_eq!((why.roots.len(), &why.roots[0].cause), (1, &cause));
}

#[test]
fn an_added_cell_is_named_and_a_cached_one_says_how_it_was_made() {
    let space = Space::new();
    space.run(BASE);
    let edited = BASE.replace("[1, 2]", "[1, 2, 3]");
    let why = explain(&space, &edited, "all");
    let added = why.differences.iter().any(|difference| {
        matches!(difference, Difference::Input { at, change: Change::Added, producer, .. }
            if at == "i=3" && producer.as_deref() == Some("d@i=3"))
    });
    assert!(added, "{:?}", why.differences);
    let cached = explain(&space, &edited, "c@i=2");
    assert_eq!((cached.plan, cached.roots.len()), (State::Cached, 0));
    let made = cached.made.unwrap();
    assert_eq!(
        (made.run.as_str(), made.instance.as_str()),
        ("test", "c@i=2")
    );
    assert!(!made.started.is_empty());
    let fresh = explain(&Space::new(), BASE, "b");
    assert_eq!(
        (fresh.plan, fresh.compared),
        (State::Run(Reason::NewShape), None)
    );
    assert_eq!(fresh.waits_for, ["a"]);
}

const COUNTING: &str = "[axes]\nx = [1, 2, 3]\nk = [3, 5]\n[stages.a]\nkind = \"number\"\nover = [\"x\"]\n\
                        value = \"{x}\"\n[stages.count]\nkind = \"count\"\nover = [\"x\", \"k\"]\n\
                        to = \"{k}\"\ninputs = { n = \"a\" }\n";

#[test]
fn a_further_mark_is_compared_with_its_own_family() {
    let space = Space::new();
    space.run(COUNTING);
    let edited = COUNTING.replace("[3, 5]", "[3, 5, 8]");
    for x in 1..=3 {
        let why = explain(&space, &edited, &format!("count@x={x},k=8"));
        assert_eq!(why.compared.unwrap().nearness, Nearness::Family, "{x}");
        let [Difference::Entry { path, now, .. }] = &why.differences[..] else {
            panic!("{:?}", why.differences)
        };
        assert_eq!(
            (path.as_str(), now.as_ref()),
            ("params.to", Some(&json!(8)))
        );
    }
}

#[test]
fn a_dropped_result_is_no_change_of_its_own() {
    let space = Space::new();
    space.run(BASE);
    let edited = BASE.replace("1e-4", "3");
    space.run(&edited);
    let record = space.cache().records().unwrap().find(|record| {
        record.provenance.instance == "a" && record.manifest["params"]["value"] == 3.0
    });
    assert!(space.cache().drop_record(&record.unwrap().key).unwrap());
    let why = explain(&space, &edited, "a");
    assert_eq!(why.plan, State::Run(Reason::Dropped));
    assert_eq!((why.compared, why.differences), (None, Vec::new()));
    let after = explain(&space, &edited, "b");
    let causes: Vec<&Cause> = after.roots.iter().map(|root| &root.cause).collect();
    assert_eq!(causes, [&Cause::Dropped]);
    assert_eq!(space.run(&edited).executed, ["a"]);
    // Made anew, it is as if nothing had been.
    none(&space.run(&edited));
}

#[test]
fn bytes_that_are_gone_name_who_wants_them() {
    let space = Space::new();
    space.run(BASE);
    for text in ["0.0001", "0.0002"] {
        let digest = vgh::digest::Digest::of(text.as_bytes());
        assert!(space.cache().remove_blob(&digest).unwrap());
    }
    let edited =
        format!("{BASE}[stages.more]\nkind = \"double\"\nadd = 5\ninputs = {{ n = \"b\" }}\n");
    let why = explain(&space, &edited, "a");
    assert_eq!(
        (why.plan, why.wanted_by),
        (State::Run(Reason::BytesMissing), vec!["b".to_owned()])
    );
    assert_eq!(space.run(&edited).executed, ["a", "b", "more"]);
}

#[test]
fn case_17_forced_and_not_deterministic() {
    let space = Space::new();
    let text =
        "[stages.a]\nkind = \"dice\"\n[stages.b]\nkind = \"double\"\ninputs = { n = \"a.n\" }\n";
    let cache = space.cache_path();
    DICE.set(1.0);
    assert_eq!(space.run(text).texts["b"], "2");
    let record = space
        .cache()
        .records()
        .unwrap()
        .find(|record| record.kind() == "dice")
        .unwrap();
    DICE.set(1.5);
    let forced = Asked {
        forced: &["a"],
        ..space.usual(&cache, text)
    };
    let ran = forced.run();
    assert_eq!(ran.planned["a"], State::Run(Reason::Forced));
    assert_eq!(ran.executed, ["a"]);
    assert_eq!(ran.texts["a"], "1");
    assert_eq!(ran.warnings.len(), 1, "{:?}", ran.warnings);
    let warning = &ran.warnings[0];
    assert!(
        warning.starts_with("`a` gave other bytes than an earlier run with the same key (`n`: ")
            && warning.ends_with(
                "`table`: largest difference 5e-1 in column gain, row 1): the first result stays, \
                 the other is kept beside it"
            ),
        "{warning}"
    );
    let now = space.cache().record(&record.key).unwrap().unwrap();
    assert_eq!(now.outputs, record.outputs);
    assert_eq!(space.cache().records_beside(&record.key).len(), 1);
    none(&space.run(text));
    // The same bytes again are no news.
    DICE.set(1.0);
    let quiet = forced.run();
    assert_eq!((quiet.executed.len(), quiet.warnings.len()), (1, 0));
}

#[test]
fn a_forced_pass_starts_anew() {
    let space = Space::new();
    let text = "[axes]\nk = [3, 5]\n[stages.a]\nkind = \"number\"\nvalue = 7\n[stages.count]\nkind = \"count\"\n\
                over = [\"k\"]\nto = \"{k}\"\ninputs = { n = \"a\" }\n";
    space.run(text);
    let cache = space.cache_path();
    let updates = crate::toy::UPDATES.get();
    let forced = Asked {
        forced: &["count@k=5"],
        ..space.usual(&cache, text)
    };
    assert_eq!(forced.run().executed, ["count@k=5"]);
    assert_eq!(crate::toy::UPDATES.get() - updates, 5);
}

#[test]
fn a_failure_holds_up_only_what_needs_it() {
    let space = Space::new();
    let text = "[stages.a]\nkind = \"number\"\nvalue = 1\n[stages.bad]\nkind = \"fail\"\ninputs = { n = \"a\" }\n\
                [stages.after]\nkind = \"double\"\ninputs = { n = \"bad\" }\n\
                [stages.last]\nkind = \"double\"\ninputs = { n = \"after\" }\n\
                [stages.good]\nkind = \"double\"\ninputs = { n = \"a\" }\n\
                [stages.best]\nkind = \"double\"\ninputs = { n = \"good\" }\n";
    let kept = space.run_selected(text, &[], true);
    assert_eq!(kept.executed, ["a", "best", "good"]);
    assert_eq!((kept.totals.failed, kept.totals.skipped), (1, 2));
    // A failure is no result: it is tried again, and nothing else.
    let again = space.run_selected(text, &[], true);
    assert_eq!((again.executed.len(), again.failures.len()), (0, 1));
}

fn told(project: &Project, args: &[&str]) -> (Option<i32>, String, String) {
    let output = project.vgh(args);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn the_program_plans_explains_and_refuses() {
    let project = Project::mini();
    let (code, plan, _) = told(&project, &["plan", "mini.toml", "prompts"]);
    assert_eq!(code, Some(0));
    assert_eq!(
        plan,
        "corpus         1 to run  first time\n\
         prompts        1 to run  waits for corpus\n\
         mini: 2 instances: 2 to run, 0 maybe, 0 cached\n\
         no estimate for 2 instances of kinds without earlier results: `copy-corpus`, `label-copy`\n"
    );
    assert_eq!(project.run(&["prompts"]).code, Some(0));
    project.edit("documents = 200", "documents = 201");
    let (_, plan, _) = told(&project, &["plan", "mini.toml", "prompts"]);
    assert!(
        plan.starts_with(
            "corpus         1 to run  params.documents 200 -> 201\n\
             prompts        1 maybe   waits for corpus\n\
             mini: 2 instances: 1 to run, 1 maybe, 0 cached\n\
             by earlier runs    "
        ),
        "{plan}"
    );
    let (_, why, _) = told(&project, &["why", "mini.toml", "prompts"]);
    assert!(
        why.starts_with("prompts: maybe, something before it runs\n  compared with the nearest result of this instance, of 20")
            && why.ends_with(
                "\n  waits for corpus\n  set off by\n    corpus: params.documents  200 -> 201\n"
            ),
        "{why}"
    );
    let (code, out, error) = told(
        &project,
        &["run", "--max-hours", "0", "mini.toml", "prompts"],
    );
    assert_eq!((code, out.as_str()), (Some(2), ""));
    assert!(
        error.starts_with("error: this run would take up to "),
        "{error}"
    );
    assert!(error.contains("--max-hours 0 allows 0.00 s"), "{error}");
    project.edit("documents = 201", "documents = 200");
    let forced = project.run(&["--force=prompts", "prompts"]);
    assert_eq!(forced.stages(), ["prompts"]);
    let (_, json, _) = told(&project, &["plan", "--json", "mini.toml", "prompts"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&json["cached"], &json["instances"][1]["state"]),
        (&json!(2), &json!("cached"))
    );
    let (_, why, _) = told(&project, &["why", "mini.toml", "corpus"]);
    assert!(why.starts_with("corpus: cached\n  made 20"), "{why}");
}
