//! A run after the edit of a few files looks at a part and tells of the rest
//! what the last run left: it must end as the long way does, seen from anywhere.
mod shapes;
mod way;

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use serde_json::Value;

use crate::{
    partly::{
        shapes::{chain, flat, gather, picks, shared},
        way::{Proofs, Way},
    },
    project::{Project, events},
};

/// Two folders in which the same happens. In one no proof is ever found.
struct Twins {
    short: Project,
    long: Project,
}

impl Twins {
    fn new((text, files): (String, usize)) -> Twins {
        let twins = Twins {
            short: Project::empty(),
            long: Project::empty(),
        };
        for project in [&twins.short, &twins.long] {
            project.write("p.toml", &text);
            for i in 0..files {
                project.write(&format!("in/{i}"), format!("ok {i}\n"));
            }
        }
        twins
    }

    fn edit(&self, i: usize, text: &str) {
        for project in [&self.short, &self.long] {
            project.write(&format!("in/{i}"), text);
        }
    }

    fn touch(&self, i: usize) {
        for project in [&self.short, &self.long] {
            let file = File::options()
                .append(true)
                .open(project.file(&format!("in/{i}")));
            let time = vgh::cache::now() - Duration::from_hours(1);
            file.unwrap().set_modified(time).unwrap();
        }
    }

    fn compare(&self) {
        let (short, long) = (seen(&self.short), seen(&self.long));
        assert!(short.keys().eq(long.keys()));
        for (name, text) in short {
            assert_eq!(text, long[&name], "{name}");
        }
    }

    /// Runs in both, compares everything, and gives the way of the one and how
    /// many instances were executed (none after a failure).
    fn run(&self, args: &[&str]) -> (Way, Option<u64>) {
        let before = Proofs::of(&self.short);
        let _ = fs::remove_dir_all(self.long.file("cache/proofs"));
        let (short, long) = (ran(&self.short, args), ran(&self.long, args));
        let way = Proofs::of(&self.short).way(&before);
        assert_eq!(short.0, long.0);
        let left = fs::read_dir(self.short.file("cache/tmp")).unwrap();
        let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["gate"]);
        same(&short.1, &long.1);
        self.compare();
        let done = short.0 == Some(0);
        let totals = short
            .1
            .iter()
            .find(|event| event["event"] == "run-finished");
        (
            way,
            totals
                .filter(|_| done)
                .and_then(|totals| totals["executed"].as_u64()),
        )
    }
}

fn same(some: &[Value], others: &[Value]) {
    assert_eq!(some.len(), others.len());
    for (one, other) in some.iter().zip(others) {
        assert_eq!(one, other);
    }
}

/// Takes away what may differ: times, names of runs. Of estimates it stays
/// whether there is one.
fn plain(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for moving in [
                "at",
                "run",
                "wall_s",
                "duration_ms",
                "output_bytes",
                // What starts first depends on how long things took.
                "pass",
                "slot",
                "compared",
            ] {
                map.remove(moving);
            }
            if let Some(estimate) = map.get_mut("estimate_ms") {
                *estimate = Value::from(estimate.is_null());
            }
            map.values_mut().for_each(plain);
        }
        Value::Array(items) => items.iter_mut().for_each(plain),
        _ => {}
    }
}

/// A line of the list of copies without the time of the file.
fn untimed(line: &str) -> String {
    let mut fields: Vec<&str> = line.split('\t').collect();
    assert_eq!(fields.len(), 4, "{line}");
    fields.remove(2);
    fields.join("\t") + "\n"
}

/// Exit code and events of a run.
fn ran(project: &Project, args: &[&str]) -> (Option<i32>, Vec<Value>) {
    let all = [&["run", "p.toml", "--json", "-j", "1"], args].concat();
    let output = project.vgh(&all);
    let mut events = events(&output);
    events.iter_mut().for_each(plain);
    events.sort_by_key(Value::to_string);
    (output.status.code(), events)
}

