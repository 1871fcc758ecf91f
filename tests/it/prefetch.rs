//! Downloads that run ahead of computing within a budget of disk, through the
//! whole program. What each test shows is order and sizes, never speed.
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Stdio,
    thread,
    time::Duration,
};

use serde_json::Value;

use crate::{
    hub::faults::{ALWAYS, Fault},
    ladder::{Ladder, STEPS, TEXT, said, wanted},
    project::events,
};

/// What a checkpoint takes: its files, and what the kind writes beside them.
fn rung() -> u64 {
    wanted() / STEPS.len() as u64 + 4096
}

/// The ladder with temporary checkpoints.
fn temporary() -> String {
    TEXT.replace("tokens_per_step", "temp = true\ntokens_per_step")
}

fn write(ladder: &Ladder, text: &str) {
    ladder.project.write("ladder.toml", text);
}

/// Runs within so many bytes; the output and the events.
fn run(ladder: &Ladder, disk: u64, more: &[&str]) -> (std::process::Output, Vec<Value>) {
    let disk = disk.to_string();
    let mut args = vec!["run", "ladder.toml", "--json", "--disk", &disk];
    args.extend(more);
    let output = ladder.vgh(&args);
    let events = events(&output);
    (output, events)
}

fn total(events: &[Value], name: &str) -> u64 {
    events.last().unwrap()[name].as_u64().unwrap()
}

/// Bytes of files below a folder that are as large as weights or on their way,
/// each once however many names it has.
fn large_bytes(folder: &Path) -> u64 {
    let mut sizes: BTreeMap<u64, u64> = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        // What is there may go while we look.
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let Ok(found) = fs::symlink_metadata(entry.path()) else {
                continue;
            };
            if found.is_dir() {
                folders.push(entry.path());
            } else if found.len() > 20_000 {
                sizes.insert(found.ino(), found.len());
            }
        }
    }
    sizes.values().sum()
}

/// Revisions whose weights were asked for, in that order.
fn asked(ladder: &Ladder) -> Vec<String> {
    let mut commits: Vec<String> = Vec::new();
    for seen in ladder.hub.seen() {
        let commit = seen.target.split("/resolve/").nth(1);
        let commit = commit.and_then(|rest| rest.strip_suffix("/model.safetensors"));
        if let Some(commit) = commit.filter(|commit| !commits.iter().any(|known| known == commit)) {
            commits.push(commit.to_owned());
        }
    }
    commits
}

/// Commits by step, as the lock has them.
fn commits(ladder: &Ladder) -> Vec<String> {
    let lines = ladder.lock();
    let lines = lines
        .lines()
        .skip(1)
        .map(|line| -> Value { serde_json::from_str(line).unwrap() });
    let by_name: BTreeMap<String, String> = lines
        .map(|line| {
            let text = |name: &str| line[name].as_str().unwrap().to_owned();
            (text("revision"), text("commit"))
        })
        .collect();
    let commit = |step| by_name[&format!("stage1-step{step}-tokens*")].clone();
    STEPS.into_iter().map(commit).collect()
}

/// A stage that ends once there is a file `go-STEP` in the project's folder. It
/// asks for room for a copy of its input, which it may be given.
fn waiting(ladder: &Ladder, stage: &str) -> String {
    let go: PathBuf = ladder.project.file("go");
    format!(
        r#"
[stages.{stage}]
kind = "command"
over = ["step"]
inputs = {{ checkpoint = "checkpoint" }}
shell = "until test -e {}-{{step}}; do sleep 0.02; done; cat {{inputs.checkpoint}}/vgh.json > {{outputs.out}}"
outputs = {{ out = "{stage}.json" }}
pass_env = ["PATH"]
resources = {{ time = "120 s", disk = {} }}
"#,
        go.display(),
        rung()
    )
}

