//! Tests that kill writers and fill disks: whatever happens, a record's bytes
//! are there and right, and what was said to be finished is.
use std::{
    collections::BTreeSet,
    env, fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use crate::{
    cache::{
        record::tests::{cache, record, unstored},
        store::Cache,
    },
    digest::{Digest, Key},
};

// The integration tests use it too, and neither sees the other's code.
#[path = "../../tests/it/small_disk.rs"]
mod small_disk;
use small_disk::SmallDisk;

const PLACE: &str = "VGH_TEST_CRASH_CACHE";
const FIRST: &str = "VGH_TEST_CRASH_FIRST";
const STEP: &str = "VGH_TEST_CRASH_STEP";

fn text(x: u32) -> String {
    format!("result {x} ").repeat(2000)
}

/// A place between two effects of a publication: the process dies at the one
/// whose number its environment names.
pub(super) fn step() {
    static LEFT: LazyLock<Option<AtomicU64>> = LazyLock::new(|| {
        let number = env::var(STEP).ok()?.parse().ok()?;
        Some(AtomicU64::new(number))
    });
    if let Some(left) = &*LEFT
        && left.fetch_sub(1, Ordering::SeqCst) == 1
    {
        // SAFETY: a signal to this very process touches no memory.
        unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
    }
}

/// This test binary as a child that runs `test` again, where it is the child's part.
fn child(test: &str, cache: &Cache) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args([&format!("cache::crash::{test}"), "--exact", "--nocapture"])
        .env(PLACE, cache.root())
        .stdout(Stdio::piped());
    command
}

/// The cache of a child; none in the test itself.
fn as_child() -> Option<Cache> {
    let place = env::var(PLACE).ok()?;
    Some(Cache::open(Path::new(&place)).unwrap())
}

/// What the killed child does: commits records and snapshots until it dies.
fn publish_until_killed(cache: &Cache) {
    let first: u32 = env::var(FIRST).unwrap().parse().unwrap();
    // Not in the system's folder: nobody would remove it after a kill.
    let state = cache.attempt_dir().unwrap();
    let mut out = std::io::stdout();
    for x in first.. {
        let record = record(cache, x, &text(x));
        cache.commit(&record).unwrap();
        writeln!(out, "done {}", record.key).unwrap();
        fs::write(state.path().join("state"), text(x)).unwrap();
        cache
            .put_snapshot(&record.family, u64::from(x), state.path())
            .unwrap();
        writeln!(out, "mark {x}").unwrap();
    }
}

#[test]
fn killing_writers_loses_nothing_finished_and_leaves_nothing_wrong() {
    if let Some(cache) = as_child() {
        return publish_until_killed(&cache);
    }
    let (_place, cache) = cache();
    let mut finished: Vec<Key> = Vec::new();
    let mut mark = 0;
    for round in 0..30_u32 {
        let test = "killing_writers_loses_nothing_finished_and_leaves_nothing_wrong";
        let mut child = child(test, &cache)
            .env(FIRST, (round * 10_000 + 1).to_string())
            .spawn()
            .unwrap();
        let output = child.stdout.take().unwrap();
        let reader = thread::spawn(move || {
            BufReader::new(output)
                .lines()
                .map_while(Result::ok)
                .collect::<Vec<String>>()
        });
        // Moments spread over several publications, from before the first one on.
        thread::sleep(Duration::from_micros(
            8_000 + u64::from(round) * 7_919 % 50_000,
        ));
        child.kill().unwrap();
        child.wait().unwrap();
        for line in reader.join().unwrap() {
            match line.split_once(' ') {
                Some(("done", key)) => finished.extend(key.parse::<Digest>().ok().map(Key)),
                Some(("mark", x)) => mark = x.parse().unwrap_or(mark),
                _ => {}
            }
        }
        let fresh = Cache::open(cache.root()).unwrap();
        for key in &finished {
            assert!(
                fresh.record(key).unwrap().is_some(),
                "round {round}: {key} is lost"
            );
        }
        let report = fresh.verify(true).unwrap();
        assert!(
            report.is_sound() && report.missing.is_empty(),
            "round {round}: {report:?}"
        );
        assert!(fresh.take_notices().is_empty());
        let snapshot = fresh.snapshot(&Digest::of(b"family")).unwrap();
        assert!(
            mark == 0 || snapshot.is_some_and(|found| found.mark >= mark),
            "round {round}"
        );
        fresh.clear_abandoned().unwrap();
    }
    assert!(!finished.is_empty(), "no child lived long enough to commit");
    assert_eq!(cache.clear_abandoned().unwrap(), 0);
}

/// Every way of publishing once: blobs, records, one beside, the next
/// generation, resume state twice.
fn publish_all(cache: &Cache) {
    let mut out = std::io::stdout();
    let first = record(cache, 1, &text(1));
    cache.commit(&first).unwrap();
    writeln!(out, "done {}", first.key).unwrap();
    cache.commit(&record(cache, 1, &text(2))).unwrap();
    let lost = record(cache, 2, &text(3));
    cache.commit(&lost).unwrap();
    writeln!(out, "done {}", lost.key).unwrap();
    cache.supersede(&record(cache, 2, &text(4)), &lost).unwrap();
    let state = cache.attempt_dir().unwrap();
    for mark in 1..=2_u32 {
        fs::write(state.path().join("state"), text(mark)).unwrap();
        cache
            .put_snapshot(&first.family, u64::from(mark), state.path())
            .unwrap();
        writeln!(out, "mark {mark}").unwrap();
    }
    writeln!(out, "over").unwrap();
}

