//! What may lack on this side: room on the disk, and the network.
use std::{
    fs, io, thread,
    time::{Duration, Instant},
};

use vgh::cache::Cache;

use crate::{
    hub::faults::{ALWAYS, Fault},
    ladder::{
        Ladder, open,
        refused::{ONE, failure},
        said,
    },
    project::events,
    small_disk::SmallDisk,
};

#[test]
fn a_disk_that_is_too_small_is_told_before_the_first_byte() {
    let Some(disk) = SmallDisk::mount("hub_disk", "size=600k") else {
        return;
    };
    let ladder = Ladder::new();
    let root = disk.path().join("cache").display().to_string();
    let place = ["--cache", root.as_str()];
    let needed = needed();
    let output = ladder.vgh(&[&["run", "ladder.toml", ONE], &place[..]].concat());
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    let said = said(&output);
    let (before, after) = said.split_once(" of free disk, this machine has ").unwrap();
    let asked = format!("error: `checkpoint` asks for {} bytes", needed + 4096);
    assert!(before.ends_with(&asked), "{said}");
    assert!(after.ends_with(" bytes: free some, for example with `vgh cache gc`\n"));
    assert_eq!(ladder.hub.sent(), 0);
}

#[test]
fn a_disk_that_fills_up_meanwhile_is_told_and_room_lets_it_go_on() {
    let Some(disk) = SmallDisk::mount("hub_disk", "size=4m") else {
        return;
    };
    let ladder = Ladder::new();
    let root = disk.path().join("cache").display().to_string();
    let place = ["--cache", root.as_str()];
    let needed = needed();
    // Room enough, until somebody else takes it.
    let piece = 16 << 10;
    let pause = Duration::from_millis(20);
    ladder
        .hub
        .set("model.safetensors", Fault::Drip { piece, pause }, ALWAYS);
    let taken = thread::scope(|scope| {
        let failed = scope.spawn(|| failure(&ladder, &place));
        let until = Instant::now() + Duration::from_mins(1);
        while ladder.hub.sent() < 400_000 && Instant::now() < until {
            thread::sleep(Duration::from_millis(5));
        }
        fill(&disk);
        failed.join().unwrap()
    });
    let (place_told, room) = taken.split_once(": ").unwrap();
    assert!(
        place_told.starts_with(&format!("cannot write {root}/tmp/downloads/sha256-")),
        "{taken}"
    );
    assert!(
        room.ends_with(" available: No space left on device (os error 28)"),
        "{taken}"
    );
    fs::remove_file(disk.path().join("filler")).unwrap();
    shrink(&disk, needed);
    ladder.hub.shared.switches.clear();
    let all = [&[ONE], &place[..]].concat();
    assert_eq!(ladder.run(&all), (1, 0));
    let sent = ladder.hub.sent();
    assert!(sent <= needed + 16 * piece as u64, "{sent} of {needed}");
    assert_eq!(ladder.run(&all), (0, 1));
}

/// Bytes of one checkpoint.
fn needed() -> u64 {
    let names = ["config.json", "model.safetensors", "tokenizer.json"];
    names.iter().map(|name| open(name).len() as u64).sum()
}

/// Leaves room for what is still to come of a download, but not for all of it.
fn shrink(disk: &SmallDisk, needed: u64) {
    let cache = Cache::open(&disk.path().join("cache")).unwrap();
    let parts = fs::read_dir(cache.downloads()).unwrap();
    let there: u64 = parts
        .map(|part| part.unwrap().metadata().unwrap().len())
        .sum();
    let used = (4 << 20) - cache.available_bytes().unwrap();
    let size = used + needed - there + (200 << 10);
    disk.remount(&format!("size={}k", size.div_ceil(4096) * 4));
    assert!(cache.available_bytes().unwrap() < needed);
}

/// Leaves no room on a disk.
fn fill(disk: &SmallDisk) {
    let filler = fs::File::create(disk.path().join("filler")).unwrap();
    let full = loop {
        if let Err(error) = io::Write::write_all(&mut &filler, &[0; 4096]) {
            break error;
        }
    };
    assert_eq!(full.kind(), io::ErrorKind::StorageFull);
}

#[test]
fn without_a_network_what_is_missing_is_said_and_what_is_here_counts() {
    let ladder = Ladder::new();
    assert_eq!(ladder.run(&["checkpoint@step=..300"]), (3, 0));
    let update = ladder.vgh(&["update", "ladder.toml"]);
    assert!(update.status.success(), "{}", said(&update));
    ladder.hub.forget_seen();
    assert_eq!(ladder.run(&["--offline", "checkpoint@step=..300"]), (0, 3));
    let output = ladder.vgh(&["run", "ladder.toml", "--offline", "--keep-going"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("offline"), "{}", said(&output));
    assert!(ladder.hub.seen().is_empty());
    // Two of three measures need only what is here; what is missing is named.
    let events =
        events(&ladder.vgh(&["run", "ladder.toml", "--offline", "--keep-going", "--json"]));
    let failed = events.iter().filter(|event| event["event"] == "failed");
    let mut named: Vec<String> = failed
        .map(|event| {
            let error = event["error"].as_str().unwrap();
            let (file, why) = error.split_once(" at ").unwrap();
            assert_eq!(file, "cannot get `config.json` of `owner/model`");
            let (_, why) = why.split_once(": ").unwrap();
            assert_eq!(
                why,
                "offline (HF_HUB_OFFLINE, or asked for): allow the network, or put it into the \
                 Hugging Face cache first"
            );
            event["instance"].as_str().unwrap().to_owned()
        })
        .collect();
    named.sort();
    let missing = [400, 500, 600].map(|step| format!("checkpoint@step={step}"));
    assert_eq!(named, missing);
    let totals = events.last().unwrap();
    assert_eq!(
        (&totals["failed"], &totals["cached"]),
        (&3.into(), &6.into())
    );
}
