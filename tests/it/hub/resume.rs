//! What was fetched is not fetched again, by whomever it was.
use std::{
    cell::Cell,
    fs,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::bail;
use vgh::{
    hub::{Hooks, Hub},
    seed::Seed,
};

use super::{
    REPO, client,
    faults::{ALWAYS, Fault},
    listed, random_bytes, settings, with_files,
};

#[test]
fn a_fetch_that_was_killed_goes_on_with_what_is_there() {
    let mut stream = Seed(4).stream("kill", &[]);
    let bytes = random_bytes(&mut stream, 4 << 20);
    let (local, commit) = with_files(&[("model.safetensors", &bytes)]);
    let files = client(&local)
        .listing(REPO, &commit, &Hooks::SILENT)
        .unwrap();
    let file = listed(&files, "model.safetensors");
    // Slow enough that the server is not far ahead of the client.
    let pause = Duration::from_millis(1);
    local.set(
        &file.path,
        Fault::Drip {
            piece: 16 << 10,
            pause,
        },
        ALWAYS,
    );
    let folder = tempfile::tempdir().unwrap();
    let part = folder.path().join("part");
    let mut killed = 0;
    loop {
        let (first, until) = (Cell::new(None), 1 + stream.below(1 << 20) as u64);
        let done = Cell::new(0);
        let hooks = Hooks {
            report: &|now, total| {
                assert_eq!(total, file.size);
                done.set(now);
                first.set(first.get().or(Some(now)));
            },
            go_on: &|| {
                if killed < 3 && done.get() > first.get().unwrap_or(0) + until {
                    bail!("killed")
                }
                Ok(())
            },
            ..Hooks::SILENT
        };
        // A new client each time, as after a kill.
        match client(&local).fetch(REPO, &commit, &file, &part, &hooks) {
            Ok(_) => break,
            Err(error) => assert_eq!(error.to_string(), "killed"),
        }
        killed += 1;
    }
    assert_eq!(killed, 3);
    assert!(fs::read(&part).unwrap() == bytes);
    let ratio = local.sent() as f64 / bytes.len() as f64;
    assert!(ratio <= 1.1, "{ratio} times the file was sent");

    // What is whole is looked at, and nothing is asked for.
    local.forget_seen();
    let held = client(&local).fetch(REPO, &commit, &file, &part, &Hooks::SILENT);
    drop(held.unwrap());
    assert_eq!(local.seen().len(), 0);
}

#[test]
fn what_was_damaged_meanwhile_is_fetched_anew() {
    let mut stream = Seed(4).stream("damaged", &[]);
    let bytes = random_bytes(&mut stream, 20_000);
    let (local, commit) = with_files(&[("a.bin", &bytes)]);
    let hub = client(&local);
    let file = listed(
        &hub.listing(REPO, &commit, &Hooks::SILENT).unwrap(),
        "a.bin",
    );
    let folder = tempfile::tempdir().unwrap();
    for round in 0..200 {
        let part = folder.path().join("part");
        let mut there = bytes[..=stream.below(bytes.len())].to_vec();
        match round % 3 {
            0 => {
                let at = stream.below(there.len());
                there[at] ^= 1 << stream.below(8);
            }
            1 => there.resize(bytes.len() + 1 + stream.below(100), 7),
            // What a power cut leaves: the length without the bytes.
            _ => there = vec![0; there.len()],
        }
        fs::write(&part, there).unwrap();
        let held = hub.fetch(REPO, &commit, &file, &part, &Hooks::SILENT);
        drop(held.unwrap());
        assert!(fs::read(&part).unwrap() == bytes, "round {round}");
    }
}

#[test]
fn two_who_want_one_file_fetch_it_once() {
    let bytes = random_bytes(&mut Seed(4).stream("two", &[]), 200_000);
    let (local, commit) = with_files(&[("a.bin", &bytes)]);
    let files = client(&local)
        .listing(REPO, &commit, &Hooks::SILENT)
        .unwrap();
    let file = listed(&files, "a.bin");
    let pause = Duration::from_millis(2);
    local.set("a.bin", Fault::Drip { piece: 4096, pause }, ALWAYS);
    let folder = tempfile::tempdir().unwrap();
    let part = folder.path().join("part");
    let began = AtomicBool::new(false);
    let told = Mutex::new(Vec::new());
    thread::scope(|scope| {
        scope.spawn(|| {
            let hooks = Hooks {
                report: &|_, _| began.store(true, Ordering::Release),
                ..Hooks::SILENT
            };
            let held = client(&local).fetch(REPO, &commit, &file, &part, &hooks);
            drop(held.unwrap());
        });
        scope.spawn(|| {
            while !began.load(Ordering::Acquire) {
                thread::yield_now();
            }
            let hooks = Hooks {
                tell: &|line| told.lock().unwrap().push(line.to_owned()),
                ..Hooks::SILENT
            };
            let held = client(&local).fetch(REPO, &commit, &file, &part, &hooks);
            drop(held.unwrap());
        });
    });
    assert!(fs::read(&part).unwrap() == bytes);
    assert_eq!(local.sent(), bytes.len() as u64);
    let told = told.into_inner().unwrap();
    assert_eq!(
        told,
        [format!(
            "waiting for somebody else who fetches {}",
            part.display()
        )]
    );
    let left = fs::read_dir(folder.path()).unwrap();
    assert_eq!(left.count(), 1, "a lock was left behind");
}

#[test]
fn whoever_is_told_to_stop_does_not_wait_for_a_silent_hub() {
    let bytes = vec![5; 300_000];
    let (local, commit) = with_files(&[("a.bin", &bytes)]);
    let mut patient = settings(&local);
    patient.patience.idle = Duration::from_mins(10);
    let hub = Hub::new(patient);
    let files = hub.listing(REPO, &commit, &Hooks::SILENT).unwrap();
    let file = listed(&files, "a.bin");
    let folder = tempfile::tempdir().unwrap();
    let part = folder.path().join("part");
    for fault in [Fault::HangAtOnce, Fault::Hang { after: 100_000 }] {
        local.set("a.bin", fault.clone(), 1);
        let (asked, there) = (Cell::new(0), Cell::new(0));
        let hooks = Hooks {
            report: &|done, _| there.set(done),
            go_on: &|| {
                asked.set(asked.get() + 1);
                let silent = match fault {
                    Fault::HangAtOnce => asked.get() > 10,
                    _ => there.get() == 100_000,
                };
                if silent {
                    bail!("stopped")
                }
                Ok(())
            },
            ..Hooks::SILENT
        };
        let began = Instant::now();
        let stopped = hub.fetch(REPO, &commit, &file, &part, &hooks);
        assert_eq!(stopped.unwrap_err().to_string(), "stopped");
        assert!(began.elapsed() < Duration::from_mins(5));
    }
    // The same hub can be asked again, and what came is kept.
    drop(
        hub.fetch(REPO, &commit, &file, &part, &Hooks::SILENT)
            .unwrap(),
    );
    assert!(fs::read(&part).unwrap() == bytes);
    assert_eq!(local.sent(), bytes.len() as u64);
}
