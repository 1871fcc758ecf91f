//! Signals and deaths, through the program: who stops when, who is left, and
//! what it costs. The pipeline's one long stage would take minutes.
use std::{
    fs,
    io::{BufRead, BufReader, Lines},
    os::unix::process::{CommandExt, ExitStatusExt},
    process::{Child, ChildStdout, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::project::Project;

/// Long enough for anything; nothing waits that long unless it is broken.
const PATIENCE: Duration = Duration::from_mins(1);

/// A corpus, and a model that trains on it for `steps` steps.
pub(crate) fn training(settings: &str, steps: u64) -> Project {
    let project = Project::empty();
    let text = format!(
        "[pipeline]\nformat = 1\nname = \"mini\"\n[stages.corpus]\nkind = \"copy-corpus\"\ndocuments = 200\nseed = 0\n\
         [stages.ladder]\nkind = \"pretrain\"\ninputs = {{ corpus = \"corpus\" }}\nseed = 0\nsteps = {steps}\n\
         decay_steps = 1000000\nwarmup_steps = 2\nhidden_size = 32\nlayers = 2\nheads = 2\nmlp = 64\n{settings}\n"
    );
    project.write("mini.toml", text);
    project
}

pub(crate) const LONG: u64 = 1_000_000;

/// A run of the program whose events are read as they come.
pub(crate) struct Running {
    pub(crate) child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Running {
    pub(crate) fn start(project: &Project, args: &[&str]) -> Running {
        let mut all = vec!["run", "--json", "mini.toml"];
        all.extend(args);
        let mut child = project
            .command(&all)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // A group of its own, as a shell gives it.
            .process_group(0)
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Running { child, lines }
    }

    /// The next event of this name.
    pub(crate) fn until(&mut self, event: &str) -> Value {
        self.until_one(event, |_| true)
    }

    fn until_one(&mut self, event: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let lines = self.lines.by_ref().map(Result::unwrap);
        lines
            .map(|line| serde_json::from_str::<Value>(&line).unwrap())
            .find(|found| found["event"] == event && wanted(found))
            .unwrap_or_else(|| panic!("the run ended without `{event}`"))
    }

    /// The long stage is at work; the process that does it.
    pub(crate) fn until_training(&mut self) -> u32 {
        let started = self.until_one("started", |event| event["stage"] == "ladder");
        self.until_one("progress", |event| event["pass"] == started["pass"]);
        let workers = children(self.child.id());
        let busy = |pid: &&u32| processor_ticks(**pid);
        *workers
            .iter()
            .max_by_key(busy)
            .expect("a worker is at work")
    }

    pub(crate) fn signal(&self, signal: i32) {
        kill(i32::try_from(self.child.id()).unwrap(), signal);
    }

    /// As a terminal does it: to the run and all of its workers.
    fn signal_group(&self, signal: i32) {
        kill(-i32::try_from(self.child.id()).unwrap(), signal);
    }

    /// The exit code and the last line.
    pub(crate) fn end(mut self) -> (Option<i32>, Value) {
        let last = self.lines.by_ref().map(Result::unwrap).last();
        let status = self.child.wait().unwrap();
        let last = last.map_or(Value::Null, |line| serde_json::from_str(&line).unwrap());
        (status.code(), last)
    }
}

pub(crate) fn kill(pid: i32, signal: i32) {
    // SAFETY: a signal to a process, or group, that this test started.
    assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
}

pub(crate) fn kill_one(pid: u32, signal: i32) {
    kill(i32::try_from(pid).unwrap(), signal);
}

pub(crate) fn children(pid: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let lists = threads.map(|thread| {
        let path = thread.unwrap().path().join("children");
        fs::read_to_string(path).unwrap_or_default()
    });
    let pids = |list: String| -> Vec<u32> {
        list.split_whitespace()
            .map(|pid| pid.parse().unwrap())
            .collect()
    };
    lists.flat_map(pids).collect()
}

/// The fields of `/proc/PID/stat` behind the command's name; none once it is gone.
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}

fn processor_ticks(pid: u32) -> u64 {
    let ticks = |fields: Vec<String>| -> u64 {
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    };
    stat(pid).map_or(0, ticks)
}

/// Gone, or a zombie that an idle parent has not collected.
pub(crate) fn is_gone(pid: u32) -> bool {
    stat(pid).is_none_or(|fields| fields[0] == "Z" || fields[0] == "X")
}

pub(crate) fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "still not: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

fn stop_and_go_on(stop: impl Fn(&Running)) {
    let project = training("", LONG);
    let mut running = Running::start(&project, &[]);
    let worker = running.until_training();
    stop(&running);
    let heard = running.until("warning");
    assert_eq!(
        heard["message"],
        "stopping: what runs ends at its next update; Ctrl-C again ends everything now"
    );
    let (code, last) = running.end();
    assert_eq!(code, Some(130));
    assert_eq!(last["interrupted"], true, "{last}");
    assert_eq!((&last["failed"], &last["skipped"]), (&0.into(), &1.into()));
    wait_until("the worker is gone", || is_gone(worker));
    // What was finished stays, and the next run needs no flag.
    let short = training("", 2);
    let text = fs::read_to_string(short.file("mini.toml")).unwrap();
    project.write("mini.toml", text);
    let next = project.run(&[]);
    assert_eq!((next.code, next.stages()), (Some(0), vec!["ladder"]));
}

#[test]
fn sigterm_stops_after_the_current_update() {
    stop_and_go_on(|running| running.signal(libc::SIGTERM));
}

#[test]
fn ctrl_c_reaches_the_workers_too_and_kills_none() {
    stop_and_go_on(|running| running.signal_group(libc::SIGINT));
}

#[test]
fn a_second_signal_ends_the_run_at_once() {
    let project = training("", LONG);
    let mut running = Running::start(&project, &[]);
    let worker = running.until_training();
    // Held still, the worker cannot answer the first one.
    kill_one(worker, libc::SIGSTOP);
    running.signal(libc::SIGINT);
    running.signal(libc::SIGTERM);
    // Two that come together may be taken in any order, but neither twice.
    let status = running.child.wait().unwrap();
    assert_eq!(status.code(), Some(130), "{:?}", status.signal());
    if !is_gone(worker) {
        kill_one(worker, libc::SIGCONT);
    }
    wait_until("the worker is gone", || is_gone(worker));
}

#[test]
fn a_killed_run_leaves_no_worker_behind() {
    let project = training("", LONG);
    let mut running = Running::start(&project, &["-j", "2"]);
    running.until_training();
    let workers = children(running.child.id());
    assert!(!workers.is_empty());
    running.signal(libc::SIGKILL);
    assert_eq!(running.child.wait().unwrap().signal(), Some(libc::SIGKILL));
    wait_until("all workers are gone", || {
        workers.iter().all(|worker| is_gone(*worker))
    });
}

#[test]
fn a_killed_worker_fails_its_stage_with_the_signal_named() {
    for (signal, name) in [
        (
            libc::SIGKILL,
            "killed by signal 9 (SIGKILL), as the system does when memory runs out",
        ),
        // Rust swallows the first SIGSEGV that comes from outside.
        (libc::SIGABRT, "killed by signal 6 (SIGABRT)"),
    ] {
        let project = training("", LONG);
        let mut running = Running::start(&project, &[]);
        let worker = running.until_training();
        kill_one(worker, signal);
        let failed = running.until("failed");
        assert_eq!(failed["error"], format!("the worker process died: {name}"));
        let (code, last) = running.end();
        assert_eq!((code, &last["failed"]), (Some(1), &1.into()));
    }
}

#[test]
fn a_lost_worker_costs_one_attempt_where_the_stage_has_more() {
    // The first attempt waits for its death; the second one is done at once.
    let project = Project::empty();
    let mark = project.file("begun");
    project.write(
        "mini.toml",
        format!(
            "[pipeline]\nformat = 1\nname = \"mini\"\n[stages.lost]\nkind = \"command\"\nretries = 1\n\
             shell = \"test -e '{mark}' || {{{{ : > '{mark}'; sleep 600; }}}}; echo done > done.txt\"\n\
             outputs = {{ done = \"done.txt\" }}\n",
            mark = mark.display()
        ),
    );
    let mut running = Running::start(&project, &[]);
    wait_until("the first attempt has begun", || mark.exists());
    for worker in children(running.child.id()) {
        kill_one(worker, libc::SIGKILL);
    }
    let retrying = running.until("retrying");
    assert_eq!(
        (
            &retrying["stage"],
            &retrying["attempt"],
            &retrying["retries"]
        ),
        (&"lost".into(), &1.into(), &1.into())
    );
    assert!(
        retrying["reason"].as_str().unwrap().contains("(SIGKILL)"),
        "{retrying}"
    );
    let wait_ms = retrying["wait_ms"].as_u64().unwrap();
    assert!((500..=1000).contains(&wait_ms), "{retrying}");
    let (code, last) = running.end();
    assert_eq!((code, &last["failed"]), (Some(0), &0.into()));
    let attempts: Vec<u32> = project
        .cache()
        .records()
        .unwrap()
        .map(|record| record.provenance.attempts)
        .collect();
    assert_eq!(attempts, [2]);
}

#[test]
fn an_attempt_ends_at_its_time_limit() {
    let project = training("retries = 1\nresources = { time = 0.5 }", LONG);
    let mut running = Running::start(&project, &[]);
    let reason = "stopped at its time limit of 0.5 s (`resources.time`)";
    assert_eq!(running.until("retrying")["reason"], reason);
    assert_eq!(running.until("failed")["error"], reason);
    let (code, last) = running.end();
    assert_eq!((code, &last["executed"]), (Some(1), &1.into()));
}
