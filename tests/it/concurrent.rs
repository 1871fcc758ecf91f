//! Many runs on one cache at once: of the same pipeline, of overlapping ones,
//! and with a collector that takes all it may.
use std::{
    collections::BTreeMap,
    fs,
    process::{Child, Output, Stdio},
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver},
    },
    thread,
    time::Duration,
};

use crate::{
    project::{Project, events},
    signals::kill_one,
};

/// Nothing waits that long unless it is broken.
const PATIENCE: Duration = Duration::from_mins(3);
const SMALL: &str = include_str!("small.toml");

fn project() -> Project {
    let project = Project::empty();
    project.write("small.toml", SMALL);
    project
}

fn start(project: &Project, n: usize, axis: &str) -> Child {
    project
        .command(&["run", "--json", "small.toml", "-j", "2", "--set", axis])
        .args(["--results", &format!("results-{n}")])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn told(output: &Output, name: &str, field: &str) -> Vec<String> {
    let events = events(output).into_iter();
    events
        .filter(|event| event["event"] == name)
        .map(|event| event[field].as_str().unwrap().to_owned())
        .collect()
}

/// What all of them said. One that never ends fails the test and holds nothing up.
fn outputs(runs: Vec<Child>) -> Vec<Output> {
    let ids: Vec<u32> = runs.iter().map(Child::id).collect();
    let waits = runs.into_iter().map(|run| {
        let (tell, told) = mpsc::channel();
        thread::spawn(move || tell.send(run.wait_with_output().unwrap()));
        told
    });
    let waits: Vec<Receiver<Output>> = waits.collect();
    let ended = waits.iter().map(|told| told.recv_timeout(PATIENCE).ok());
    let ended: Vec<Option<Output>> = ended.collect();
    for (id, end) in ids.iter().zip(&ended) {
        if end.is_none() {
            kill_one(*id, libc::SIGKILL);
        }
    }
    let all: Option<Vec<Output>> = ended.into_iter().collect();
    all.expect("every run ends")
}

/// Runs all at once; how often each instance was executed, over all of them.
fn together(project: &Project, axes: &[String]) -> BTreeMap<String, usize> {
    let runs: Vec<Child> = axes
        .iter()
        .enumerate()
        .map(|(n, axis)| start(project, n, axis))
        .collect();
    let mut executed = BTreeMap::new();
    for (n, output) in outputs(runs).into_iter().enumerate() {
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "run {n}: {said}");
        for instance in told(&output, "finished", "instance") {
            *executed.entry(instance).or_default() += 1;
        }
        for message in told(&output, "warning", "message") {
            // Who holds a lease is written just after it is taken.
            assert!(message.contains("waits for "), "run {n}: {message}");
        }
    }
    executed
}

fn sound(project: &Project) {
    let report = project.cache().verify(true).unwrap();
    assert!(report.is_sound() && report.missing.is_empty(), "{report:?}");
    // The gate of the pins stays.
    let pins = fs::read_dir(project.file("cache/pins")).unwrap();
    assert_eq!(pins.count(), 1);
}

#[test]
fn two_runs_of_one_pipeline_execute_each_stage_once() {
    for _ in 0..5 {
        let project = project();
        let same = vec!["i=[1, 2, 3, 4]".to_owned(); 2];
        let executed = together(&project, &same);
        assert_eq!(executed.len(), 8);
        assert!(executed.values().all(|times| *times == 1), "{executed:?}");
        sound(&project);
    }
}

#[test]
fn sixteen_runs_of_one_pipeline_execute_each_stage_once() {
    let project = project();
    let same = vec!["i=[1, 2, 3, 4]".to_owned(); 16];
    let executed = together(&project, &same);
    assert_eq!(executed.len(), 8);
    assert!(executed.values().all(|times| *times == 1), "{executed:?}");
    sound(&project);
}

#[test]
fn sixteen_overlapping_runs_execute_each_stage_once() {
    let project = project();
    let axes: Vec<String> = (1..=16)
        .map(|first| format!("i=[{first}, {}, {}]", first + 1, first + 2))
        .collect();
    let executed = together(&project, &axes);
    assert_eq!(executed.len(), 2 * 18);
    assert!(executed.values().all(|times| *times == 1), "{executed:?}");
    sound(&project);
}

/// As if everything in the cache had been made two hours ago: only what runs
/// pin keeps it from the collector then.
fn age(project: &Project) {
    let then = vgh::cache::now() - Duration::from_hours(2);
    let times = fs::FileTimes::new().set_accessed(then).set_modified(then);
    for kind in ["cache/blobs", "cache/records"] {
        for folder in fs::read_dir(project.file(kind)).unwrap() {
            for file in fs::read_dir(folder.unwrap().path()).unwrap() {
                // What is collected just now needs no age.
                if let Ok(file) = fs::File::open(file.unwrap().path()) {
                    file.set_times(times).unwrap();
                }
            }
        }
    }
}

#[test]
fn a_collector_that_takes_all_it_may_harms_no_live_run() {
    let project = project();
    let (over, busy) = (AtomicBool::new(false), AtomicBool::new(false));
    let rules: [&[&str]; 4] = [
        &["--grace", "0s", "--max-size", "0"],
        &["--grace", "0s", "--older-than", "0s"],
        &["--grace", "0s", "--max-size", "40kB"],
        &["--grace", "0s"],
    ];
    thread::scope(|scope| {
        let collector = scope.spawn(|| {
            let mut rounds = 0;
            for rule in rules.iter().cycle() {
                if over.load(Ordering::Relaxed) {
                    return rounds;
                }
                if !busy.load(Ordering::Relaxed) {
                    thread::sleep(Duration::from_millis(1));
                    continue;
                }
                let output = project.vgh(&[&["cache", "gc"], *rule].concat());
                let said = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "{said}");
                rounds += 1;
            }
            rounds
        });
        together(&project, &["i=[1, 2, 3]".to_owned()]);
        for round in 0..6 {
            age(&project);
            let axes: Vec<String> = (0..3)
                .map(|n| format!("i=[1, {}, {}]", n + 2, 10 * round + n + 10))
                .collect();
            busy.store(true, Ordering::Relaxed);
            // Also warns of nothing: no bytes went that a run counted on.
            together(&project, &axes);
            busy.store(false, Ordering::Relaxed);
        }
        over.store(true, Ordering::Relaxed);
        assert!(collector.join().unwrap() > 3);
    });
    assert!(project.cache().verify(true).unwrap().is_sound());
}