#[test]
fn killed_at_each_step_of_publishing_leaves_nothing_wrong() {
    if let Some(cache) = as_child() {
        return publish_all(&cache);
    }
    for step in 1..1000 {
        let (_place, cache) = cache();
        let test = "killed_at_each_step_of_publishing_leaves_nothing_wrong";
        let output = child(test, &cache)
            .env(STEP, step.to_string())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let fresh = Cache::open(cache.root()).unwrap();
        let report = fresh.verify(true).unwrap();
        assert!(
            report.is_sound() && report.missing.is_empty(),
            "step {step}: {report:?}"
        );
        for line in said.lines() {
            match line.split_once(' ') {
                Some(("done", key)) => {
                    let key = Key(key.parse().unwrap());
                    assert!(fresh.record(&key).unwrap().is_some(), "step {step}");
                }
                Some(("mark", mark)) => {
                    let found = fresh.snapshot(&Digest::of(b"family")).unwrap().unwrap();
                    assert!(found.mark >= mark.parse().unwrap(), "step {step}");
                }
                _ => {}
            }
        }
        assert!(fresh.take_notices().is_empty(), "step {step}");
        // What was cut off can be done now.
        publish_quietly(&fresh, step);
        fresh.clear_abandoned().unwrap();
        if said.contains("over") {
            assert!(step > 60, "only {step} steps were found");
            return;
        }
        assert!(!output.status.success(), "step {step}: {said}");
    }
    panic!("the child is always killed");
}

fn publish_quietly(cache: &Cache, step: u32) {
    for x in 1..=2 {
        let again = record(cache, x, &text(x));
        cache.commit(&again).unwrap();
        assert!(cache.record(&again.key).unwrap().is_some(), "step {step}");
    }
    assert!(cache.verify(true).unwrap().is_sound(), "step {step}");
}

#[test]
fn a_full_disk_is_a_clear_error_and_freed_it_goes_on() {
    let Some(disk) = SmallDisk::mount("cache::crash: a full disk", "size=1m") else {
        return;
    };
    let root = disk.path().join("cache");
    let cache = Cache::open(&root).unwrap();
    let mut outcomes = BTreeSet::new();
    let filler = root.join("tmp/filler");
    // From no room at all upwards, so that each step of a publication is the first to fail.
    for free_kib in (0..128_u64).step_by(4) {
        let taken = cache
            .available_bytes()
            .unwrap()
            .saturating_sub(free_kib << 10);
        fs::write(&filler, vec![1; taken as usize]).unwrap();
        let x = free_kib as u32;
        let commit = || -> anyhow::Result<()> {
            cache.put_bytes(text(x).as_bytes())?;
            cache.commit(&unstored(x, &text(x)))?;
            Ok(())
        };
        let outcome = commit();
        outcomes.insert(outcome.is_ok());
        if let Err(error) = outcome {
            let text = format!("{error:#}");
            assert!(text.contains("No space left"), "{free_kib}: {text}");
            assert!(text.contains(root.to_str().unwrap()), "{free_kib}: {text}");
        }
        fs::remove_file(&filler).unwrap();
        let fresh = Cache::open(&root).unwrap();
        let report = fresh.verify(true).unwrap();
        assert!(
            report.is_sound() && report.missing.is_empty(),
            "{free_kib}: {report:?}"
        );
        commit().unwrap();
        cache.drop_record(&unstored(x, "").key).unwrap();
        cache.remove_blob(&Digest::of(text(x).as_bytes())).unwrap();
        fs::remove_dir_all(root.join("quarantine")).unwrap();
    }
    assert_eq!(
        outcomes.len(),
        2,
        "the sweep must cross from too little room to enough"
    );
    let big = vec![7; 4 << 20];
    let refused = format!("{:#}", cache.put_bytes(&big).unwrap_err());
    assert!(refused.contains("4194304 bytes needed, "), "{refused}");
    assert!(refused.contains(" available"), "{refused}");
}

#[test]
fn a_read_only_place_is_refused_in_one_line_and_can_be_read() {
    let Some(disk) = SmallDisk::mount("cache::crash: a read-only place", "size=1m") else {
        return;
    };
    let root = disk.path().join("cache");
    let cache = Cache::open(&root).unwrap();
    let record = record(&cache, 1, "one");
    cache.commit(&record).unwrap();
    drop(cache);
    disk.remount("ro");
    let refused = Cache::open(&root).unwrap_err().to_string();
    assert!(refused.contains("cannot be written"), "{refused}");
    assert!(refused.contains("Read-only file system"), "{refused}");
    assert!(!refused.contains('\n'), "{refused}");
    let fresh = Cache::open(&disk.path().join("new"))
        .unwrap_err()
        .to_string();
    assert!(fresh.contains("Read-only file system"), "{fresh}");
    let cache = Cache::open_existing(&root).unwrap().unwrap();
    assert_eq!(cache.record(&record.key).unwrap(), Some(record));
}