/// What a run leaves: copies, the run's folder, what a plan says next.
fn seen(project: &Project) -> BTreeMap<String, String> {
    let mut seen = BTreeMap::new();
    let json = |path: &Path| {
        let mut value: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        plain(&mut value);
        value.to_string()
    };
    let results = project.file("results");
    for path in files(&results) {
        let name = path.strip_prefix(&results).unwrap().display().to_string();
        let mut text = fs::read_to_string(&path).unwrap();
        if name.ends_with(".published") {
            // The last line about a copy counts.
            let lines = text.lines().map(untimed);
            let named = lines.map(|line| (line.rsplit('\t').next().unwrap().to_owned(), line));
            let lines: BTreeMap<String, String> = named.collect();
            text = lines.into_values().collect();
        }
        seen.insert(name, text);
    }
    let runs = project.file("cache/runs");
    let mut runs: Vec<PathBuf> = fs::read_dir(runs)
        .unwrap()
        .map(|run| run.unwrap().path())
        .collect();
    runs.sort();
    let last = runs.last().unwrap();
    for name in ["plan.json", "results.json"] {
        seen.insert(name.to_owned(), json(&last.join(name)));
    }
    let text = fs::read_to_string(last.join("pipeline.toml")).unwrap();
    seen.insert("pipeline".to_owned(), text);
    seen.insert("runs".to_owned(), runs.len().to_string());
    let plan = project.vgh(&["plan", "p.toml", "--json"]);
    let mut plan: Value = serde_json::from_slice(&plan.stdout).unwrap();
    plain(&mut plan);
    plan.as_object_mut().unwrap().remove("cost");
    seen.insert("plan".to_owned(), plan.to_string());
    let status = project.vgh(&["status", "--json"]);
    let mut status: Value = serde_json::from_slice(&status.stdout).unwrap_or_default();
    plain(&mut status);
    seen.insert("stages".to_owned(), spent(&status["tally"]["stages"]));
    seen
}

