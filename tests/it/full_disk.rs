//! A cache on a disk that is too small, through the whole program: whatever
//! does not fit, the run says where and how much, and leaves nothing wrong.
use std::{collections::BTreeSet, fs, path::Path};

use vgh::cache::Cache;

use crate::{
    project::{Project, Ran},
    small_disk::SmallDisk,
};

/// Every way of writing: a folder of outputs, bytes, checkpoints, snapshots.
const PIPELINE: &str = r#"[pipeline]
format = 1
name = "mini"

[axes]
step = [2, 4]

[stages.corpus]
kind = "copy-corpus"
documents = 60

[stages.ladder]
kind = "pretrain"
over = ["step"]
inputs = { corpus = "corpus" }
steps = "{step}"
decay_steps = 4
warmup_steps = 1
hidden_size = 16
layers = 1
heads = 2
mlp = 32
context = 16
batch = 4

[stages.prompts]
kind = "label-copy"
inputs = { corpus = "corpus" }
train = 12
eval = 6
"#;

/// Sizes of the disk tried, in fifths of what stays of a run: up to four times
/// that, which is enough for what comes and goes while it runs.
const FIFTHS: u64 = 20;

#[test]
fn a_full_disk_is_told_with_path_and_room_and_freed_it_goes_on() {
    let Some(disk) = SmallDisk::mount("full_disk", "size=64m") else {
        return;
    };
    let project = Project::empty();
    project.write("mini.toml", PIPELINE);
    let root = disk.path().join("cache");
    // One stage at a time: another that fails beside it would free room before it is told.
    let run = || project.run(&["-j", "1", "--cache", root.to_str().unwrap()]);
    let whole = run();
    assert_eq!(
        (whole.code, &whole.totals["executed"]),
        (Some(0), &4.into())
    );
    let size = bytes_below(&root);
    let mut codes = BTreeSet::new();
    for fifths in 0..=FIFTHS {
        fs::remove_dir_all(&root).unwrap();
        let room = size * fifths / 5;
        disk.remount(&format!("size={}", room.max(4096)));
        let short = run();
        let told = told(&short);
        let said = names_path_and_room(&told, disk.path());
        assert_eq!(
            short.code != Some(0),
            said,
            "{room} of {size} bytes: {told}"
        );
        codes.insert(short.code);
        sound(&root);

        disk.remount("size=64m");
        let after = run();
        assert_eq!(
            (after.code, &after.totals["failed"]),
            (Some(0), &0.into()),
            "{room} of {size} bytes: {after:?}"
        );
        sound(&root);
        assert_eq!(run().totals["executed"], 0);
    }
    // The cache cannot be opened; a stage fails; there is room.
    assert_eq!(codes, BTreeSet::from([Some(4), Some(1), Some(0)]));
}

fn told(ran: &Ran) -> String {
    format!("{}\n{}", ran.failures.join("\n"), ran.stderr)
}

/// Whether a line ends as the fault of a full disk does: which file, how many
/// bytes were needed for it, how many there are.
fn names_path_and_room(told: &str, disk: &Path) -> bool {
    let named = |line: &str| {
        let (fault, _) = line.split_once(": No space left on device (os error 28)")?;
        let (place, room) = fault.rsplit_once(": ")?;
        let (needed, free) = room.split_once(" bytes needed, ")?;
        let free: u64 = free.strip_suffix(" available")?.parse().ok()?;
        let (_, path) = place.rsplit_once("cannot write ")?;
        (needed.parse::<u64>().ok()? > free && Path::new(path).starts_with(disk)).then_some(())
    };
    told.lines().any(|line| named(line).is_some())
}

fn sound(root: &Path) {
    let Some(cache) = Cache::open_existing(root).unwrap() else {
        return;
    };
    let report = cache.verify(true).unwrap();
    assert!(report.is_sound() && report.missing.is_empty(), "{report:?}");
    assert_eq!(cache.take_notices(), [""; 0]);
}

fn bytes_below(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).unwrap();
    let sizes = entries.map(|entry| {
        let entry = entry.unwrap();
        match entry.metadata().unwrap() {
            found if found.is_dir() => bytes_below(&entry.path()),
            found => found.len(),
        }
    });
    sizes.sum()
}
