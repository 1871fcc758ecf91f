//! `kill -9` at random moments, of the run, of its workers, of both: the next
//! run finishes with no flag, nothing broken is ever visible, and what was said
//! to be finished is not done again.
use std::{
    collections::BTreeSet,
    env, fs,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use vgh::{cache::Cache, seed::Seed};

use crate::project::Project;

/// Eight stages of a few milliseconds, in two ranks.
const SMALL: &str = include_str!("small.toml");

/// Kills in CI; `VGH_KILLS=1000` asks for more.
const KILLS: u64 = 200;
/// Kills on one cache, so that the check of all its bytes stays short.
const A_CACHE: u64 = 25;

/// The axis of round `n`: work that no round before did.
fn axis(n: u64) -> String {
    let first = 4 * n + 1;
    format!("i=[{first}, {}, {}, {}]", first + 1, first + 2, first + 3)
}

fn run(project: &Project, n: u64) -> Command {
    let mut command = project.command(&["run", "--json", "small.toml", "-j", "2", "--set"]);
    command.arg(axis(n));
    command
}

fn finished(line: &str) -> Option<String> {
    // The last line of a killed process may be torn.
    let event: Value = serde_json::from_str(line).ok()?;
    let is = event["event"].as_str()? == "finished";
    is.then(|| event["instance"].as_str().map(str::to_owned))?
}

fn workers_of(pid: u32) -> Vec<String> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let children = children.unwrap_or_default();
    children.split_whitespace().map(str::to_owned).collect()
}

fn kill_all(pids: &[String]) {
    if !pids.is_empty() {
        // Whoever ended meanwhile is complained about, which does not matter.
        let _ = Command::new("kill")
            .arg("-9")
            .args(pids)
            .stderr(Stdio::null())
            .status();
    }
}

/// What a run that is killed after `moment` said was finished.
fn killed(project: &Project, n: u64, moment: Duration) -> BTreeSet<String> {
    let mut child = run(project, n)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let output = child.stdout.take().unwrap();
    let reader = thread::spawn(move || {
        let lines = BufReader::new(output).lines().map_while(Result::ok);
        lines.filter_map(|line| finished(&line)).collect()
    });
    thread::sleep(moment);
    let workers = workers_of(child.id());
    match n % 3 {
        0 => child.kill().unwrap(),
        1 => kill_all(&workers),
        _ => {
            child.kill().unwrap();
            kill_all(&workers);
        }
    }
    child.wait().unwrap();
    reader.join().unwrap()
}

fn check(project: &Project, n: u64, when: &str) {
    let cache = Cache::open(&project.file("cache")).unwrap();
    let report = cache.verify(true).unwrap();
    let whole = report.is_sound() && report.missing.is_empty();
    assert!(
        whole,
        "round {n}, {when}: {report:?} {:?}",
        cache.take_notices()
    );
}

#[test]
fn killing_runs_and_workers_loses_nothing_finished() {
    let kills = env::var("VGH_KILLS").map_or(KILLS, |text| text.parse().unwrap());
    let seed = Seed(env::var("VGH_KILL_SEED").map_or(7, |text| text.parse().unwrap()));
    let mut project = Project::empty();
    let (mut lost, mut interrupted) = (0, 0);
    let mut whole = Duration::ZERO;
    for n in 0..kills {
        if n % A_CACHE == 0 {
            project = Project::empty();
            project.write("small.toml", SMALL);
            let begun = Instant::now();
            assert!(run(&project, kills + n).output().unwrap().status.success());
            whole = begun.elapsed();
        }
        let share = seed.stream("kill", &[n]).uniform() * 1.1;
        let done = killed(&project, n, whole.mul_f64(share));
        check(&project, n, "killed");
        let next = run(&project, n).output().unwrap();
        let said = String::from_utf8_lossy(&next.stderr);
        assert_eq!(next.status.code(), Some(0), "round {n}: {said}");
        let text = String::from_utf8_lossy(&next.stdout);
        let again: BTreeSet<String> = text.lines().filter_map(finished).collect();
        let twice: Vec<&String> = done.intersection(&again).collect();
        assert!(twice.is_empty(), "round {n}: {twice:?} were done again");
        check(&project, n, "finished");
        interrupted += u64::from(!again.is_empty());
        lost += again.len();
    }
    // Otherwise the moments were all too early or too late to mean anything.
    assert!(
        interrupted > kills / 4 && lost < 8 * kills as usize,
        "{interrupted} of {kills} kills interrupted anything, {lost} stages ran after"
    );
}
