//! Against the gold data, and the sampled estimators against the exact forms
//! on a checkpoint that has learned.
use crate::{
    artifact::{Artifact, table::read_rows},
    stages::{
        CopyCorpus, LabelCopy, Pretrain,
        harness::{Ran, Setting, refusal, run, run_in},
        open::{Open, assert_close, open},
    },
};

use super::*;

fn measure(stage: &Costates, checkpoint: &Artifact, prompts: &Artifact) -> Ran {
    run(stage, &[("checkpoint", checkpoint), ("prompts", prompts)]).unwrap()
}

fn gold_run(open: &Open) -> Ran {
    let stage = Costates {
        group_sizes: vec![16, 4, 2, 4],
        ..Costates::default()
    };
    measure(&stage, &open.checkpoint, &open.prompts)
}

fn signals(ran: &Ran) -> Vec<SignalRow> {
    read_rows(ran.artifact("signal"), &SIGNAL).unwrap()
}

#[test]
fn the_gold_data_in_every_reading() {
    let open = open();
    let ran = gold_run(&open);
    let rows: Vec<CostateRow> = read_rows(ran.artifact("costates"), &COSTATES).unwrap();
    let signals = signals(&ran);
    // five advantages in five exact groups and one sampled, and `prob-batch`
    assert_eq!(signals.len(), 4 * (5 * 6 + 1));
    assert_eq!(rows.len(), signals.len() * 12);
    let entries = open.gold["one_token"]["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 100);
    for entry in entries {
        let field = |key: &str| entry[key].as_str().unwrap();
        let names = ["hidden", "vocab", "advantage", "group"].map(field);
        let what = names.join("|");
        let same = |row: [&str; 4]| row == names;
        let mean = signals.iter().find(|row| {
            let reading = [&*row.hidden, &row.vocab, &row.advantage, &row.group];
            same(reading) && row.estimator == "exact"
        });
        let mean = mean.unwrap_or_else(|| panic!("no row {what}"));
        assert_close(&what, mean.sigma, &entry["sigma"], 1e-5, mean.sigma);
        assert_close(&what, mean.ip, &entry["ip"], 1e-5, mean.ip);
        assert_close(
            &what,
            mean.lambda_ps,
            &entry["lambda_ps"],
            1e-5,
            mean.lambda_ps,
        );
        let (both, all) = (mean.sigma + mean.ip, mean.sigma + mean.lambda_ps);
        let lambda_cond = mean.lambda_cond.unwrap();
        assert_close(&what, lambda_cond, &entry["lambda_cond"], 1e-5, both);
        let s_cond = mean.s_cond.unwrap();
        assert_close(
            &what,
            s_cond,
            &entry["s_cond"],
            1e-5,
            mean.sigma + lambda_cond + mean.ip,
        );
        assert_close(&what, mean.s_ps, &entry["s_ps"], 1e-5, all);
        let prompts = rows.iter().filter(|row| {
            let reading = [&*row.hidden, &row.vocab, &row.advantage, &row.group];
            same(reading) && row.estimator == "exact"
        });
        let m = &open.gold["one_token"]["m"][format!("{}|{}|{}", names[1], names[2], names[3])];
        let mut seen = 0;
        for row in prompts {
            let place = row.prompt as usize;
            let want = |key: &str| &entry["per_prompt"][key][place];
            let sigma = &open.gold["one_token"]["sigma"][format!("{}|{}", names[0], names[1])];
            let sigma = &sigma["per_prompt"][place];
            assert_close(&what, row.sigma, sigma, 1e-5, row.sigma);
            assert_close(&what, row.ip, want("ip"), 1e-5, row.ip);
            assert_close(&what, row.lambda_ps, want("lambda_ps"), 1e-5, row.lambda_ps);
            assert_close(&what, row.m.unwrap(), &m[place], 1e-5, row.m.unwrap());
            seen += 1;
        }
        assert_eq!(seen, 12, "{what}");
    }
}

#[test]
fn rewards_scored_over_the_batch_transmit_nothing() {
    let open = open();
    let rows = signals(&gold_run(&open));
    let batch: Vec<&SignalRow> = (rows.iter())
        .filter(|row| row.advantage == "prob-batch")
        .collect();
    assert_eq!(batch.len(), 4);
    for row in batch {
        let name = format!("{}|{}", row.hidden, row.vocab);
        let sigma = &open.gold["one_token"]["sigma"][&name]["mean"];
        assert_close(&name, row.sigma, sigma, 1e-5, row.sigma);
        assert_eq!((row.ip, row.s_cond), (0.0, Some(0.0)), "{name}");
        assert_eq!(row.lambda_cond, Some(row.sigma), "{name}");
        assert!(row.lambda_ps > row.sigma && row.s_ps < 0.0, "{name}");
    }
}

#[test]
fn the_gold_baselines() {
    let open = open();
    let gold = &open.gold["baselines"];
    for row in signals(&gold_run(&open)) {
        for (key, got) in [
            ("r_before", row.r_before),
            ("p1mp", row.p1mp),
            ("p1mp_of_mean", row.p1mp_of_mean),
            ("entropy", row.entropy),
            ("zero_var_share_n8", row.zero_var_share),
        ] {
            assert_close(key, got, &gold[&row.vocab][key], 1e-5, got);
        }
        let mass = row.label_mass;
        assert_close("label_mass", mass, &gold["label_mass"], 1e-5, mass);
        assert_eq!((row.step, row.tokens, row.n_prompts), (7, Some(4480), 12));
    }
}

/// A small ladder's last checkpoint and 16 prompts.
fn trained() -> (Ran, Ran) {
    let corpus = CopyCorpus {
        documents: 300,
        labels: 4,
        ..CopyCorpus::default()
    };
    let corpus = run(&corpus, &[]).unwrap();
    let corpus = [("corpus", corpus.artifact("corpus"))];
    let recipe = r#"{"steps": 120, "decay_steps": 120, "warmup_steps": 12, "hidden_size": 32,
        "layers": 2, "heads": 2, "mlp": 64, "context": 14, "learning_rate": 1e-2}"#;
    let recipe: Pretrain = serde_json::from_str(recipe).unwrap();
    let setting = Setting {
        marks: vec![120],
        ..Setting::default()
    };
    let prompts = LabelCopy {
        train: 2,
        eval: 16,
        ..LabelCopy::default()
    };
    (
        run_in(&recipe, &corpus, setting).unwrap(),
        run(&prompts, &corpus).unwrap(),
    )
}

