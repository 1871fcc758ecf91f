//! `pipelines/olmo_impact.toml` in small, from an empty folder through RL to the
//! report, killed on the way.
#![expect(clippy::print_stdout, reason = "the numbers, for people")]
use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use vgh::seed::Seed;

use crate::{
    hub::faults::{ALWAYS, Fault},
    ladder::{Ladder, STEPS, branch, files_below, push, revision, wanted},
};

const SEED: u64 = 20;

/// Checkpoints, prompts, costates and headroom, scores; 2 seeds of RL with 2
/// budgets for each checkpoint; impact, affine, correlate, recommend, report.
const INSTANCES: u64 = 6 + 1 + 12 + 1 + 24 + 5;

/// What the small ladder has other than the large one.
const EDITS: [(&str, &str); 9] = [
    (
        "{ from = 50000, to = 1000000, by = 50000 }",
        "{ from = 100, to = 600, by = 100 }",
    ),
    ("[10, 20, 25, 30]", "[1, 2]"),
    ("[1e-6, 3e-6]", "[1e-3]"),
    ("[0, 1, 2]", "[0, 1]"),
    ("\"allenai/OLMo-2-0425-1B\"", "\"owner/model\""),
    ("device = \"cuda\"", "device = \"cpu\""),
    ("{ gpu = 1 }", "{ cpu = 1 }"),
    ("\"7 GB\"", "\"4 MB\""),
    (
        "updates = \"{budget}\"",
        "prompts_per_update = 6\nupdates = \"{budget}\"",
    ),
];

fn small() -> Ladder {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut text = fs::read_to_string(root.join("pipelines/olmo_impact.toml")).unwrap();
    for (from, to) in EDITS {
        assert!(text.contains(from), "no `{from}` in the pipeline");
        text = text.replace(from, to);
    }
    let ladder = Ladder::new();
    ladder.project.write("ladder.toml", text);
    let prompts = fs::read(root.join("examples/prompts.jsonl")).unwrap();
    ladder.project.write("olmo_prompts.jsonl", prompts);
    ladder.hub.change("owner/model", |repo| {
        for step in STEPS {
            let mut files = revision(step, "read me");
            for (path, bytes) in &mut files {
                if *path == "model.safetensors" {
                    scale(bytes, 1.0 + step as f32 / 3000.0);
                }
            }
            push(repo, &branch(step), &files);
        }
    });
    ladder
}

/// Another model: all numbers of a safetensors file times `factor`.
fn scale(bytes: &mut [u8], factor: f32) {
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    for number in bytes[8 + header..].chunks_exact_mut(4) {
        let value = f32::from_le_bytes(number.try_into().unwrap());
        number.copy_from_slice(&(value * factor).to_le_bytes());
    }
}

#[test]
fn the_experiment_survives_kills_and_fetches_its_data_once() {
    let began = Instant::now();
    let ladder = small();
    let mut stream = Seed(SEED).stream("kill", &[]);
    let slow = Fault::Drip {
        piece: 16 << 10,
        pause: Duration::from_millis(2),
    };
    ladder.hub.set("model.safetensors", slow, ALWAYS);
    let mut moments = Vec::new();
    for _ in 0..3 {
        // Among the downloads, amid RL, wherever it falls: but before the end.
        let results = stream.below(INSTANCES as usize / 3 - 1);
        let more = Duration::from_millis(stream.below(80) as u64);
        let mut child = ladder
            .command(&["run", "ladder.toml", "--json"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let finished = lines
            .map_while(Result::ok)
            .filter(|line| line.contains("\"finished\""));
        let seen = finished.take(results).count();
        assert_eq!(seen, results, "ended by itself");
        thread::sleep(more);
        child.kill().unwrap();
        child.wait().unwrap();
        moments.push(format!("{results} results + {} ms", more.as_millis()));
    }
    ladder.hub.shared.switches.clear();
    let (executed, cached) = ladder.run(&[]);
    assert_eq!(executed + cached, INSTANCES);
    let (sent, data) = (ladder.hub.sent(), wanted());
    let ratio = sent as f64 / data as f64;
    ladder.hub.forget_seen();
    assert_eq!(ladder.run(&[]), (0, INSTANCES));
    let again = ladder.hub.sent();
    assert!(ladder.hub.seen().is_empty());
    println!(
        "olmo_impact in small, seed {SEED}: killed after {}; {sent} bytes served for {data} of \
         data, {ratio:.3} times; {again} by a second run; {:.1} s",
        moments.join(", "),
        began.elapsed().as_secs_f64()
    );
    assert!(ratio <= 1.1, "{ratio}");
    assert!(
        ladder
            .project
            .file("results/olmo_impact/report.html")
            .is_file()
    );
    for file in files_below(&ladder.project.file("cache")) {
        assert!(
            !file.to_string_lossy().contains("downloads/"),
            "{}",
            file.display()
        );
    }
}
