//! From the data of the report to the input of each figure.
use std::collections::BTreeMap;

use crate::report::answer::chosen;
use crate::report::candidates::{best_step, predicted_gain, predicted_reward};
use crate::report::data::{Checkpoint, Measures, PerRate, Role};
use crate::report::figure::{
    Calibration, Dumbbell, Estimate, Pair, Trajectory, calibration, component_levels, dumbbell,
    forest, gain_by_budget, readings, trajectory,
};
use crate::report::trust;

pub(super) fn dumbbell_of(rate: &PerRate) -> Option<String> {
    dumbbell(&Dumbbell {
        learning_rate: rate.learning_rate,
        pairs: rate
            .impact
            .iter()
            .map(|row| Pair {
                step: row.checkpoint.step,
                before: row.checkpoint.r_before,
                after: row.r_after_mean,
                predicted: predicted_reward(rate, row),
            })
            .collect(),
        loo_rmse: rate.affine.as_ref().and_then(|affine| affine.loo_rmse),
        recommended: chosen(rate, Role::LargestGain).and_then(|choice| choice.step),
        best: best_step(rate),
    })
}

pub(super) fn trajectory_of(rate: &PerRate) -> Option<String> {
    trajectory(&Trajectory {
        learning_rate: rate.learning_rate,
        measured: rate
            .impact
            .iter()
            .map(|row| (row.checkpoint.step, row.gain_mean, row.gain_sd_seed))
            .collect(),
        predicted: rate
            .impact
            .iter()
            .map(|row| (row.checkpoint.step, predicted_gain(rate, row)))
            .collect(),
        loo_rmse: rate.affine.as_ref().and_then(|affine| affine.loo_rmse),
    })
}

pub(super) fn budgets_of(rate: &PerRate) -> Option<String> {
    let mut lines: BTreeMap<u32, Vec<(u64, Option<f64>)>> = BTreeMap::new();
    for row in &rate.impact {
        for point in &row.budgets {
            lines
                .entry(point.budget)
                .or_default()
                .push((row.checkpoint.step, point.gain));
        }
    }
    gain_by_budget(rate.learning_rate, &lines)
}

pub(super) fn components_of(checkpoints: &[&Checkpoint]) -> Option<String> {
    type Component = (&'static str, fn(&Measures) -> Option<f64>);
    const COMPONENTS: [Component; 4] = [
        ("Σ, signal", |measures| measures.sigma),
        ("IP, transmitted signal", |measures| measures.ip),
        ("Λ per sample, lost signal", |measures| measures.lambda_ps),
        ("H, headroom", |measures| measures.headroom),
    ];
    let lines = COMPONENTS.map(|(name, value)| {
        let line = checkpoints
            .iter()
            .map(|row| (row.step, value(&row.measures)))
            .collect();
        (name.to_owned(), line)
    });
    component_levels(&lines)
}

pub(super) fn calibration_of(rate: &PerRate) -> Option<String> {
    calibration(&Calibration {
        learning_rate: rate.learning_rate,
        points: rate
            .impact
            .iter()
            .map(|row| {
                (
                    row.checkpoint.step,
                    row.checkpoint.measures.score_headline,
                    row.gain_mean,
                )
            })
            .collect(),
        affine: rate.affine.clone(),
    })
}

pub(super) fn forest_of(rate: &PerRate) -> Option<String> {
    let rows: Vec<Estimate> = trust::rows(rate)
        .map(|row| Estimate {
            name: row.score.clone(),
            baseline: row.baseline,
            rho: row.rho,
            lo: row.boot_lo,
            hi: row.boot_hi,
        })
        .collect();
    let n = trust::rows(rate).map(|row| row.n).max().unwrap_or(0);
    forest(rate.learning_rate, n, &rows)
}

pub(super) fn readings_of(rate: &PerRate) -> Option<String> {
    readings(rate.learning_rate, &rate.readings)
}
