//! The kind on the fixture model: nested budgets, resuming, warm workers.
use std::{collections::BTreeMap, fs};

use serde_json::{Value, json};

use super::*;
use crate::{
    artifact::{
        Split,
        table::{read_artifact, read_rows},
    },
    stage::Held,
    stages::{
        Headroom,
        harness::{Ran, Setting, attempt},
        open::{Open, open_split},
    },
};

/// Bytes by (mark, port).
type Tables = BTreeMap<(u64, String), Vec<u8>>;

/// The fixture: eight prompts to learn from, four to be judged on.
struct Fixture {
    _open: Open,
    inputs: Inputs,
}

fn fixture() -> Fixture {
    let open = open_split(|prompt| match prompt % 3 {
        2 => Split::Eval,
        _ => Split::Train,
    });
    let inputs = Inputs(BTreeMap::from([
        ("checkpoint".to_owned(), vec![open.checkpoint.clone()]),
        ("prompts".to_owned(), vec![open.prompts.clone()]),
    ]));
    Fixture {
        _open: open,
        inputs,
    }
}

fn grpo(updates: u64) -> Grpo {
    serde_json::from_value(json!({
        "updates": updates, "learning_rate": 1e-3, "seed": 5, "prompts_per_update": 5,
        "num_generations": 6, "num_iterations": 2,
    }))
    .unwrap()
}

fn run_in(setting: Setting, held: &Held) -> Ran {
    let last = *setting.marks.last().unwrap();
    let (ran, outcome) = attempt(&grpo(last), &fixture().inputs, setting, held).unwrap();
    outcome.unwrap();
    ran
}

fn to(marks: &[u64]) -> Setting {
    Setting {
        marks: marks.to_vec(),
        ..Setting::default()
    }
}

fn run(marks: &[u64]) -> Ran {
    run_in(to(marks), &Held::default())
}

fn tables(ran: &Ran) -> Tables {
    let mut tables = Tables::new();
    for mark in ran.marks() {
        for port in ["rewards", "training-log", "rollouts"] {
            let bytes = fs::read(ran.at(mark, port).file().unwrap()).unwrap();
            tables.insert((mark, port.to_owned()), bytes);
        }
    }
    tables
}

fn assert_same(a: &Tables, b: &Tables) {
    assert!(!a.is_empty());
    for (at, bytes) in a {
        assert!(b.get(at) == Some(bytes), "{at:?} differs");
    }
}

#[test]
fn nested_budgets_are_separate_runs_bit_for_bit() {
    let together = tables(&run(&[2, 4, 6]));
    assert_eq!(together.len(), 9);
    for mark in [2, 4, 6] {
        let alone = tables(&run(&[mark]));
        assert_eq!(alone.len(), 3);
        assert_same(&alone, &together);
    }
}

#[test]
fn a_resumed_run_is_one_from_scratch() {
    let whole = tables(&run(&[3, 5]));
    let first = run(&[2]);
    let resume = first.resume();
    assert_eq!(resume.mark, 2);
    let resumed = Setting {
        resume: Some(resume),
        ..to(&[3, 5])
    };
    let rest = run_in(resumed, &Held::default());
    assert_same(&whole, &tables(&rest));
}

#[test]
fn a_warm_worker_makes_what_a_fresh_one_does() {
    let held = Held::default();
    // Borrows the model and leaves it to the worker.
    let headroom = Headroom::default();
    let (_, before) = attempt(&headroom, &fixture().inputs, Setting::default(), &held).unwrap();
    before.unwrap();
    let warm = run_in(to(&[3]), &held);
    // the model was taken, so the next stage loads its own
    let again = run_in(to(&[3]), &held);
    let fresh = tables(&run(&[3]));
    assert_same(&fresh, &tables(&warm));
    assert_same(&fresh, &tables(&again));
}

#[test]
fn tables_say_what_happened() {
    let ran = run(&[4]);
    let table = |port: &str| ran.artifact(port).clone();
    let rewards: Vec<Value> = read_rows(&table("rewards"), &REWARDS).unwrap();
    let row = &rewards[0];
    assert_eq!(rewards.len(), 1);
    assert_eq!(
        (&row["step"], &row["updates"], &row["rl_seed"]),
        (&json!(7), &json!(4), &json!(5))
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
        assert_eq!(mean_of(&rewards), number(row, "reward_mean"));
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
    let setting = Setting {
        stop_at: Some(2),
        ..to(&[1, 3])
    };
    let (ran, outcome) = attempt(&grpo(3), &fixture().inputs, setting, &Held::default()).unwrap();
    let fault = outcome.unwrap_err();
    assert!(fault.is::<crate::stage::Stopped>(), "{fault:#}");
    assert_eq!((ran.done, ran.marks()), (2, vec![1]));
    assert!(ran.snapshot.is_none());
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
            "advantage": "group-norm", "device": "cpu", "dtype": "f32", "moments": "f32",
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
