//! A run that changes nothing is told from a proof, exactly as the long way would
//! tell it, and whatever moves sends it the long way.
use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::PathBuf,
    thread,
    time::Duration,
};

use serde_json::Value;

use crate::project::{Project, events};

const TEXT: &str = r#"[pipeline]
format = 1
name = "p"

[axes]
i = [1, 2]

[stages.copy]
kind = "command"
over = ["i"]
argv = ["cp", "{files.data}", "{outputs.copy}"]
files = { data = "in.txt" }
outputs = { copy = "copy.txt" }
env = { I = "{i}" }
hash_env = ["VGH_TEST_HASHED"]

[stages.all]
kind = "command"
shell = "cat ../inputs/copies/*/* > all.txt"
inputs = { copies = "copy" }
outputs = { all = "all.txt" }
"#;

struct Bench(Project);

impl Bench {
    /// A pipeline that has run, and whose last run left a proof.
    fn new() -> Bench {
        let project = Project::empty();
        project.write("p.toml", TEXT);
        project.write("in.txt", "one\n");
        // Younger files are hashed at each run, and nothing is proved of them.
        thread::sleep(Duration::from_millis(2100));
        let bench = Bench(project);
        assert_eq!(bench.run(&[], &[]).executed, 3);
        bench
    }

    fn run(&self, args: &[&str], variables: &[(&str, &str)]) -> Ran {
        let mut all = vec!["run", "p.toml", "--json"];
        all.extend(args);
        let mut command = self.0.command(&all);
        let output = command.envs(variables.iter().copied()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let mut events = events(&output);
        let executed = events.last().unwrap()["executed"].as_u64().unwrap();
        for event in &mut events {
            let event = event.as_object_mut().unwrap();
            for moving in ["at", "run", "wall_s"] {
                event.remove(moving);
            }
        }
        events.sort_by_key(Value::to_string);
        Ran { executed, events }
    }

    /// Whether a run takes the short way: the long one mends the index.
    fn is_short(&self, args: &[&str], variables: &[(&str, &str)]) -> bool {
        let index = self.0.file("cache/index");
        let mut file = OpenOptions::new().append(true).open(&index).unwrap();
        file.write_all(b"garbage\n").unwrap();
        let ran = self.run(args, variables);
        assert_eq!(ran.executed, 0);
        let short = fs::read(&index).unwrap().ends_with(b"garbage\n");
        if short {
            fs::remove_file(&index).unwrap();
            fs::write(&index, "").unwrap();
        }
        short
    }

    fn in_cache(&self, folder: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for shard in fs::read_dir(self.0.file("cache").join(folder)).unwrap() {
            let files = fs::read_dir(shard.unwrap().path()).unwrap();
            found.extend(files.map(|file| file.unwrap().path()));
        }
        found
    }
}

#[derive(Debug, PartialEq)]
struct Ran {
    executed: u64,
    events: Vec<Value>,
}

#[test]
fn the_short_way_tells_what_the_long_way_tells() {
    let bench = Bench::new();
    assert!(bench.is_short(&[], &[]));
    let short = bench.run(&[], &[]);
    let proofs = bench.0.file("cache/proofs");
    fs::remove_dir_all(&proofs).unwrap();
    assert!(!bench.is_short(&[], &[]));
    fs::remove_dir_all(&proofs).unwrap();
    assert_eq!(bench.run(&[], &[]), short);
    // For people: the same lines, but for the time it took.
    let told = || {
        let said = bench.0.vgh(&["run", "p.toml"]);
        let said = String::from_utf8(said.stdout).unwrap();
        let lines = said.lines().map(|line| match line.split_once(" in ") {
            Some((counts, _)) => counts.to_owned(),
            None => line.to_owned(),
        });
        lines.collect::<Vec<String>>()
    };
    let short = told();
    assert!(short.contains(&"Run: 0 executed, 3 cached, 0 failed".to_owned()));
    fs::remove_dir_all(&proofs).unwrap();
    assert_eq!(told(), short);
}

#[test]
fn another_call_another_variable_or_a_look_that_is_asked_for_go_the_long_way() {
    let bench = Bench::new();
    assert!(bench.is_short(&[], &[]));
    assert!(bench.is_short(&["-j", "7", "--network", "2"], &[]));
    assert!(!bench.is_short(&["copy"], &[]));
    assert!(bench.is_short(&["copy"], &[]));
    assert!(!bench.is_short(&["--results", "others"], &[]));
    assert_eq!(bench.run(&[], &[("VGH_TEST_HASHED", "1")]).executed, 2);
    assert_eq!(bench.run(&[], &[]).executed, 0);
    assert!(bench.is_short(&[], &[]));
    bench.0.write("p.toml", format!("# seen\n{TEXT}"));
    assert!(!bench.is_short(&[], &[]));
    assert!(bench.is_short(&[], &[]));
    assert_eq!(bench.run(&["--force=copy"], &[]).executed, 2);
}

#[test]
fn whatever_moves_is_seen() {
    let bench = Bench::new();
    assert!(bench.is_short(&[], &[]));
    let result = bench.0.file("results/p/all/all.txt");
    fs::remove_file(&result).unwrap();
    assert!(!bench.is_short(&[], &[]));
    assert_eq!(fs::read_to_string(&result).unwrap(), "one\none\n");
    fs::write(&result, "two\ntwo\n").unwrap();
    assert!(!bench.is_short(&[], &[]));
    assert_eq!(fs::read_to_string(&result).unwrap(), "one\none\n");
    assert!(bench.is_short(&[], &[]));

    // A record, and the bytes of the only result that nothing consumes.
    let records = bench.in_cache("records");
    assert_eq!(records.len(), 3);
    for record in records {
        fs::remove_file(record).unwrap();
        assert_eq!(bench.run(&[], &[]).executed, 1);
        assert_eq!(bench.run(&[], &[]).executed, 0);
    }
    let blobs = bench.in_cache("blobs");
    let all = |path: &&PathBuf| fs::read_to_string(path).unwrap() == "one\none\n";
    fs::remove_file(blobs.iter().find(all).unwrap()).unwrap();
    assert_eq!(bench.run(&[], &[]).executed, 1);

    bench.0.write("in.txt", "two\n");
    assert_eq!(bench.run(&[], &[]).executed, 3);
    assert_eq!(fs::read_to_string(&result).unwrap(), "two\ntwo\n");
}