#[test]
fn sampled_estimators_agree_with_the_exact_forms() {
    let (ladder, prompts) = trained();
    let stage = Costates {
        groups: 200,
        ..Costates::default()
    };
    let ran = measure(
        &stage,
        ladder.artifact("checkpoint"),
        prompts.artifact("prompts"),
    );
    let signals = signals(&ran);
    let of = |estimator: &'static str| {
        let rows = signals.iter().filter(move |row| row.estimator == estimator);
        rows.filter(|row| row.group == "8")
    };
    let mut compared = 0;
    for (sampled, exact) in of("sampled").zip(of("exact")) {
        let name = |row: &SignalRow| format!("{}|{}|{}", row.hidden, row.vocab, row.advantage);
        let what = name(sampled);
        assert_eq!(what, name(exact));
        assert_eq!(sampled.sigma, exact.sigma);
        for (got, want, error) in [
            (sampled.ip, exact.ip, sampled.se_ip),
            (sampled.lambda_ps, exact.lambda_ps, sampled.se_lambda_ps),
        ] {
            let error = error.unwrap();
            assert!(error > 0.0, "{what}");
            assert!(
                (got - want).abs() < 4.0 * error,
                "{what}: {got} {want} +- {error}"
            );
        }
        // Jensen, twice: |mean of means| <= |group mean| <= mean of samples
        let (group, slack) = (
            sampled.lambda_group.unwrap(),
            sampled.se_lambda_group.unwrap(),
        );
        assert!(group <= sampled.lambda_ps * (1.0 + 1e-12), "{what}");
        assert!(group + 4.0 * slack > exact.lambda_cond.unwrap(), "{what}");
        assert_eq!(sampled.s_group, Some(sampled.sigma - group));
        compared += 1;
    }
    assert_eq!(compared, 20);
    let (first, full) = (&signals[0], signals[0].r_before);
    assert!(full > 0.3 && first.label_mass > 0.9, "{first:?}");
}

#[test]
fn draws_and_bytes_follow_from_the_seed() {
    let open = open();
    let digests = |seed| {
        let stage = Costates {
            seed: Seed(seed),
            ..Costates::default()
        };
        let ran = measure(&stage, &open.checkpoint, &open.prompts);
        ["costates", "signal"].map(|port| ran.artifact(port).digest)
    };
    let first = digests(0);
    assert_eq!(first, digests(0));
    assert_ne!(first, digests(1));
    let exact = Costates {
        groups: 0,
        ..Costates::default()
    };
    let ran = measure(&exact, &open.checkpoint, &open.prompts);
    assert!(signals(&ran).iter().all(|row| row.estimator == "exact"));
}

#[test]
fn ranges_are_told() {
    let edit = |edit: fn(&mut Costates)| {
        let mut stage = Costates::default();
        edit(&mut stage);
        refusal(&stage)
    };
    assert_eq!(
        edit(|s| s.num_generations = 1),
        (
            "num_generations",
            "`num_generations` is 1; allowed: 2 to 4096".to_owned()
        )
    );
    assert_eq!(
        edit(|s| s.groups = 1),
        ("groups", "`groups` is 1; allowed: 2 to 65536".to_owned())
    );
    assert_eq!(
        edit(|s| s.group_sizes = vec![4, 1]),
        (
            "group_sizes",
            "`group_sizes` is 1; allowed: 2 to 4096".to_owned()
        )
    );
}
