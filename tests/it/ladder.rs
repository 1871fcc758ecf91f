//! A ladder of checkpoints from a hub, through the whole program: the lock,
//! what is fetched and what is not, and what is said where something lacks.
mod killed;
mod lacking;
mod refused;
mod whole;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use crate::{
    hub::{repo::Repo, server::LocalHub},
    project::{Project, events},
};

pub(crate) const STEPS: [u64; 6] = [100, 200, 300, 400, 500, 600];
const CANARY: &str = "hf_canary123";

pub(crate) const TEXT: &str = r#"
[pipeline]
format = 1
name = "ladder"

[axes]
step = { from = 100, to = 600, by = 100 }

[stages.checkpoint]
kind = "hf-checkpoint"
over = ["step"]
repo = "owner/model"
revision = "stage1-step{step}-tokens*"
step = "{step}"
tokens_per_step = 2097152
resources = { network = 1 }

[stages.measure]
kind = "command"
over = ["step"]
inputs = { checkpoint = "checkpoint" }
argv = ["cp", "{inputs.checkpoint}/vgh.json", "{outputs.out}"]
outputs = { out = "out.json" }
pass_env = ["PATH"]
"#;

fn open(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/open");
    fs::read(folder.join(name)).unwrap()
}

/// The files of a revision: the small model with another last weight each.
fn revision(step: u64, readme: &str) -> Vec<(&'static str, Vec<u8>)> {
    let mut weights = open("model.safetensors");
    let at = weights.len() - 4;
    weights[at..].copy_from_slice(&(step as f32).to_le_bytes());
    vec![
        ("README.md", readme.as_bytes().to_vec()),
        ("config.json", open("config.json")),
        ("model.safetensors", weights),
        ("optimizer.bin", vec![7; 50_000]),
        ("tokenizer.json", open("tokenizer.json")),
    ]
}

fn push(repo: &mut Repo, branch: &str, files: &[(&str, Vec<u8>)]) {
    let files: Vec<(&str, &[u8])> = files
        .iter()
        .map(|(path, bytes)| (*path, &bytes[..]))
        .collect();
    repo.branch(branch, &files);
}

fn branch(step: u64) -> String {
    format!("stage1-step{step}-tokens{}B", step / 100)
}

pub(crate) struct Ladder {
    pub(crate) hub: LocalHub,
    pub(crate) project: Project,
}

impl Ladder {
    pub(crate) fn new() -> Ladder {
        let mut repo = Repo::new("owner/model");
        push(&mut repo, "main", &revision(0, "main"));
        for step in STEPS {
            push(&mut repo, &branch(step), &revision(step, "read me"));
        }
        let project = Project::empty();
        project.write("ladder.toml", TEXT);
        Ladder {
            hub: LocalHub::start(vec![repo]),
            project,
        }
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = self.project.command(args);
        command
            .env("HF_ENDPOINT", self.hub.endpoint())
            .env("HF_HOME", self.project.file("hf"))
            .env("HF_TOKEN", CANARY)
            .env_remove("HF_HUB_OFFLINE")
            .env_remove("HF_HUB_CACHE");
        command
    }

