//! `vgh cache`: what is listed, removed, checked, dropped and found.
use std::{
    collections::BTreeSet,
    fs::{self, File},
    process::Output,
    time::Duration,
};

use serde_json::Value;

use crate::project::Project;

const SMALL: &str = include_str!("small.toml");

fn project() -> Project {
    let project = Project::empty();
    project.write("small.toml", SMALL);
    run(&project, &[]);
    project
}

fn run(project: &Project, args: &[&str]) -> usize {
    let output = project.vgh(&[&["run", "--json", "small.toml"], args].concat());
    assert!(output.status.success(), "{}", said(&output.stderr));
    let text = said(&output.stdout);
    let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    last["executed"].as_u64().unwrap() as usize
}

fn said(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn cache(project: &Project, args: &[&str]) -> Output {
    project.vgh(&[&["cache"], args].concat())
}

fn json(project: &Project, args: &[&str]) -> Value {
    let output = cache(project, &[args, &["--json"]].concat());
    assert!(output.status.success(), "{}", said(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn the_results_of_a_pipeline_are_kept_and_others_go() {
    let project = project();
    assert_eq!(run(&project, &["--set", "i=[1, 2, 5]"]), 2);
    let gc = ["gc", "--grace", "0s", "small.toml"];
    let dry = json(&project, &[&gc[..], &["--dry-run"]].concat());
    assert_eq!(project.cache().records().unwrap().count(), 10);
    let real = json(&project, &gc);
    assert_eq!(dry["freed_bytes"], real["freed_bytes"]);
    assert_eq!(dry["left_bytes"], real["left_bytes"]);
    let names = ["(copy-corpus)", "(label-copy)", "corpus", "prompts"];
    for (row, name) in real["results"].as_array().unwrap().iter().zip(names) {
        let mine = !name.starts_with('(');
        assert_eq!(row["name"], name);
        assert_eq!(row["kept"], if mine { 4 } else { 0 }, "{name}");
        assert_eq!(row["dropped"], u32::from(!mine), "{name}");
    }
    assert_eq!(project.cache().records().unwrap().count(), 8);
    assert_eq!(run(&project, &[]), 0);
    assert_eq!(run(&project, &["--set", "i=[1, 2, 5]"]), 2);
}

#[test]
fn a_run_that_died_holds_what_it_found_as_well() {
    let project = project();
    let other = ["--set", "i=[1, 2, 5]"];
    assert_eq!(run(&project, &other), 2);
    let runs = fs::read_dir(project.file("cache/runs")).unwrap();
    let last = runs.map(|run| run.unwrap().path()).max().unwrap();
    // Whoever is killed leaves no results.
    fs::remove_file(last.join("results.json")).unwrap();
    json(&project, &["gc", "--grace", "0s", "--keep-runs", "1"]);
    // The key of what waited for another is in no plan.
    assert_eq!(run(&project, &other), 1);
    assert_eq!(run(&project, &[]), 4);
}

#[test]
fn for_want_of_room_bytes_go_and_nothing_downstream_runs_again() {
    let project = project();
    let all = json(&project, &["gc", "--grace", "0s"]);
    assert_eq!(all["freed_bytes"], 0);
    let before = all["left_bytes"].as_u64().unwrap();
    let half = (before / 2).to_string();
    let text = cache(&project, &["gc", "--grace", "0s", "--max-size", &half]);
    let text = said(&text.stdout);
    assert!(
        text.contains("emptied") && text.contains(" freed, "),
        "{text}"
    );
    let left = json(&project, &["gc", "--grace", "0s"])["left_bytes"].clone();
    assert!(left.as_u64().unwrap() <= before / 2);
    assert_eq!(project.cache().records().unwrap().count(), 8);
    let verified = cache(&project, &["verify", "--read-data"]);
    assert_eq!(verified.status.code(), Some(0));
    // Only what is asked for and lost is made again, with what that needs.
    assert!(run(&project, &[]) < 8);
    assert_eq!(run(&project, &[]), 0);
    let gone = json(&project, &["gc", "--grace", "0s", "--max-size", "0"]);
    assert_eq!(gone["left_bytes"], 0);
    assert_eq!(project.cache().records().unwrap().count(), 8);
    assert_eq!(run(&project, &[]), 8);
    assert_eq!(
        json(&project, &["gc", "--grace", "0s", "--older-than", "1h"])["freed_bytes"],
        0
    );
    json(&project, &["gc", "--grace", "0s", "--older-than", "0s"]);
    assert_eq!(project.cache().records().unwrap().count(), 0);
    assert_eq!(run(&project, &[]), 8);
}

#[test]
fn young_results_stay_and_rules_are_checked() {
    let project = project();
    json(&project, &["gc", "--max-size", "0"]);
    assert_eq!(run(&project, &[]), 0);
    for (args, expected) in [
        (
            &["gc", "--max-size", "1gb"][..],
            "a size such as 20GiB or 500MB",
        ),
        (
            &["gc", "--older-than", "30"],
            "an age such as 30d, 12h or 10min",
        ),
        (&["gc", "none.toml"], "read ./none.toml: "),
        (&["drop", "0123456789"], "no record has the key 0123456789"),
        (&["drop", "small.toml", "corpus@i=9"], "`i` has no value 9"),
    ] {
        let output = cache(&project, args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        let text = said(&output.stderr);
        assert!(text.contains(expected), "{args:?}: {text}");
    }
    let output = cache(&project, &["--cache", "elsewhere", "ls"]);
    assert_eq!(
        said(&output.stderr),
        "error: no cache at elsewhere: run a pipeline first, or name another place with --cache\n"
    );
}

#[test]
fn damage_is_found_and_the_next_run_makes_it_anew() {
    let project = project();
    let sound = cache(&project, &["verify", "--read-data"]);
    assert_eq!(sound.status.code(), Some(0));
    assert!(said(&sound.stdout).ends_with("The cache is whole.\n"));
    let path = json(&project, &["path", "small.toml", "prompts@i=2"]);
    let path = path[0]["path"].as_str().unwrap().to_owned();
    let bytes = fs::read(&path).unwrap();
    let mut bad = bytes.clone();
    bad[bytes.len() / 2] ^= 1;
    fs::remove_file(&path).unwrap();
    fs::write(&path, &bad).unwrap();
    assert_eq!(cache(&project, &["verify"]).status.code(), Some(0));
    let damaged = cache(&project, &["verify", "--read-data", "--repair"]);
    assert_eq!(damaged.status.code(), Some(4));
    let text = said(&damaged.stdout);
    assert!(
        text.contains("is corrupt: its bytes have the digest"),
        "{text}"
    );
    assert!(
        text.contains("1 record retired: the next run makes it anew"),
        "{text}"
    );
    assert!(
        text.ends_with("The cache was damaged: 1 fault.\n"),
        "{text}"
    );
    assert_eq!(
        cache(&project, &["verify", "--read-data"]).status.code(),
        Some(0)
    );
    assert_eq!(run(&project, &[]), 1);
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[test]
fn distrusted_results_are_dropped_by_name_or_key() {
    let project = project();
    let dropped = json(&project, &["drop", "small.toml", "prompts@i=1..2"]);
    assert_eq!(dropped["dropped"].as_array().unwrap().len(), 2);
    assert_eq!(dropped["dropped"][0]["name"], "prompts@i=1");
    assert_eq!(run(&project, &[]), 2);
    let listed = json(&project, &["ls"]);
    let records = listed["records"].as_array().unwrap();
    assert_eq!(records.len(), 8);
    let key = records[0]["key"].as_str().unwrap();
    let output = cache(&project, &["drop", &key[..12]]);
    let expected = format!(
        "copy-corpus dropped ({}); its file is in quarantine/\n",
        &key[..12]
    );
    assert_eq!(said(&output.stdout), expected);
    assert_eq!(run(&project, &[]), 1);
}

#[test]
fn the_cache_is_listed_by_kind_and_by_stage() {
    let project = project();
    let kinds = said(&cache(&project, &["ls"]).stdout);
    let head: Vec<&str> = kinds
        .lines()
        .map(|line| line.split("  ").next().unwrap())
        .collect();
    assert_eq!(head, ["kind", "copy-corpus", "label-copy", "all"]);
    let stages = said(&cache(&project, &["ls", "small.toml"]).stdout);
    let head: Vec<&str> = stages
        .lines()
        .map(|line| line.split("  ").next().unwrap())
        .collect();
    assert_eq!(head, ["stage (kind)", "corpus", "prompts", "all"]);
    let long = said(&cache(&project, &["ls", "--long"]).stdout);
    assert_eq!(long.lines().count(), 9);
    let root = said(&cache(&project, &["path"]).stdout);
    assert!(root.trim_end().ends_with("/cache"), "{root}");
    let both = ["path", "small.toml", "prompts.prompts@i=1", "corpus@i=1"];
    let named = json(&project, &both);
    let outputs = |instance: &str| {
        let found = named.as_array().unwrap().iter();
        let found = found.filter(|one| one["instance"] == instance);
        found
            .map(|one| one["output"].to_string())
            .collect::<BTreeSet<String>>()
    };
    assert_eq!(outputs("prompts@i=1").len(), 1);
    assert!(!outputs("corpus@i=1").is_empty());
    let paths = said(&cache(&project, &["path", "small.toml", "prompts"]).stdout);
    assert_eq!(paths.lines().count(), 4);
    assert!(paths.lines().all(|path| fs::metadata(path).is_ok()));
}

#[test]
fn what_was_not_used_for_long_goes_first() {
    let project = project();
    let used = |at: usize, hours: u64| {
        let record = project.cache().records().unwrap().nth(at).unwrap();
        let path = project.cache().record_path(&record.key);
        let then = vgh::cache::now() - Duration::from_hours(hours);
        let times = fs::FileTimes::new().set_accessed(then).set_modified(then);
        File::open(path).unwrap().set_times(times).unwrap();
        record.key.to_string()
    };
    let old: Vec<String> = (0..8).map(|at| used(at, 100 + at as u64)).collect();
    let report = json(&project, &["gc", "--grace", "0s", "--older-than", "105h"]);
    let dropped = report["results"].as_array().unwrap().iter();
    let dropped: u64 = dropped.map(|row| row["dropped"].as_u64().unwrap()).sum();
    assert_eq!(dropped, 3);
    let listed = json(&project, &["ls"]);
    let left = listed["records"].as_array().unwrap().iter();
    let left: Vec<&str> = left.map(|record| record["key"].as_str().unwrap()).collect();
    assert!(old[..5].iter().all(|key| left.contains(&key.as_str())));
    // A run makes what it takes young again.
    run(&project, &[]);
    let listed = json(&project, &["ls"]);
    let uses = listed["records"].as_array().unwrap().iter();
    assert!(
        uses.clone()
            .all(|record| record["used_s_ago"].as_u64().unwrap() < 3600)
    );
}

#[test]
fn downloads_that_nobody_goes_on_with_go() {
    let project = project();
    let folder = project.file("cache/tmp/downloads");
    let part = |name: &str, hours: u64| {
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join(name);
        fs::write(&path, vec![1; 1000]).unwrap();
        let then = vgh::cache::now() - Duration::from_hours(hours);
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_modified(then)
            .unwrap();
        path
    };
    let (young, middle) = (part("sha256-0a", 0), part("sha256-0b", 23));
    let (old, held) = (part("sha256-0c", 25), part("sha256-0d", 25));
    // Left by a process that was killed, the first beside its file.
    for name in ["sha256-0c.lock", "sha256-0e.lock"] {
        fs::write(folder.join(name), "").unwrap();
    }
    let lock = File::create(folder.join("sha256-0d.lock")).unwrap();
    lock.lock().unwrap();
    // One whose result is there: its bytes are the blob's, and it is as young.
    let blob = json(&project, &["path", "small.toml", "prompts@i=2"]);
    let blob = blob[0]["path"].as_str().unwrap().to_owned();
    fs::hard_link(&blob, folder.join("sha256-0f")).unwrap();

    let gc = ["gc", "--grace", "0s"];
    let dry = json(&project, &[&gc[..], &["--dry-run"]].concat());
    assert_eq!(
        (&dry["downloads"], &dry["download_bytes"]),
        (&1.into(), &1000.into())
    );
    assert!(old.exists());
    let real = json(&project, &gc);
    assert_eq!(real["downloads"], 1);
    assert_eq!(real["freed_bytes"], 1000);
    assert_eq!(real["left_bytes"], dry["left_bytes"]);
    let left = || -> BTreeSet<String> {
        let entries = fs::read_dir(&folder).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    };
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    let rest: BTreeSet<String> = names(&[
        "sha256-0a",
        "sha256-0b",
        "sha256-0d",
        "sha256-0d.lock",
        "sha256-0f",
    ]);
    assert_eq!(left(), rest);
    assert!(fs::metadata(&blob).is_ok() && held.exists());
    assert_eq!(run(&project, &[]), 0);

    let said = said(&cache(&project, &["gc", "--grace", "0s", "--older-than", "22h"]).stdout);
    let line = said
        .lines()
        .find(|line| line.starts_with("downloads"))
        .unwrap();
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words, ["downloads", "1", "1000", "B"]);
    assert!(young.exists() && held.exists() && !middle.exists());
}
