//! Cases about disks: full ones, places that cannot be written, caches of
//! another format.
use std::{
    fs,
    io::Write,
    process::{Command, Output},
};

use vgh::cache::Cache;

use crate::{project::Project, small_disk::SmallDisk};

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
    project.vgh(&[&["run", "small.toml"], args].concat())
}

#[test]
fn case_23_a_full_disk_is_a_clear_error_and_freed_it_goes_on() {
    let Some(disk) = SmallDisk::mount("case_23", "size=2m") else {
        return;
    };
    let project = project();
    let cache = disk.path().join("cache").display().to_string();
    let filler = disk.path().join("filler");
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
        let place = Cache::open_existing(&disk.path().join("cache"));
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
    let Some(disk) = SmallDisk::mount("case_27", "size=4m") else {
        return;
    };
    let project = project();
    let cache = disk.path().join("cache").display().to_string();
    // Another device than the project's: nothing is linked across.
    assert_eq!(run(&project, &["--cache", &cache]).status.code(), Some(0));
    disk.remount("ro");
    // With nothing to do there is nothing to write.
    assert_eq!(run(&project, &["--cache", &cache]).status.code(), Some(0));
    let refused = run(&project, &["--cache", &cache, "--force"]);
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
    for args in [
        &["cache", "gc", "--cache", &cache][..],
        &["cache", "drop", "small.toml", "prompts", "--cache", &cache],
    ] {
        let removed = project.vgh(args);
        assert_eq!(removed.status.code(), Some(4), "{args:?}");
        assert!(said(&removed.stderr).contains("Read-only file system"));
    }
}

#[test]
fn case_27_a_store_owned_by_another_user_is_refused_in_one_line() {
    let project = project();
    assert_eq!(run(&project, &[]).status.code(), Some(0));
    let uid = Command::new("id").arg("-u").output().unwrap().stdout;
    if said(&uid).trim() != "0" || Command::new("setpriv").arg("--version").output().is_err() {
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