/// Stages of a tally without the time that they took.
fn spent(stages: &Value) -> String {
    let mut stages = stages.clone();
    for stage in stages.as_array_mut().into_iter().flatten() {
        stage.as_object_mut().unwrap().remove("spent_ms");
    }
    stages.to_string()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

/// Longer than the times of files are doubted.
fn grow_old() {
    thread::sleep(Duration::from_millis(2100));
}

#[test]
fn a_part_ends_as_the_whole_would() {
    // Of each shape how many instances one edit reaches.
    let shapes = [(flat(), 1), (chain(), 5), (gather(), 3)];
    let all: Vec<(Twins, u64)> = shapes
        .map(|(shape, reach)| (Twins::new(shape), reach))
        .into();
    grow_old();
    for (twins, _) in &all {
        assert_eq!(twins.run(&[]).0, Way::Long);
        assert_eq!(twins.run(&[]), (Way::Proof, Some(0)));
    }
    for (twins, reach) in &all {
        twins.edit(1, "ok other\n");
        assert_eq!(twins.run(&[]), (Way::Part, Some(*reach)));
        // The file is too young to be believed: it is hashed again.
        assert_eq!(twins.run(&[]), (Way::Part, Some(0)));
        twins.edit(1, "ok 1\n");
        assert_eq!(twins.run(&[]), (Way::Part, Some(0)));
        twins.touch(1);
        assert_eq!(twins.run(&[]), (Way::Part, Some(0)));
    }
    grow_old();
    for (twins, reach) in &all {
        assert_eq!(twins.run(&[]), (Way::Part, Some(0)));
        assert_eq!(twins.run(&[]), (Way::Proof, Some(0)));
        // It has been the same, so a stage behind it has nothing to do.
        twins.edit(1, "ok 1\nnot this\n");
        assert_eq!(twins.run(&[]), (Way::Part, Some(1)));
        twins.edit(1, "no\n");
        assert_eq!(twins.run(&[]), (Way::Proof, None));
        twins.edit(1, "ok again\n");
        assert_eq!(twins.run(&[]), (Way::Part, Some(*reach)));
    }
}

#[test]
fn values_that_others_pick_are_the_same_in_a_part() {
    let twins = Twins::new(picks());
    grow_old();
    assert_eq!(twins.run(&[]), (Way::Long, Some(84)));
    for (round, (file, reach)) in [(1, 4), (39, 4), (7, 2), (0, 4), (39, 4)]
        .iter()
        .enumerate()
    {
        twins.edit(*file, &format!("ok {file} in {round}\n"));
        assert_eq!(twins.run(&[]), (Way::Part, Some(*reach)), "{file}");
    }
}

#[test]
fn what_only_was_read_stays_as_it_was() {
    // Asked for, and so there although it is of no use later.
    let twins = Twins::new(shared(true));
    grow_old();
    assert_eq!(twins.run(&["a", "b"]), (Way::Long, Some(41)));
    twins.edit(1, "ok other\n");
    assert_eq!(twins.run(&["a", "b"]), (Way::Part, Some(1)));
    assert_eq!(twins.run(&["a", "b"]).1, Some(0));
    // Not asked for, and lost: it might come back as something else.
    let twins = Twins::new(shared(false));
    grow_old();
    assert_eq!(twins.run(&["b"]), (Way::Long, Some(41)));
    for project in [&twins.short, &twins.long] {
        let blobs = files(&project.file("cache/blobs"));
        let of_a = |path: &&PathBuf| !fs::read(path).unwrap().starts_with(b"ok");
        assert!(blobs.iter().any(|path| of_a(&path)));
        for blob in blobs.iter().filter(of_a) {
            fs::remove_file(blob).unwrap();
        }
    }
    assert_eq!(twins.run(&["b"]), (Way::Proof, Some(0)));
    twins.edit(1, "ok other\n");
    assert_eq!(twins.run(&["b"]), (Way::Long, Some(2)));
}

#[test]
fn two_edits_are_one_part_and_whatever_else_moves_is_the_long_way() {
    let all = [Twins::new(flat()), Twins::new(gather())];
    grow_old();
    for (twins, reach) in all.iter().zip([2, 4]) {
        assert_eq!(twins.run(&[]).0, Way::Long);
        twins.edit(1, "ok other\n");
        twins.edit(7, "ok another\n");
        assert_eq!(twins.run(&[]), (Way::Part, Some(reach)));
        // A copy is gone as well.
        twins.edit(1, "ok third\n");
        for project in [&twins.short, &twins.long] {
            let copies = files(&project.file("results"));
            let copy = copies.iter().min().unwrap();
            fs::remove_file(copy).unwrap();
        }
        assert_eq!(twins.run(&[]), (Way::Long, Some(reach - 1)));
        // A record of something else is gone as well.
        twins.edit(1, "ok fourth\n");
        for project in [&twins.short, &twins.long] {
            let holds = |path: &&PathBuf| {
                let text = fs::read_to_string(path).unwrap();
                text.contains("\"s30\"") || text.contains("\"one@i=30\"")
            };
            let records = files(&project.file("cache/records"));
            fs::remove_file(records.iter().find(holds).unwrap()).unwrap();
        }
        assert_eq!(twins.run(&[]), (Way::Long, Some(reach)));
        // More than a quarter.
        for i in 0..20 {
            twins.edit(i, &format!("ok {i} again\n"));
        }
        assert_eq!(twins.run(&[]).0, Way::Long);
    }
}

#[test]
fn selectors_and_overrides_have_parts_of_their_own() {
    let (flat, gather) = (Twins::new(flat()), Twins::new(gather()));
    grow_old();
    let some = ["s0", "s1", "s2", "s3", "s4"];
    assert_eq!(flat.run(&some).0, Way::Long);
    flat.edit(1, "ok other\n");
    assert_eq!(flat.run(&some), (Way::Part, Some(1)));
    assert_eq!(flat.run(&some), (Way::Part, Some(0)));
    // A file that nothing here reads is hashed nevertheless.
    flat.edit(30, "ok other\n");
    assert_eq!(flat.run(&some).1, Some(0));
    let set = ["--set", "word=x"];
    assert_eq!(gather.run(&set).0, Way::Long);
    gather.edit(2, "ok other\n");
    assert_eq!(gather.run(&set), (Way::Part, Some(3)));
    assert_eq!(gather.run(&["one"]).0, Way::Long);
    gather.edit(2, "ok third\n");
    assert_eq!(gather.run(&["one"]), (Way::Part, Some(1)));
    // That run brought the copies in line, so the proof of this one is over.
    assert_eq!(gather.run(&set), (Way::Long, Some(2)));
}

#[test]
fn an_interrupted_part_is_taken_up() {
    let twins = Twins::new(flat());
    grow_old();
    assert_eq!(twins.run(&[]).0, Way::Long);
    twins.edit(3, "ok slow\n");
    for project in [&twins.short, &twins.long] {
        let mut command = project.command(&["run", "p.toml", "--json", "-j", "1"]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let started = lines.find(|line| line.as_ref().unwrap().contains("\"started\""));
        assert!(started.is_some());
        let kill = Command::new("kill")
            .args(["-INT", &child.id().to_string()])
            .status();
        assert!(kill.unwrap().success());
        let last = lines.last().unwrap().unwrap();
        assert!(
            last.contains("\"cached\":39") && last.contains("\"interrupted\":true"),
            "{last}"
        );
        assert_eq!(child.wait().unwrap().code(), Some(130));
    }
    twins.compare();
    twins.edit(3, "ok quick\n");
    assert_eq!(twins.run(&[]), (Way::Part, Some(1)));
}