    pub(crate) fn vgh(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Executed and cached instances of a run that must go well.
    pub(crate) fn run(&self, args: &[&str]) -> (u64, u64) {
        let mut all = vec!["run", "ladder.toml", "--json"];
        all.extend(args);
        let output = self.vgh(&all);
        assert!(output.status.success(), "{}", said(&output));
        let events = events(&output);
        let totals = events.last().unwrap();
        let count = |name: &str| totals[name].as_u64().unwrap();
        (count("executed"), count("cached"))
    }

    pub(crate) fn lock(&self) -> String {
        fs::read_to_string(self.project.file("ladder.lock")).unwrap_or_default()
    }
}

pub(crate) fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

/// Bytes of the files that the ladder wants.
pub(crate) fn wanted() -> u64 {
    let unwanted = ["README.md", "optimizer.bin"];
    let size = |step: u64| -> u64 {
        let files = revision(step, "").into_iter();
        let wanted = files.filter(|(path, _)| !unwanted.contains(path));
        wanted.map(|(_, bytes)| bytes.len() as u64).sum()
    };
    STEPS.into_iter().map(size).sum()
}

#[test]
fn a_ladder_is_resolved_fetched_once_and_never_again() {
    let ladder = Ladder::new();
    let plan = ladder.vgh(&["plan", "ladder.toml", "--offline"]);
    assert!(plan.status.success(), "{}", said(&plan));
    assert!(said(&plan).contains("unresolved"), "{}", said(&plan));
    assert!(
        said(&plan).contains("12 instances: 12 to run"),
        "{}",
        said(&plan)
    );
    for (flag, why) in [
        ("--offline", "asks nobody"),
        ("--locked", "adds nothing to the lock"),
    ] {
        let refused = ladder.vgh(&["run", "ladder.toml", flag]);
        assert_eq!(refused.status.code(), Some(2));
        let text = said(&refused);
        assert!(
            text.contains("`stage1-step100-tokens*` of owner/model is not in"),
            "{text}"
        );
        assert!(
            text.contains(why) && text.contains("ladder.toml:"),
            "{text}"
        );
    }
    assert!(ladder.hub.seen().is_empty());
    assert_eq!(ladder.run(&[]), (12, 0));
    let sent = ladder.hub.sent();
    assert!(
        sent as f64 <= 1.1 * wanted() as f64,
        "{sent} of {}",
        wanted()
    );
    let lock = ladder.lock();
    assert_eq!(lock.lines().count(), 1 + STEPS.len());
    ladder.hub.forget_seen();
    assert_eq!(ladder.run(&[]), (0, 12));
    assert_eq!(ladder.run(&["--locked", "--offline"]), (0, 12));
    assert!(ladder.hub.seen().is_empty());
    assert_eq!(ladder.lock(), lock);
    let plan = said(&ladder.vgh(&["plan", "ladder.toml"]));
    assert!(
        plan.contains("12 instances: 0 to run, 0 maybe, 12 cached"),
        "{plan}"
    );
    // The token is nowhere, and no half file stays.
    let kept = files_below(&ladder.project.file("cache"));
    for file in kept.iter().chain([&ladder.project.file("ladder.lock")]) {
        let bytes = fs::read(file).unwrap();
        let canary = CANARY.as_bytes();
        assert!(
            !bytes.windows(canary.len()).any(|part| part == canary),
            "{}",
            file.display()
        );
        assert!(
            !file.to_string_lossy().contains("downloads/"),
            "{}",
            file.display()
        );
    }
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_below(&path));
        } else {
            found.push(path);
        }
    }
    found
}

#[test]
fn case_18_a_branch_that_moved_changes_nothing_until_update_and_then_what_it_must() {
    let ladder = Ladder::new();
    assert_eq!(ladder.run(&[]), (12, 0));
    ladder.hub.change("owner/model", |repo| {
        push(repo, &branch(200), &revision(200, "another text"));
        push(repo, &branch(300), &revision(333, "read me"));
    });
    assert_eq!(ladder.run(&[]), (0, 12));
    let update = ladder.vgh(&["update", "ladder.toml"]);
    let text = said(&update);
    assert!(update.status.success(), "{text}");
    assert!(text.contains("6 references, 2 new or moved"), "{text}");
    assert!(
        text.contains("  README.md: other bytes, 12 bytes (not among `files`)"),
        "{text}"
    );
    assert!(
        text.contains("  model.safetensors: other bytes, "),
        "{text}"
    );
    ladder.hub.forget_seen();
    // The README is not among the files; of the other revision the weights are
    // fetched, and the measure that sees the same bytes as before need not run.
    let (executed, cached) = ladder.run(&[]);
    assert_eq!((executed, cached), (2, 10));
    assert!(ladder.hub.sent() < 1_000_000, "{}", ladder.hub.sent());
    let again = said(&ladder.vgh(&["update", "ladder.toml"]));
    assert!(again.contains("6 references, 0 new or moved"), "{again}");
}

#[test]
fn the_ladders_of_this_repository_plan_without_lock_and_network() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines");
    let project = Project::empty();
    let prompts = fs::read(folder.join("olmo_prompts.jsonl")).unwrap();
    project.write("olmo_prompts.jsonl", prompts);
    for (name, checkpoints) in [
        ("olmo_impact", 20),
        ("pythia_ladder", 10),
        ("smollm2_ladder", 8),
    ] {
        let file = format!("{name}.toml");
        project.write(&file, fs::read(folder.join(&file)).unwrap());
        let plan = project.vgh(&["plan", &file, "--offline"]);
        assert!(plan.status.success(), "{}", said(&plan));
        let text = said(&plan);
        let first = format!("checkpoint {checkpoints:>6} to run  unresolved: ");
        assert!(text.starts_with(&first), "{text}");
        assert!(!project.file(&format!("{name}.lock")).exists());
    }
}
