//! How commands end: rows 3, 4, 5, 17 and 18 of the fault matrix.
use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use crate::{
    command::{Bench, Did},
    skip,
};

const PATIENCE: Duration = Duration::from_secs(30);

fn until(what: &str, done: impl Fn() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < PATIENCE, "{what} did not come");
        sleep(Duration::from_millis(10));
    }
}

fn pid_in(path: &Path) -> i32 {
    let read = || fs::read_to_string(path).ok()?.trim().parse().ok();
    until("a process id", || read().is_some());
    read().unwrap()
}

/// Whether a process is there and not only waits to be collected.
fn lives(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        !stat
            .rsplit(") ")
            .next()
            .unwrap_or_default()
            .starts_with('Z')
    })
}

fn signal(pid: u32, signal: i32) {
    // SAFETY: the process is a child that has not been collected.
    assert_eq!(unsafe { libc::kill(pid as i32, signal) }, 0);
}

fn start(bench: &Bench) -> Child {
    let mut command = bench.command();
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// A stage that writes its process id beside the pipeline.
fn slow(bench_line: &str) -> Bench {
    let bench = Bench::new("");
    let place = bench.path("");
    let line = bench_line.replace("HERE", place.to_str().unwrap());
    bench.stages(&format!(
        "[stages.s]\nkind = \"command\"\nshell = '''{line}'''\noutputs = {{ a = \"a\" }}\n"
    ));
    bench
}

#[test]
fn what_outlives_the_command_is_killed_and_writes_nothing_more() {
    let bench = slow(
        "echo whole > a\n\
         (sleep 60 & echo $! > HERE/group)\n\
         setsid sh -c 'echo $$ > HERE/escaped; sleep 60; echo more >> a' &\n\
         while ! [ -s HERE/escaped ]; do sleep 0.01; done\n",
    );
    let did = bench.succeed();
    assert_eq!(bench.result("s/a"), "whole\n");
    assert!(!lives(pid_in(&bench.path("group"))));
    assert!(!lives(pid_in(&bench.path("escaped"))));
    assert!(
        did.log
            .iter()
            .any(|line| line.starts_with("warning: the command left ")
                && line.ends_with(" processes running; they were ended")),
        "{did:#?}"
    );
}

#[test]
fn a_stopped_run_asks_the_command_to_end() {
    let bench = slow(
        "trap 'echo asked > HERE/asked; exit 0' TERM\necho > a\necho $$ > HERE/pid\nwhile :; do sleep 0.05; done\n",
    );
    let run = start(&bench);
    let pid = pid_in(&bench.path("pid"));
    signal(run.id(), libc::SIGINT);
    let did = Did::of(&run.wait_with_output().unwrap());
    assert_eq!((did.code, did.executed.len()), (Some(130), 0), "{did:#?}");
    assert_eq!(fs::read_to_string(bench.path("asked")).unwrap(), "asked\n");
    assert!(!lives(pid));
}

#[test]
fn a_command_that_does_not_end_itself_is_killed() {
    let bench = slow("trap '' TERM INT\necho $$ > HERE/pid\nwhile :; do sleep 0.05; done\n");
    let run = start(&bench);
    let pid = pid_in(&bench.path("pid"));
    signal(run.id(), libc::SIGINT);
    let did = Did::of(&run.wait_with_output().unwrap());
    assert_eq!(did.code, Some(130), "{did:#?}");
    assert!(!lives(pid));
}

#[test]
fn a_command_dies_with_a_killed_run() {
    let bench = slow("sleep 60 & echo $! > HERE/inner\necho $$ > HERE/pid\nwait\n");
    let mut run = start(&bench);
    let (pid, inner) = (pid_in(&bench.path("pid")), pid_in(&bench.path("inner")));
    signal(run.id(), libc::SIGKILL);
    run.wait().unwrap();
    until("the end of the command", || !lives(pid) && !lives(inner));
    // The next run needs no flag.
    let text = fs::read_to_string(bench.path("p.toml")).unwrap();
    bench.write("p.toml", text.replace("sleep 60", "echo > a; sleep 0"));
    bench.succeed();
}

#[test]
fn a_command_dies_with_its_killed_worker() {
    let bench = slow(
        "sleep 60 & echo $! > HERE/inner\n\
         setsid sh -c 'echo $$ > HERE/escaped; sleep 60; true' &\n\
         echo $PPID > HERE/worker; echo $$ > HERE/pid\nwait\n",
    );
    let run = start(&bench);
    let pids = ["pid", "inner", "escaped"].map(|name| pid_in(&bench.path(name)));
    let worker = pid_in(&bench.path("worker"));
    // SAFETY: no memory is involved; the worker waits for the command.
    assert_eq!(unsafe { libc::kill(worker, libc::SIGKILL) }, 0);
    let did = Did::of(&run.wait_with_output().unwrap());
    assert_eq!(did.code, Some(1), "{did:#?}");
    for pid in pids {
        until("the end of the command", || !lives(pid));
    }
}

#[test]
fn a_killed_command_is_a_failure_that_says_so() {
    let bench = slow("kill -9 $$");
    assert_eq!(
        bench.run().failures,
        [
            "s: `/bin/sh` was killed by signal 9, as the system does when memory runs out: it said nothing"
        ]
    );
    let bench = Bench::new(
        "[stages.s]\nkind = \"command\"\nargv = [\"no-such-program\"]\noutputs = { a = \"a\" }\n",
    );
    assert_eq!(
        bench.run().failures,
        ["s: cannot start `no-such-program`: No such file or directory (os error 2)"]
    );
}

const SPOILS: &str = "
[stages.first]
kind = 'command'
shell = 'echo good > a'
outputs = { a = 'a' }

[stages.spoils]
kind = 'command'
inputs = { a = 'first' }
shell = 'chmod u+w {inputs.a}; echo bad > {inputs.a}; cat {inputs.a} > b'
outputs = { b = 'b' }
";

/// Row 17: what a command does to its input never reaches the cache unseen.
#[test]
fn an_input_that_the_command_changes_is_a_copy_or_is_found_out() {
    let bench = Bench::new(SPOILS);
    let did = bench.run();
    // SAFETY: the call has no arguments and cannot fail.
    if unsafe { libc::geteuid() } == 0 {
        assert_eq!(did.code, Some(0), "{did:#?}");
        assert_eq!(bench.result("spoils/b"), "bad\n");
        assert_eq!(bench.result("first/a"), "good\n");
    } else {
        found_out(&did);
    }
}

/// The same as a user who is not root, for whom inputs are links.
#[test]
fn an_input_changed_through_a_link_is_found_out() {
    // SAFETY: the call has no arguments and cannot fail.
    let root = unsafe { libc::geteuid() } == 0;
    let setpriv = Command::new("setpriv").arg("--version").output();
    if !root || setpriv.is_err() {
        skip::skipped(
            "an_input_changed_through_a_link_is_found_out",
            "root and setpriv",
        );
        return;
    }
    let bench = Bench::new(SPOILS);
    let own = |path: &Path| std::os::unix::fs::chown(path, Some(65534), Some(65534)).unwrap();
    own(&bench.path(""));
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(env!("CARGO_BIN_EXE_vgh"))
        .args(["run", "--json", "p.toml"])
        .current_dir(bench.path(""));
    let did = Did::of(&command.output().unwrap());
    found_out(&did);
    // What was spoiled is made again, from scratch, by the next run.
    bench.stages(&SPOILS.replace("chmod u+w {inputs.a}; echo bad > {inputs.a}; ", ""));
    let did = Did::of(&command.output().unwrap());
    assert_eq!(did.code, Some(0), "{did:#?}");
    assert_eq!(bench.result("spoils/b"), "good\n");
}

fn found_out(did: &Did) {
    assert_eq!(did.code, Some(1), "{did:#?}");
    let [failure] = did.failures.as_slice() else {
        panic!("{did:#?}")
    };
    assert!(
        failure.starts_with("spoils: the command changed its input: input `a`: blob ")
            && failure.contains(" is corrupt: it has 4 bytes instead of 5; moved to "),
        "{failure}"
    );
}

#[test]
fn the_memory_of_the_largest_process_of_a_command_is_recorded() {
    let peak_of = |shell: &str| {
        let text =
            format!("[stages.s]\nkind = 'command'\nshell = '{shell}'\noutputs = {{ a = 'a' }}\n");
        let bench = Bench::new(&text);
        bench.succeed();
        bench.record().provenance.peak_rss_bytes
    };
    let large = peak_of("head -c 200000000 /dev/zero | tail -n 1 > /dev/null; : > a");
    assert!(
        large.is_some_and(|bytes| (200_000_000..1_000_000_000).contains(&bytes)),
        "{large:?}"
    );
    // The worker, which only waits, has more.
    assert_eq!(peak_of(": > a"), None);
}
