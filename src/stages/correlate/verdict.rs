//! The primary test: one score, fixed beforehand, against gain_mean and against
//! the baselines.
//!
//! A baseline may take whichever sign suits it: the score is compared with
//! |rho| of the baseline, which is to the baseline's favour. The best baseline
//! is chosen after the fact, which is to its favour too.
use serde::{Deserialize, Serialize};

use crate::stages::correlate::{
    estimate::{Difference, Tested},
    ladder::{Ladder, Variable},
    sensitivity::Row,
};

/// What the primary score has to beat, where the scores have it.
pub(super) const TO_BEAT: [&str; 7] = [
    "p1mp",
    "p1mp_of_mean",
    "r_before",
    "sigma",
    "headroom",
    "entropy",
    "zero_var_share",
];

/// A row of `comparisons`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Comparison {
    pub(super) learning_rate: f64,
    pub(super) score: String,
    pub(super) baseline: String,
    pub(super) target: String,
    pub(super) rho: Option<f64>,
    pub(super) baseline_rho: Option<f64>,
    pub(super) delta: Option<f64>,
    pub(super) delta_lo: Option<f64>,
    pub(super) delta_hi: Option<f64>,
    pub(super) dropped: i64,
}

/// A row of `verdict`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Verdict {
    pub(super) learning_rate: f64,
    pub(super) score: String,
    pub(super) target: String,
    #[serde(flatten)]
    pub(super) tested: Tested,
    pub(super) best_baseline: Option<String>,
    pub(super) best_baseline_rho: Option<f64>,
    pub(super) delta: Option<f64>,
    pub(super) delta_lo: Option<f64>,
    pub(super) delta_hi: Option<f64>,
    pub(super) delta_dropped: i64,
    pub(super) beats: bool,
    pub(super) primary: Option<bool>,
    pub(super) undefined_scores: i64,
    pub(super) note: String,
}

/// The primary score against each baseline.
pub(super) fn comparisons(ladder: &Ladder<'_>, primary: &Variable<'_>) -> Vec<Comparison> {
    let target = ladder.gain_mean();
    let rho = target.rho(&primary.values);
    let score_ranks = ladder.ranks(&primary.values);
    let compare = |baseline: &Variable<'_>| {
        let baseline_rho = target.rho(&baseline.values);
        // The baseline with the sign that suits it.
        let sign = if baseline_rho.is_some_and(|rho| rho < 0.0) {
            -1.0
        } else {
            1.0
        };
        let oriented: Vec<f64> = baseline.values.iter().map(|value| sign * value).collect();
        let ranks = ladder.ranks(&oriented);
        let oriented = (baseline_rho.map(f64::abs), &ranks);
        let (difference, dropped) = Difference::of((rho, &score_ranks), oriented, target);
        Comparison {
            learning_rate: ladder.learning_rate,
            score: primary.row.score.clone(),
            baseline: baseline.row.score.clone(),
            target: target.target.name(),
            rho,
            baseline_rho,
            delta: difference.map(|found| found.delta),
            delta_lo: difference.and_then(|found| found.lo),
            delta_hi: difference.and_then(|found| found.hi),
            dropped,
        }
    };
    TO_BEAT
        .iter()
        .filter(|name| **name != primary.row.score)
        .filter_map(|name| ladder.variables.find(name))
        .map(compare)
        .collect()
}

/// The verdict, from the rows of the sensitivity table and the comparisons.
/// `named`: whether this learning rate was fixed beforehand, if one was.
pub(super) fn verdict(
    ladder: &Ladder<'_>,
    primary: &Variable<'_>,
    rows: &[Row],
    comparisons: &[Comparison],
    named: Option<bool>,
) -> Verdict {
    let target = ladder.gain_mean().target.name();
    let of_target = || rows.iter().filter(|row| row.target == target);
    let own = of_target().find(|row| row.score == primary.row.score);
    let own = own.expect("the primary score has a row for each target");
    let best = best(comparisons);
    let beats = best
        .and_then(|best| best.delta_lo)
        .is_some_and(|lo| lo > 0.0);
    Verdict {
        learning_rate: ladder.learning_rate,
        score: own.score.clone(),
        target: own.target.clone(),
        tested: own.tested.clone(),
        best_baseline: best.map(|best| best.baseline.clone()),
        best_baseline_rho: best.and_then(|best| best.baseline_rho),
        delta: best.and_then(|best| best.delta),
        delta_lo: best.and_then(|best| best.delta_lo),
        delta_hi: best.and_then(|best| best.delta_hi),
        delta_dropped: best.map_or(0, |best| best.dropped),
        beats,
        primary: named,
        undefined_scores: of_target().filter(|row| row.tested.rho.is_none()).count() as i64,
        note: note(own, best, beats),
    }
}

/// The baseline with the largest |rho|, the first of equals.
fn best(comparisons: &[Comparison]) -> Option<&Comparison> {
    let size = |comparison: &Comparison| comparison.baseline_rho.map_or(-1.0, f64::abs);
    let mut best: Option<&Comparison> = None;
    for comparison in comparisons.iter().filter(|c| c.baseline_rho.is_some()) {
        if best.is_none_or(|best| size(comparison) > size(best)) {
            best = Some(comparison);
        }
    }
    best
}

fn note(own: &Row, best: Option<&Comparison>, beats: bool) -> String {
    let name = &own.score;
    let Some(rho) = own.tested.rho else {
        return format!(
            "{name} has no rank correlation with {}: one is constant",
            own.target
        );
    };
    let Some(best) = best else {
        return format!(
            "{name} has rho {rho:.2} with {}; no baseline has one",
            own.target
        );
    };
    let against = format!(
        "rho {rho:.2} against {:.2}",
        best.baseline_rho.map_or(f64::NAN, f64::abs)
    );
    let other = &best.baseline;
    match (best.delta_lo, best.delta_hi) {
        (Some(lo), Some(hi)) => {
            let relation = if beats {
                "beats the best baseline"
            } else if hi < 0.0 {
                "is worse than the best baseline"
            } else {
                "cannot be told from the best baseline"
            };
            format!("{name} {relation}, {other}: {against}, difference in [{lo:.2}, {hi:.2}]")
        }
        _ => {
            format!("{name} has {against} of {other}; no interval of the difference could be made")
        }
    }
}