#[test]
fn the_next_checkpoint_comes_while_this_one_is_read_and_both_fit() {
    let ladder = Ladder::new();
    let (text, _) = TEXT.split_once("[stages.measure]").unwrap();
    let text = text.replace("tokens_per_step", "temp = true\ntokens_per_step");
    let text = text + &waiting(&ladder, "first") + &waiting(&ladder, "second");
    write(&ladder, &text);
    // Slow enough that whoever looks sees files on their way.
    let slow = Fault::Drip {
        piece: 65_536,
        pause: Duration::from_millis(10),
    };
    ladder.hub.set("model.safetensors", slow, ALWAYS);
    let budget = 3 * rung();
    let mut child = ladder
        .command(&[
            "run",
            "ladder.toml",
            "--json",
            "-j",
            "1",
            "--network",
            "1",
            "--disk",
            &budget.to_string(),
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let cache = ladder.project.file("cache");
    let (mut peak, mut let_on) = (0, 0);
    while child.try_wait().unwrap().is_none() {
        peak = peak.max(large_bytes(&cache));
        // What reads one checkpoint ends only once the next one is on its way.
        let begun = asked(&ladder).len();
        let over = if begun == STEPS.len() {
            begun
        } else {
            begun.saturating_sub(1)
        };
        for step in &STEPS[let_on..over] {
            ladder.project.write(&format!("go-{step}"), "");
        }
        let_on = over;
        thread::sleep(Duration::from_millis(2));
    }
    let output = child.wait_with_output().unwrap();
    let events = events(&output);
    assert_eq!(total(&events, "executed"), 18, "{}", said(&output));
    assert_eq!(
        asked(&ladder),
        commits(&ladder),
        "not in the order of the ladder"
    );
    assert!(peak <= budget, "{peak} of {budget}");
    assert!(peak > rung(), "{peak}: nothing was seen");
    assert!(large_bytes(&cache) < 20_000, "temporary bytes stayed");
}

#[test]
fn with_room_for_one_the_ladder_goes_rung_by_rung() {
    let ladder = Ladder::new();
    write(&ladder, &temporary());
    let (output, events) = run(&ladder, rung(), &[]);
    assert_eq!(total(&events, "executed"), 12, "{}", said(&output));
    let sent = ladder.hub.sent();
    assert!(sent as f64 <= 1.1 * wanted() as f64, "{sent}");
    assert_eq!(run(&ladder, 1, &[]).1.last().unwrap()["cached"], 12);
}

#[test]
fn what_failed_stages_would_read_makes_room_for_the_others() {
    let ladder = Ladder::new();
    let bad = temporary().replace(
        r#"argv = ["cp", "#,
        r#"argv = ["sh", "-c", "test $0 -ne 200 && cp $1 $2", "{step}", "#,
    );
    write(&ladder, &bad);
    let (output, events) = run(&ladder, rung(), &["--keep-going"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert_eq!(
        (total(&events, "executed"), total(&events, "failed")),
        (11, 1)
    );
    let measured = events
        .iter()
        .filter(|event| event["event"] == "finished" && event["stage"] == "measure");
    let measured: BTreeSet<&str> = measured
        .map(|event| event["instance"].as_str().unwrap())
        .collect();
    assert_eq!(measured.len(), 5);
    assert!(!measured.contains("measure@step=200"));
}

#[test]
fn checkpoints_that_are_there_count_and_are_read_first() {
    let ladder = Ladder::new();
    write(&ladder, &temporary());
    // Asked for by name they stay.
    assert_eq!(ladder.run(&["checkpoint@step=400.."]), (3, 0));
    let (output, events) = run(&ladder, rung(), &[]);
    let counts = (total(&events, "executed"), total(&events, "cached"));
    assert_eq!(counts, (9, 3), "{}", said(&output));
    let first = events
        .iter()
        .find(|event| event["event"] == "started")
        .unwrap();
    assert_eq!(first["instance"], "measure@step=400");
    assert!(large_bytes(&ladder.project.file("cache")) < 20_000);
}

#[test]
fn what_cannot_fit_is_refused_with_numbers_before_anything_comes() {
    let ladder = Ladder::new();
    write(&ladder, &temporary());
    let refused = |disk: &str| {
        let output = ladder.vgh(&["run", "ladder.toml", "--disk", disk]);
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        String::from_utf8(output.stderr).unwrap()
    };
    let rung = rung();
    let text = refused("500 kB");
    let line = format!(
        "error: `checkpoint` asks for {rung} bytes of disk, --disk allows 500 kB: \
         allow {rung} bytes or more"
    );
    assert_eq!(text.lines().last().unwrap(), line);
    // One stage that reads all of them at once.
    let all = r#"
[stages.all]
kind = "command"
inputs = { checkpoint = "checkpoint" }
argv = ["cp", "/dev/null", "{outputs.out}"]
outputs = { out = "all" }
pass_env = ["PATH"]
"#;
    write(&ladder, &(temporary() + all));
    let text = refused(&(3 * rung).to_string());
    let [three, six] =
        [3 * rung, 6 * rung].map(|n| format!("{:.1} MB ({n} bytes)", n as f64 / 1e6));
    let line = format!(
        "error: `checkpoint` asks for {rung} bytes of disk beside {three} that `all` waits for, \
         --disk allows {three}: allow {six} or more",
    );
    assert_eq!(text.lines().last().unwrap(), line);
    assert_eq!(ladder.hub.sent(), 0);
    assert!(asked(&ladder).is_empty());
}

#[test]
fn the_plan_says_what_comes_and_what_is_held_at_a_time() {
    let ladder = Ladder::new();
    write(&ladder, &temporary());
    let cost = || {
        let output = ladder.vgh(&["plan", "ladder.toml", "--offline", "--json"]);
        assert!(output.status.success(), "{}", said(&output));
        let plan: Value = serde_json::from_slice(&output.stdout).unwrap();
        let cost = plan["cost"].clone();
        [
            "download_bytes",
            "downloads",
            "unresolved",
            "peak_disk_bytes",
        ]
        .map(|name| cost[name].as_u64().unwrap())
    };
    let text = || said(&ladder.vgh(&["plan", "ladder.toml", "--offline"]));
    assert_eq!(cost(), [0, 0, 6, 0]);
    assert!(
        text().contains("of unknown size    6 instances: what to download is not resolved"),
        "{}",
        text()
    );
    let update = ladder.vgh(&["update", "ladder.toml"]);
    assert!(update.status.success(), "{}", said(&update));
    assert_eq!(cost(), [wanted(), 6, 0, rung()]);
    assert!(
        text().contains("to download        4.1 MiB in 6 instances\n"),
        "{}",
        text()
    );
    assert!(
        text().contains("on the disk        700.7 KiB at least; "),
        "{}",
        text()
    );
    let half = ["plan", "ladder.toml", "measure@step=..300"];
    assert!(said(&ladder.vgh(&half)).contains("to download        2.0 MiB in 3 instances"));
    assert_eq!(ladder.run(&[]), (12, 0));
    assert_eq!(cost(), [0; 4]);
    assert!(!text().contains("to download"), "{}", text());
}
