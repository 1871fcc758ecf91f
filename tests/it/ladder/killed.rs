//! Kills at any moment: what was fetched stays fetched.
#![expect(clippy::print_stdout, reason = "the numbers, for people")]
use std::{
    collections::BTreeMap,
    fs, thread,
    time::{Duration, Instant},
};

use vgh::seed::Seed;

use crate::{
    hub::faults::{ALWAYS, Fault},
    ladder::{Ladder, STEPS, files_below, wanted},
};

/// Sent by the hub at once: what a kill may cost is of this order.
const PIECE: usize = 16 << 10;

#[test]
fn killed_three_times_it_finishes_and_fetches_nothing_twice() {
    let ladder = Ladder::new();
    let mut stream = Seed(18).stream("kill", &[]);
    let slow = Fault::Drip {
        piece: PIECE,
        pause: Duration::from_millis(20),
    };
    ladder.hub.set("model.safetensors", slow, ALWAYS);
    for _ in 0..3 {
        let enough = ladder.hub.sent() + 20_000 + stream.below(150_000) as u64;
        let mut child = ladder
            .command(&["run", "ladder.toml", "--progress", "none"])
            .spawn()
            .unwrap();
        while ladder.hub.sent() < enough {
            assert!(child.try_wait().unwrap().is_none(), "ended by itself");
            thread::sleep(Duration::from_millis(5));
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    ladder.hub.shared.switches.clear();
    let (executed, cached) = ladder.run(&[]);
    assert_eq!(executed + cached, 12);
    let sent = ladder.hub.sent();
    assert!(
        sent as f64 <= 1.1 * wanted() as f64,
        "{sent} of {}",
        wanted()
    );
    ladder.hub.forget_seen();
    assert_eq!(ladder.run(&[]), (0, 12));
    assert!(ladder.hub.seen().is_empty());
}

/// How many files of weights the hub has sent to their last byte.
fn whole_files(ladder: &Ladder) -> usize {
    let size = super::revision(0, "")
        .iter()
        .find(|(path, _)| *path == "model.safetensors")
        .map_or(0, |(_, bytes)| bytes.len() as u64);
    let mut sent: BTreeMap<String, u64> = BTreeMap::new();
    for seen in ladder.hub.seen() {
        if seen.cdn {
            *sent.entry(seen.target).or_default() += seen.sent;
        }
    }
    sent.values().filter(|sent| **sent >= size).count()
}

#[test]
fn a_kill_right_after_a_file_costs_no_file() {
    let ladder = Ladder::new();
    let slow = Fault::Drip {
        piece: PIECE,
        pause: Duration::from_millis(2),
    };
    ladder.hub.set("model.safetensors", slow, ALWAYS);
    let (mut whole, mut kills) = (0, 0);
    while whole < STEPS.len() {
        let mut child = ladder
            .command(&["run", "ladder.toml", "--progress", "none"])
            .spawn()
            .unwrap();
        let until = Instant::now() + Duration::from_mins(1);
        while whole_files(&ladder) <= whole {
            assert!(child.try_wait().unwrap().is_none(), "ended by itself");
            assert!(Instant::now() < until, "nothing was fetched");
            thread::sleep(Duration::from_millis(1));
        }
        // Before, amid and after what becomes of the file until its record.
        thread::sleep(Duration::from_millis(7 * kills));
        child.kill().unwrap();
        child.wait().unwrap();
        whole = whole_files(&ladder);
        kills += 1;
    }
    ladder.hub.shared.switches.clear();
    let (executed, cached) = ladder.run(&[]);
    assert_eq!(executed + cached, 12);
    let sent = ladder.hub.sent();
    let in_flight = kills * 4 * PIECE as u64;
    assert!(
        sent <= wanted() + in_flight,
        "{sent} of {}, at most {in_flight} more",
        wanted()
    );
    println!(
        "{kills} kills after a whole file: {sent} bytes served for {} of data",
        wanted()
    );
    assert_nothing_is_left(&ladder);
}

/// No download stays beside its result, and no weights under another name. (Dead
/// processes may have had names of small files, which `gc` clears.)
fn assert_nothing_is_left(ladder: &Ladder) {
    use std::os::unix::fs::MetadataExt;

    for file in files_below(&ladder.project.file("cache")) {
        let shown = file.display();
        assert!(!file.to_string_lossy().contains("downloads/"), "{shown}");
        let found = fs::metadata(&file).unwrap();
        if file.to_string_lossy().contains("/blobs/") && found.len() > 500_000 {
            assert_eq!(found.nlink(), 1, "{shown}");
        }
    }
}
