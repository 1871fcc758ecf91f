//! Inputs of the kinds that read tables, for tests: a bench of input files, and
//! a made-up ladder with its RL runs. The harness does the running.
use std::{collections::BTreeMap, fs, path::PathBuf};

use anyhow::Result;
use serde::{Serialize, de::DeserializeOwned};
use tempfile::TempDir;

use crate::{
    artifact::{
        schema::{IMPACT, REWARDS, SCORES_WIDE, Schema},
        table,
    },
    seed::Seed,
    stage::{Inputs, Stage},
    stages::{
        Impact,
        harness::{Setting, file, run_delivered},
        rows::{ImpactRow, Measures, RewardRow, ScoreRow, WideRow, WideScore},
    },
};

/// A place for inputs and what a kind made of them.
pub(crate) struct Bench {
    folder: TempDir,
    inputs: Inputs,
    externals: BTreeMap<String, PathBuf>,
}

/// What a kind made.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) bytes: BTreeMap<String, Vec<u8>>,
    pub(crate) log: Vec<String>,
}

impl Bench {
    pub(crate) fn new() -> Bench {
        Bench {
            folder: tempfile::tempdir().unwrap(),
            inputs: Inputs::default(),
            externals: BTreeMap::new(),
        }
    }

    /// Adds a table of rows to a port.
    pub(crate) fn with<T: Serialize>(self, port: &str, schema: &Schema, rows: &[T]) -> Bench {
        let bytes = table::encode_rows(rows, schema).unwrap();
        self.with_bytes(port, &bytes)
    }

    /// Adds a file to a port.
    pub(crate) fn with_bytes(mut self, port: &str, bytes: &[u8]) -> Bench {
        let place = self.inputs.0.entry(port.to_owned()).or_default();
        let path = self.folder.path().join(format!("{port}-{}", place.len()));
        fs::write(&path, bytes).unwrap();
        place.push(file(&path).unwrap());
        self
    }

    /// Delivers an external.
    pub(crate) fn with_external(mut self, param: &str, text: &[u8]) -> Bench {
        let path = self.folder.path().join(format!("external-{param}"));
        fs::write(&path, text).unwrap();
        self.externals.insert(param.to_owned(), path);
        self
    }

    pub(crate) fn run<S: Stage>(&self, stage: &S) -> Result<Made> {
        let setting = Setting {
            externals: self.externals.clone(),
            ..Setting::default()
        };
        let ran = run_delivered(stage, &self.inputs, setting)?;
        let mut bytes = BTreeMap::new();
        for (port, artifact) in ran.last() {
            bytes.insert(port.clone(), fs::read(artifact.file()?)?);
        }
        Ok(Made {
            bytes,
            log: ran.log,
        })
    }

    /// The message of a run that fails, with the folder's name taken out.
    pub(crate) fn refusal<S: Stage>(&self, stage: &S) -> String {
        let message = format!("{:#}", self.run(stage).unwrap_err());
        message.replace(&format!("{}/", self.folder.path().display()), "")
    }
}

impl Made {
    pub(crate) fn rows<T: DeserializeOwned>(&self, port: &str, schema: &Schema) -> Vec<T> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), &self.bytes[port]).unwrap();
        table::decode_rows(&table::read(file.path(), schema).unwrap()).unwrap()
    }
}

/// A row of `scores-wide` with parts that differ by step.
pub(crate) fn wide_row(step: i64) -> WideRow {
    let p = 0.9 * step as f64 / (100.0 + step as f64);
    let (sigma, headroom) = (p * p * (1.0 - p), 0.5 * p * (1.0 - p));
    let (ip, lambda_ps) = (sigma * 1.5, sigma * 1.25);
    WideRow {
        step,
        tokens: Some(step * 64),
        measures: Measures {
            sigma,
            ip,
            lambda_ps,
            lambda_cond: sigma * 0.5,
            headroom,
            score_headline: ip * headroom,
            score_literal: (sigma - lambda_ps) * headroom / 4.0,
            score_literal_eq28: (sigma - lambda_ps) * headroom,
            r_before: p,
            p1mp: p * (1.0 - p) * 0.75,
            p1mp_of_mean: p * (1.0 - p),
            entropy: 3.0 - 2.5 * p,
            zero_var_share: p.powi(8) + (1.0 - p).powi(8),
            label_mass: 0.5 + p / 2.0,
        },
    }
}

/// A made-up ladder with `steps` checkpoints and its RL runs: gain grows with
/// the headline score and the budget, with seeded noise.
pub(crate) fn ladder(
    steps: i64,
    rates: &[f64],
    budgets: &[i64],
    seeds: i64,
) -> (Vec<WideRow>, Vec<RewardRow>) {
    let scores: Vec<WideRow> = (1..=steps).map(|i| wide_row(25 * i)).collect();
    let mut rewards = Vec::new();
    for (&learning_rate, wide) in rates
        .iter()
        .flat_map(|lr| scores.iter().map(move |w| (lr, w)))
    {
        for rl_seed in 0..seeds {
            let at = [wide.step as u64, rl_seed as u64];
            let noise = 0.005 * Seed(3).stream("testing.ladder", &at).normal();
            for &updates in budgets {
                let gain = 4.0 * wide.measures.score_headline + noise;
                let gain = gain * (updates as f64 / 10.0).sqrt();
                rewards.push(RewardRow {
                    step: wide.step,
                    learning_rate,
                    rl_seed,
                    updates,
                    r_before: wide.measures.r_before,
                    r_after: wide.measures.r_before + gain,
                    gain,
                });
            }
        }
    }
    (scores, rewards)
}

/// The rows of `impact` over [`ladder`], made by the kind itself.
pub(crate) fn impact_rows(
    steps: i64,
    rates: &[f64],
    budgets: &[i64],
    seeds: i64,
) -> Vec<ImpactRow> {
    impact_made(steps, rates, budgets, seeds).rows("impact", &IMPACT)
}

/// Both outputs of `impact` over [`ladder`].
pub(crate) fn impact_made(steps: i64, rates: &[f64], budgets: &[i64], seeds: i64) -> Made {
    let (scores, rewards) = ladder(steps, rates, budgets, seeds);
    let impact = Impact {
        ladder: None,
        budgets: None,
        replicates: Vec::new(),
    };
    Bench::new()
        .with("scores", &SCORES_WIDE, &scores)
        .with("rewards", &REWARDS, &rewards)
        .run(&impact)
        .unwrap()
}

/// The long table of the scores that a wide one has, step by step.
pub(crate) fn long_rows(scores: &[WideRow]) -> Vec<ScoreRow> {
    let names = [
        WideScore::Headline,
        WideScore::Literal,
        WideScore::LiteralEq28,
        WideScore::Ip,
        WideScore::Sigma,
        WideScore::Headroom,
        WideScore::RBefore,
        WideScore::P1mp,
        WideScore::P1mpOfMean,
        WideScore::Entropy,
        WideScore::ZeroVarShare,
    ];
    let row = |wide: &WideRow, score: WideScore| ScoreRow {
        step: wide.step,
        score: score.name().to_owned(),
        signal: None,
        advantage: None,
        group: None,
        estimator: None,
        hidden: None,
        vocab: "full".to_owned(),
        headroom: "none".to_owned(),
        alpha: None,
        value: score.of(&wide.measures),
    };
    scores
        .iter()
        .flat_map(|wide| names.map(|score| row(wide, score)))
        .collect()
}
