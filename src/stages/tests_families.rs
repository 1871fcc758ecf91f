//! Every model family from a folder of its own to costates and an update of RL.
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::{
    artifact::{
        Split,
        schema::{REWARDS, SIGNAL},
        table::read_rows,
    },
    stages::{
        Costates, Grpo, LocalCheckpoint,
        harness::{Ran, Setting, run, run_in},
        open::open_split,
        rows::{RewardRow, SignalRow},
    },
};

fn checkpoint(folder: &str) -> Ran {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let stage = LocalCheckpoint {
        path: PathBuf::from(folder),
        step: 1000,
        tokens: 2_097_152_000,
    };
    let setting = Setting {
        externals: [("path".to_owned(), fixtures.join(folder))].into(),
        ..Setting::default()
    };
    run_in(&stage, &[], setting).unwrap()
}

/// Two budgets in one go, and the second again from the first one's snapshot.
fn gains(inputs: &[(&str, &crate::artifact::Artifact)], folder: &str) {
    let grpo = |updates: u64| -> Grpo {
        // a random model hardly ever draws the label, but p_y is a reward of every action
        let options = json!({
            "updates": updates, "learning_rate": 1e-3, "prompts_per_update": 4, "advantage": "prob-batch",
        });
        serde_json::from_value(options).unwrap()
    };
    let to = |marks: &[u64]| Setting {
        marks: marks.to_vec(),
        ..Setting::default()
    };
    let rewards = |ran: &Ran| -> RewardRow {
        let rows: Vec<RewardRow> = read_rows(ran.artifact("rewards"), &REWARDS).unwrap();
        rows.into_iter().next().unwrap()
    };
    let first = run_in(&grpo(1), inputs, to(&[1])).unwrap();
    let reward = rewards(&first);
    assert_eq!((reward.step, reward.updates), (1000, 1), "{folder}");
    assert!(
        reward.r_before > 0.0 && reward.gain != 0.0,
        "{folder}: {reward:?}"
    );
    let resumed = Setting {
        resume: Some(first.resume()),
        ..to(&[2])
    };
    let resumed = rewards(&run_in(&grpo(2), inputs, resumed).unwrap());
    let whole = rewards(&run_in(&grpo(2), inputs, to(&[2])).unwrap());
    assert_eq!(
        (resumed.r_before, resumed.r_after),
        (whole.r_before, whole.r_after)
    );
}

#[test]
fn a_folder_of_each_family_goes_through_costates_and_updates() {
    let open = open_split(|prompt| match prompt % 3 {
        2 => Split::Eval,
        _ => Split::Train,
    });
    for folder in [
        "llama/tied",
        "llama/untied",
        "gpt_neox/parallel",
        "gpt_neox/sequential",
    ] {
        let checkpoint = checkpoint(folder);
        let inputs = [
            ("checkpoint", checkpoint.artifact("checkpoint")),
            ("prompts", &open.prompts),
        ];
        let stage = Costates {
            groups: 8,
            ..Costates::default()
        };
        let ran = run(&stage, &inputs).unwrap();
        let signals: Vec<SignalRow> = read_rows(ran.artifact("signal"), &SIGNAL).unwrap();
        assert!(!signals.is_empty());
        for row in &signals {
            assert!(row.sigma > 0.0 && row.lambda_ps > 0.0, "{folder}: {row:?}");
        }
        gains(&inputs, folder);
    }
}
