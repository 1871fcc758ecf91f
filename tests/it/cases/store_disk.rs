//! Cases about processes and disks: kills, full disks, places that cannot be
//! written, caches of another format.
use std::{
    fs,
    io::{BufRead, BufReader, Write},
    process::{Command, Output, Stdio},
    thread,
    time::Duration,
};

use crate::project::Project;

const SMALL: &str = include_str!("../small.toml");

fn project() -> Project {
    let project = Project::empty();
    project.write("small.toml", SMALL);
    project
}

fn said(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn run(project: &Project, args: &[&str]) -> Output {
    project.vgh(&[&["run", "small.toml", "--progress", "none"], args].concat())
}

/// Mounts a small file system in memory; none where this is not allowed.
struct Disk(tempfile::TempDir);

impl Disk {
    fn mount(options: &str) -> Option<Disk> {
        let place = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(place.path())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        if !mounted {
            let _ = writeln!(std::io::stderr(), "SKIPPED: mounting a tmpfs needs root");
        }
        mounted.then_some(Disk(place))
    }

    fn cache(&self) -> String {
        self.0.path().join("cache").display().to_string()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

/// Whether a process is there and no zombie.
fn lives(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit(')').next().unwrap_or_default().trim_start();
    !stat.is_empty() && !state.starts_with('Z')
}

#[test]
fn case_22_workers_die_with_their_run_and_the_next_run_needs_no_flag() {
    for signal in ["-9", "-TERM", "-INT"] {
        let project = project();
        let mut child = project
            .command(&["run", "--json", "small.toml", "-j", "1"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // From the first result on there is a worker.
        assert!(lines.any(|line| line.unwrap().contains("\"finished\"")));
        let id = child.id();
        let workers = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
        let ended = Command::new("kill")
            .args([signal, &id.to_string()])
            .status();
        assert!(ended.unwrap().success());
        lines.for_each(drop);
        let status = child.wait().unwrap();
        if signal != "-9" {
            assert_eq!(status.code(), Some(130), "{signal}");
        }
        for worker in workers.split_whitespace() {
            for _ in 0..500 {
                if lives(worker) {
                    thread::sleep(Duration::from_millis(10));
                }
            }
            assert!(!lives(worker), "{signal}: worker {worker} outlived its run");
        }
        let next = run(&project, &[]);
        assert_eq!(next.status.code(), Some(0), "{}", said(&next.stderr));
        let report = project.cache().verify(true).unwrap();
        assert!(
            report.is_sound() && report.missing.is_empty(),
            "{signal}: {report:?}"
        );
        let first = said(&next.stdout);
        assert!(
            first.contains(" executed, ") && !first.contains("Run: 8 executed"),
            "{first}"
        );
    }
}

#[test]
fn case_23_a_full_disk_is_a_clear_error_and_freed_it_goes_on() {
    let Some(disk) = Disk::mount("size=2m") else {
        return;
    };
    let project = project();
    let cache = disk.cache();
    let filler = disk.0.path().join("filler");
    // Nearly full, so that some stages find room and others do not.
    for free_kib in [24, 64, 128, 256] {
        let taken = vec![1; (2 << 20) - (free_kib << 10)];
        let _ = fs::write(&filler, taken);
        let full = run(&project, &["--cache", &cache]);
        if full.status.code() != Some(0) {
            let text = said(&full.stderr);
            assert!(text.contains("No space left"), "{free_kib}: {text}");
            assert!(text.contains(" bytes needed, "), "{free_kib}: {text}");
        }
        fs::remove_file(&filler).unwrap();
        let place = vgh::cache::Cache::open_existing(disk.0.path().join("cache").as_path());
        if let Some(place) = place.unwrap() {
            let report = place.verify(true).unwrap();
            assert!(
                report.is_sound() && report.missing.is_empty(),
                "{free_kib}: {report:?}"
            );
        }
    }
    let freed = run(&project, &["--cache", &cache]);
    assert_eq!(freed.status.code(), Some(0), "{}", said(&freed.stderr));
    let table = project.file("results/small/prompts/i=4/prompts.parquet");
    assert!(table.is_file());
}

#[test]
fn case_27_a_store_that_cannot_be_written_is_refused_in_one_line_and_can_be_read() {
    let Some(disk) = Disk::mount("size=4m") else {
        return;
    };
    let project = project();
    let cache = disk.cache();
    // Another device than the project's: nothing is linked across.
    assert_eq!(run(&project, &["--cache", &cache]).status.code(), Some(0));
    let remounted = Command::new("mount")
        .args(["-o", "remount,ro"])
        .arg(disk.0.path())
        .status();
    assert!(remounted.unwrap().success());
    let refused = run(&project, &["--cache", &cache]);
    assert_eq!(refused.status.code(), Some(4));
    let text = said(&refused.stderr);
    assert!(
        text.starts_with(&format!("error: cache at {cache} cannot be written")),
        "{text}"
    );
    assert!(
        text.contains("Read-only file system") && text.lines().count() == 1,
        "{text}"
    );
    for args in [
        &["plan", "small.toml", "--cache", &cache][..],
        &["show", "small.toml", "prompts@i=1", "--cache", &cache],
        &["cache", "ls", "--cache", &cache],
        &["cache", "verify", "--read-data", "--cache", &cache],
        &["cache", "path", "small.toml", "prompts", "--cache", &cache],
    ] {
        let read = project.vgh(args);
        assert_eq!(
            read.status.code(),
            Some(0),
            "{args:?}: {}",
            said(&read.stderr)
        );
    }
    let removed = project.vgh(&["cache", "gc", "--cache", &cache]);
    assert_eq!(removed.status.code(), Some(1));
    assert!(said(&removed.stderr).contains("Read-only file system"));
}

#[test]
fn case_27_a_store_owned_by_another_user_is_refused_in_one_line() {
    let project = project();
    assert_eq!(run(&project, &[]).status.code(), Some(0));
    let uid = Command::new("id").arg("-u").output().unwrap().stdout;
    if said(&uid).trim() != "0" || !Command::new("setpriv").arg("--version").output().is_ok() {
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: another user needs root and setpriv"
        );
        return;
    }
    // Everybody may look, only root may write.
    let opened = Command::new("chmod")
        .arg("a+rx")
        .arg(project.path())
        .status();
    assert!(opened.unwrap().success());
    let mine = tempfile::tempdir().unwrap();
    let program = mine.path().join("vgh");
    fs::copy(env!("CARGO_BIN_EXE_vgh"), &program).unwrap();
    let opened = Command::new("chmod").arg("a+rx").arg(mine.path()).status();
    assert!(opened.unwrap().success());
    let nobody = |args: &[&str]| {
        Command::new("setpriv")
            .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
            .arg(&program)
            .args(args)
            .current_dir(project.path())
            .output()
            .unwrap()
    };
    let refused = nobody(&["run", "small.toml"]);
    assert_eq!(refused.status.code(), Some(4));
    let text = said(&refused.stderr);
    assert!(
        text.contains("cannot be written") && text.contains("Permission denied"),
        "{text}"
    );
    assert_eq!(text.lines().count(), 1, "{text}");
    let read = nobody(&["plan", "small.toml"]);
    assert_eq!(read.status.code(), Some(0), "{}", said(&read.stderr));
    assert_eq!(run(&project, &[]).status.code(), Some(0));
}

#[test]
fn case_28_a_cache_of_another_format_is_refused_and_left_as_it_is() {
    let project = project();
    assert_eq!(run(&project, &[]).status.code(), Some(0));
    let format = project.file("cache/format");
    fs::remove_file(&format).unwrap();
    fs::write(&format, "2\n").unwrap();
    let listing = || {
        let mut found: Vec<_> = fs::read_dir(project.file("cache/records"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        found.sort();
        found
    };
    let before = listing();
    for args in [
        &["run", "small.toml"][..],
        &["plan", "small.toml"],
        &["cache", "ls"],
        &["cache", "gc", "--grace", "0s", "--max-size", "0"],
        &["cache", "verify"],
        &["cache", "drop", "0123456789"],
    ] {
        let refused = project.vgh(args);
        assert_eq!(refused.status.code(), Some(4), "{args:?}");
        let text = said(&refused.stderr);
        assert!(
            text.contains("has format 2, this vgh reads format 1: use the vgh that made it"),
            "{args:?}: {text}"
        );
    }
    assert_eq!(fs::read_to_string(&format).unwrap(), "2\n");
    assert_eq!(listing(), before);
    fs::write(&format, "1\n").unwrap();
    let again = run(&project, &[]);
    assert!(said(&again.stdout).contains("Run: 0 executed, 8 cached"));
}
