//! The commands that look, each with its whole output. What differs from run
//! to run is replaced by a word; the rest lies in `tests/fixtures/commands`.
//! Accept a wanted difference with `VGH_ACCEPT=1`.
use std::{fs, path::Path};

use crate::project::Project;

mod completions;
mod diff;
mod events;
mod folder;
mod graph;
mod help;
mod init;
mod kinds;
mod logs;
mod pipeline_file;
mod run;
mod runs;
mod schema;
mod show;
mod status;

/// Two stages that say something, a table, and one that takes both.
const TOY: &str = r#"
[pipeline]
format = 1
name = "toy"

[params]
word = "hello"

[axes]
x = [1, 2]

[stages.say]
kind = "command"
over = ["x"]
shell = "echo saying {x}; echo {word} {x} > {outputs.text}"
outputs = { text = "text.txt" }

[stages.rewards]
kind = "table"
path = "rewards.csv"
schema = "rewards"

[stages.list]
kind = "command"
shell = "ls {inputs.say} > {outputs.names}; cat {inputs.rewards} | wc -c > {outputs.size}"
inputs = { say = "say", rewards = "rewards" }
outputs = { names = "names.txt", size = "size.txt" }
"#;

const REWARDS: &str = "step,learning_rate,rl_seed,updates,r_before,r_after,gain
100,0.0001,0,30,0.2,0.24,0.04
200,0.0001,0,30,0.35,0.44,0.09
";

/// A stage that fails after it said something.
const BAD: &str = r#"
[stages.bad]
kind = "command"
over = ["x"]
shell = "echo about to fail {x}; exit {x}"
outputs = { nothing = "nothing.txt" }
"#;

fn toy() -> Project {
    let project = Project::empty();
    project.write("toy.toml", TOY);
    project.write("rewards.csv", REWARDS);
    project
}

/// A toy that ran once.
fn ran() -> Project {
    let project = toy();
    assert_eq!(
        said(
            &project,
            &["run", "toy.toml", "-j", "1", "--progress", "none"]
        )
        .0,
        Some(0)
    );
    project
}

/// Exit code, and both streams with what differs replaced.
fn said(project: &Project, args: &[&str]) -> (Option<i32>, String) {
    let output = project.vgh(args);
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8(text).unwrap();
    (output.status.code(), stable(&text, project.path()))
}

/// Runs the toy, one stage after another and past failures; the exit code.
fn run_toy(project: &Project) -> Option<i32> {
    let args = [
        "run",
        "toy.toml",
        "-j",
        "1",
        "--progress",
        "none",
        "--keep-going",
    ];
    said(project, &args).0
}

/// The output of a command against its file.
fn shows(name: &str, project: &Project, args: &[&str]) {
    let (code, text) = said(project, args);
    let asked = stable(&format!("$ vgh {}", args.join(" ")), project.path());
    let shown = format!("{asked}{text}exit {}\n", code.unwrap());
    matches(name, &shown);
}

fn matches(name: &str, shown: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let golden = root.join(format!("tests/fixtures/commands/{name}"));
    if std::env::var_os("VGH_ACCEPT").is_some() {
        fs::write(&golden, shown).unwrap();
    }
    let expected = fs::read_to_string(&golden).unwrap_or_default();
    assert_eq!(shown, expected, "{name}");
}

/// Ids of runs, moments, durations, this folder and this machine by words;
/// columns without their widths.
fn stable(text: &str, place: &Path) -> String {
    let place = place.to_string_lossy().into_owned();
    let text = text.replace(&place, "HERE");
    let mut out = String::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let mut i = 0;
        let mut kept: Vec<String> = Vec::new();
        while i < words.len() {
            let next = words.get(i + 1).copied().unwrap_or("");
            let unit = next.trim_end_matches([',', '.', ')', ';']);
            if is_number(words[i].trim_start_matches('(')) && matches!(unit, "s" | "min" | "h") {
                let open = if words[i].starts_with('(') { "(" } else { "" };
                kept.push(format!("{open}TIME{}", &next[unit.len()..]));
                i += 2;
                continue;
            }
            kept.push(if is_date(words[i]) {
                "DATE".to_owned()
            } else {
                run_ids(words[i])
            });
            i += 1;
        }
        let mut line = kept.join(" ").replace("DATE CLOCK UTC", "DATE");
        while line.contains("   ") {
            line = line.replace("   ", "  ");
        }
        out.push_str(&line);
        out.push('\n');
    }
    out
}

fn is_number(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|c| c.is_ascii_digit() || c == '.')
}

/// `2026-11-24`, and the clock after it.
fn is_date(word: &str) -> bool {
    let digits = |part: &str, n: usize| part.len() == n && is_number(part);
    let parts: Vec<&str> = word.split('-').collect();
    matches!(parts.as_slice(), [y, m, d] if digits(y, 4) && digits(m, 2) && digits(d, 2))
}

/// Every `20261124T104622123Z-4242` of a word is RUN; `10:46` is CLOCK.
fn run_ids(word: &str) -> String {
    if let [h, m] = word.split(':').collect::<Vec<&str>>().as_slice()
        && h.len() == 2
        && m.len() == 2
        && is_number(h)
        && is_number(m)
    {
        return "CLOCK".to_owned();
    }
    let mut out = String::new();
    let mut rest = word;
    while let Some(at) = rest.find("Z-") {
        let start = at.saturating_sub(18);
        let id = &rest[start..at];
        let is_id = id.len() == 18
            && id
                .chars()
                .enumerate()
                .all(|(i, c)| (i == 8 && c == 'T') || c.is_ascii_digit());
        if !is_id {
            break;
        }
        out.push_str(&rest[..start]);
        out.push_str("RUN");
        rest = rest[at + 2..].trim_start_matches(|c: char| c.is_ascii_digit());
    }
    out + rest
}
