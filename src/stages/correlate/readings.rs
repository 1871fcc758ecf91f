//! Figure 5: r_before and the score, alone and combined, against gain and
//! against the final reward.
//!
//! Combined is z(r_before) + z(score) with population deviations. On a monotone
//! ladder r_before and r_after are ranked alike by themselves, so the combined
//! predictor never stands without r_before alone. Bars over budgets (nested: a
//! population deviation) and over RL seeds (a sample deviation) are kept apart.
use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use crate::{
    stages::{
        correlate::ladder::{Ladder, Variable},
        rows::{SeedRow, Target, budgets},
    },
    stats::{spearman, summary, zscore},
};

/// A row of `readings`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Reading {
    pub(super) learning_rate: f64,
    pub(super) predictor: String,
    pub(super) target: String,
    pub(super) over: String,
    pub(super) rho: Option<f64>,
    pub(super) spread: Option<f64>,
    pub(super) n: i64,
    pub(super) undefined: i64,
}

/// What a bar is taken over.
#[derive(Clone, Copy, PartialEq)]
enum Over {
    Mean,
    Budgets,
    Seeds,
}

/// One sample of a bar: r_before, gain and final reward over the checkpoints.
struct Sample {
    over: Over,
    r_before: Vec<f64>,
    gain: Vec<f64>,
    r_after: Vec<f64>,
}

/// The rows of one learning rate; bars over seeds where `seeds` has rows.
pub(super) fn rows(
    ladder: &Ladder<'_>,
    primary: &Variable<'_>,
    seeds: &[SeedRow],
) -> Result<Vec<Reading>> {
    let mut samples = vec![sample(
        ladder,
        Over::Mean,
        Target::GainMean,
        Target::RAfterMean,
    )];
    for k in budgets(&ladder.impact) {
        samples.push(sample(
            ladder,
            Over::Budgets,
            Target::Gain(k),
            Target::RAfter(k),
        ));
    }
    samples.extend(of_seeds(ladder, seeds)?);
    let mut rows = Vec::new();
    for over in [Over::Mean, Over::Budgets, Over::Seeds] {
        let samples: Vec<&Sample> = samples
            .iter()
            .filter(|sample| sample.over == over)
            .collect();
        if samples.is_empty() {
            continue;
        }
        for predictor in ["score", "r_before", "combined"] {
            for target in ["gain", "r_after"] {
                let rho = |sample: &&Sample| {
                    let values = predict(predictor, &primary.values, &sample.r_before)?;
                    let target = if target == "gain" {
                        &sample.gain
                    } else {
                        &sample.r_after
                    };
                    spearman(&values, target).map(|found| found.rho)
                };
                let rhos: Vec<Option<f64>> = samples.iter().map(rho).collect();
                rows.push(reading(
                    ladder.learning_rate,
                    predictor,
                    target,
                    over,
                    &rhos,
                ));
            }
        }
    }
    Ok(rows)
}

fn sample(ladder: &Ladder<'_>, over: Over, gain: Target, r_after: Target) -> Sample {
    Sample {
        over,
        r_before: ladder.r_before(),
        gain: gain.of(&ladder.impact),
        r_after: r_after.of(&ladder.impact),
    }
}

fn of_seeds(ladder: &Ladder<'_>, seeds: &[SeedRow]) -> Result<Vec<Sample>> {
    let mut by_seed: BTreeMap<i64, BTreeMap<i64, &SeedRow>> = BTreeMap::new();
    for row in seeds {
        if row.learning_rate.total_cmp(&ladder.learning_rate).is_eq() {
            by_seed
                .entry(row.rl_seed)
                .or_default()
                .insert(row.step, row);
        }
    }
    let sample = |(seed, rows): (&i64, &BTreeMap<i64, &SeedRow>)| {
        let steps: BTreeSet<i64> = rows.keys().copied().collect();
        ensure!(
            steps == ladder.variables.steps,
            "RL seed {seed} has other checkpoints than the scores"
        );
        let values = |of: fn(&SeedRow) -> f64| rows.values().map(|row| of(row)).collect();
        Ok(Sample {
            over: Over::Seeds,
            r_before: values(|row| row.r_before),
            gain: values(|row| row.gain_mean),
            r_after: values(|row| row.r_after_mean),
        })
    };
    by_seed.iter().map(sample).collect()
}

/// The predictor's values; `None` where a z-score is undefined.
fn predict(predictor: &str, score: &[f64], r_before: &[f64]) -> Option<Vec<f64>> {
    match predictor {
        "score" => Some(score.to_vec()),
        "r_before" => Some(r_before.to_vec()),
        _ => {
            let (score, r_before) = (zscore(score)?, zscore(r_before)?);
            Some(score.iter().zip(&r_before).map(|(a, b)| a + b).collect())
        }
    }
}

fn reading(
    learning_rate: f64,
    predictor: &str,
    target: &str,
    over: Over,
    rhos: &[Option<f64>],
) -> Reading {
    let defined: Vec<f64> = rhos.iter().flatten().copied().collect();
    let found = summary(&defined);
    let (name, spread) = match over {
        Over::Mean => ("mean", None),
        Over::Budgets => ("budgets", found.map(|found| found.sd_population)),
        Over::Seeds => ("rl-seeds", found.and_then(|found| found.sd_sample)),
    };
    Reading {
        learning_rate,
        predictor: predictor.to_owned(),
        target: target.to_owned(),
        over: name.to_owned(),
        rho: found.map(|found| found.mean),
        spread,
        n: defined.len() as i64,
        undefined: (rhos.len() - defined.len()) as i64,
    }
}
