//! The kind on the fixture model: nested budgets, resuming, warm workers.
use std::{
    cell::RefCell,
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::{
    artifact::{
        Artifact, Body, Position, Prompt, Split,
        table::{read_artifact, read_rows},
    },
    digest::Digest,
    stage::{Foreign, Held, Resume, Sink},
};

/// Bytes by (mark, port).
type Tables = BTreeMap<(u64, String), Vec<u8>>;

/// Keeps what a run hands over.
struct Keep {
    folder: TempDir,
    tables: RefCell<Tables>,
    snapshot: RefCell<Option<Resume>>,
    /// Stop once this many updates are done.
    stop_at: Option<u64>,
    done: RefCell<u64>,
}

impl Keep {
    fn new() -> Keep {
        Keep {
            folder: tempfile::tempdir().unwrap(),
            tables: RefCell::default(),
            snapshot: RefCell::default(),
            stop_at: None,
            done: RefCell::default(),
        }
    }
}

impl Sink for Keep {
    fn progress(&self, done: u64, _: u64, _: &str) {
        self.done.replace(done);
    }

    fn log(&self, _: &str) {}

    fn reached(&self, mark: u64, outputs: Outputs) -> Result<()> {
        for (port, produced) in outputs.0 {
            let Produced::Bytes(bytes) = produced else {
                panic!("`{port}` is not bytes");
            };
            self.tables.borrow_mut().insert((mark, port), bytes);
        }
        Ok(())
    }

    fn snapshot(&self, mark: u64, folder: &Path) -> Result<()> {
        let kept = self.folder.path().join(format!("kept-{mark}"));
        fs::rename(folder, &kept)?;
        let resume = Resume { mark, folder: kept };
        self.snapshot.replace(Some(resume));
        Ok(())
    }

    fn stopping(&self) -> bool {
        self.stop_at == Some(*self.done.borrow())
    }
}

fn fixture() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/open")
}

/// The fixture as artifacts: eight prompts to learn from, four to be judged on.
fn inputs(folder: &Path) -> Inputs {
    Position {
        step: 250,
        tokens: 160_000,
    }
    .write(folder)
    .unwrap();
    let mut files = BTreeMap::from([("vgh.json".to_owned(), folder.join("vgh.json"))]);
    for name in ["config.json", "tokenizer.json", "model.safetensors"] {
        files.insert(name.to_owned(), fixture().join(name));
    }
    let text = fs::read_to_string(fixture().join("prompts.jsonl")).unwrap();
    let row = |(i, line): (usize, &str)| {
        let prompt: Value = serde_json::from_str(line).unwrap();
        let text = |field: &str| prompt[field].as_str().unwrap().to_owned();
        Prompt {
            prompt: i as i64,
            text: text("text"),
            label: text("label_text"),
            split: if i % 3 == 2 {
                Split::Eval
            } else {
                Split::Train
            },
            template: "fixture".to_owned(),
        }
    };
    let prompts = Prompts::new(text.lines().enumerate().map(row).collect()).unwrap();
    let path = folder.join("prompts.parquet");
    fs::write(&path, prompts.encode().unwrap()).unwrap();
    let artifact = |body| Artifact {
        coords: [].into(),
        digest: Digest::of(b"fixture"),
        body,
    };
    Inputs(BTreeMap::from([
        ("checkpoint".to_owned(), vec![artifact(Body::Tree(files))]),
        ("prompts".to_owned(), vec![artifact(Body::File(path))]),
    ]))
}

fn grpo(updates: u64) -> Grpo {
    serde_json::from_value(json!({
        "updates": updates, "learning_rate": 1e-3, "seed": 5, "prompts_per_update": 5,
        "num_generations": 6, "num_iterations": 2,
    }))
    .unwrap()
}

fn run_with(keep: &Keep, marks: &[u64], resume: Option<Resume>, held: &Held) -> Result<()> {
    let scratch = tempfile::tempdir_in(keep.folder.path()).unwrap();
    let context = Context {
        scratch: scratch.path().to_owned(),
        marks: marks.to_vec(),
        resume,
        externals: [].into(),
        foreign: Foreign::default(),
        sink: keep,
        held,
    };
    let last = *marks.last().unwrap();
    let outputs = grpo(last).run(&inputs(keep.folder.path()), &context)?;
    keep.reached(last, outputs)
}

fn run(marks: &[u64]) -> Keep {
    let keep = Keep::new();
    run_with(&keep, marks, None, &Held::default()).unwrap();
    keep
}

fn assert_same(a: &Tables, b: &Tables) {
    assert!(!a.is_empty());
    for (at, bytes) in a {
        assert!(b.get(at) == Some(bytes), "{at:?} differs");
    }
}

#[test]
fn nested_budgets_are_separate_runs_bit_for_bit() {
    let together = run(&[2, 4, 6]).tables.into_inner();
    assert_eq!(together.len(), 9);
    for mark in [2, 4, 6] {
        let alone = run(&[mark]).tables.into_inner();
        assert_eq!(alone.len(), 3);
        assert_same(&alone, &together);
    }
}

#[test]
fn a_resumed_run_is_one_from_scratch() {
    let whole = run(&[3, 5]).tables.into_inner();
    let first = run(&[2]);
    let resume = first.snapshot.borrow().clone();
    assert_eq!(resume.as_ref().unwrap().mark, 2);
    let rest = Keep::new();
    run_with(&rest, &[3, 5], resume, &Held::default()).unwrap();
    assert_same(&whole, &rest.tables.into_inner());
}

#[test]
fn a_warm_worker_makes_what_a_fresh_one_does() {
    let held = Held::default();
    let warm = Keep::new();
    let files = Files::of_folder(&fixture()).unwrap();
    let context = Context {
        scratch: PathBuf::new(),
        marks: Vec::new(),
        resume: None,
        externals: [].into(),
        foreign: Foreign::default(),
        sink: &warm,
        held: &held,
    };
    let load = || Model::load(&files, &candle_core::Device::Cpu, candle_core::DType::F32);
    drop(context.borrow(Digest::of(b"fixture"), load).unwrap());
    run_with(&warm, &[3], None, &held).unwrap();
    // the model was taken, so the next stage loads its own
    let again = Keep::new();
    run_with(&again, &[3], None, &held).unwrap();
    let fresh = run(&[3]).tables.into_inner();
    assert_same(&fresh, &warm.tables.into_inner());
    assert_same(&fresh, &again.tables.into_inner());
}

#[test]
fn tables_say_what_happened() {
    let keep = run(&[4]);
    let table = |port: &str| {
        let path = keep.folder.path().join(port);
        fs::write(&path, &keep.tables.borrow()[&(4, port.to_owned())]).unwrap();
        Artifact {
            coords: [].into(),
            digest: Digest::of(b""),
            body: Body::File(path),
        }
    };
    let rewards: Vec<Value> = read_rows(&table("rewards"), &REWARDS).unwrap();
    let row = &rewards[0];
    assert_eq!(rewards.len(), 1);
    assert_eq!(
        (&row["step"], &row["updates"], &row["rl_seed"]),
        (&json!(250), &json!(4), &json!(5))
    );
    let number = |row: &Value, field: &str| row[field].as_f64().unwrap();
    assert_eq!(
        number(row, "gain"),
        number(row, "r_after") - number(row, "r_before")
    );
    // the fixture's own p_y of prompts 2, 5, 8 and 11
    let gold = (0.178_554_222 + 0.271_041_993 + 0.558_441_662 + 0.216_856_484) / 4.0;
    assert!((number(row, "r_before") - gold).abs() < 1e-6, "{row}");
    assert!(number(row, "gain").abs() > 1e-3, "{row}");
    let log: Vec<Value> = read_rows(&table("training-log"), &TRAINING_LOG).unwrap();
    assert_eq!(log.len(), 4);
    let frame = read_artifact(&table("rollouts"), &ROLLOUTS).unwrap();
    assert_eq!(frame.height(), 4 * 5 * 6);
    let rollouts: Vec<Value> = read_rows(&table("rollouts"), &ROLLOUTS).unwrap();
    for (u, row) in log.iter().enumerate() {
        let mine = rollouts.iter().filter(|r| r["update"] == json!(u));
        let rewards: Vec<f64> = mine.map(|r| number(r, "reward")).collect();
        assert_eq!(history::mean(&rewards), number(row, "reward_mean"));
    }
    let labels = [" A", " B", " C", " D"];
    let hit = |row: &&Value| number(row, "reward") == 1.0;
    let hits: Vec<&Value> = rollouts.iter().filter(hit).collect();
    assert!(!hits.is_empty());
    assert!(
        hits.iter()
            .all(|row| labels.contains(&row["action_text"].as_str().unwrap()))
    );
}

#[test]
fn a_stopped_run_says_so() {
    let keep = Keep {
        stop_at: Some(2),
        ..Keep::new()
    };
    let fault = run_with(&keep, &[1, 3], None, &Held::default()).unwrap_err();
    assert!(fault.is::<crate::stage::Stopped>(), "{fault:#}");
    assert_eq!(*keep.done.borrow(), 2);
    assert!(keep.snapshot.borrow().is_none());
    assert_eq!(keep.tables.borrow().len(), 3);
}

#[test]
fn parameters_have_ranges_and_defaults() {
    let parsed = |edit: Value| -> Grpo {
        let mut params = json!({ "updates": 10, "learning_rate": 1e-4 });
        params
            .as_object_mut()
            .unwrap()
            .extend(edit.as_object().unwrap().clone());
        serde_json::from_value(params).unwrap()
    };
    let plain = serde_json::to_value(parsed(json!({}))).unwrap();
    assert_eq!(
        plain,
        json!({
            "updates": 10, "learning_rate": 1e-4, "seed": 0, "num_generations": 8,
            "prompts_per_update": 24, "epsilon": 0.2, "beta": 0.04, "num_iterations": 1,
            "max_grad_norm": 1.0, "weight_decay": 0.0, "temperature": 1.0,
            "advantage": "group-norm", "device": "cpu", "dtype": "f32",
        })
    );
    let refusal = |edit: Value| parsed(edit).check().unwrap_err().message;
    for (edit, message) in [
        (
            json!({ "updates": 0 }),
            "`updates` is 0; allowed: 1 to 1000000",
        ),
        (
            json!({ "num_generations": 1 }),
            "`num_generations` is 1; allowed: 2 to 4096",
        ),
        (
            json!({ "epsilon": 1.0 }),
            "`epsilon` is 1; allowed: 0 to below 1",
        ),
        (
            json!({ "learning_rate": 0.0 }),
            "`learning_rate` is 0; allowed: finite and above 0",
        ),
        (
            json!({ "beta": -0.1 }),
            "`beta` is -0.1; allowed: finite and at least 0",
        ),
        (
            json!({ "temperature": 0.0 }),
            "`temperature` is 0; allowed: finite and above 0",
        ),
    ] {
        assert_eq!(refusal(edit), message);
    }
    let lonely = parsed(json!({ "num_generations": 1, "advantage": "prob-batch" }));
    assert!(lonely.check().is_ok());
}
