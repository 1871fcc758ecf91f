//! The sensitivity table: every score and baseline against every target.
use rayon::prelude::{IntoParallelRefIterator, ParallelIterator};
use serde::{Deserialize, Serialize};

use crate::{
    stages::correlate::{
        ladder::{Ladder, TargetValues, Variable},
        verdict::TO_BEAT,
    },
    stats::{
        Interval, MaxPermutationScore, PermutationRows, RowRanks, bootstrap_difference_ranked,
        bootstrap_spearman_ranked, max_permutation, partial_spearman, spearman,
    },
};

/// A row of `sensitivity`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Row {
    pub(super) score: String,
    pub(super) signal: Option<String>,
    pub(super) advantage: Option<String>,
    pub(super) group: Option<String>,
    pub(super) estimator: Option<String>,
    pub(super) hidden: Option<String>,
    pub(super) vocab: String,
    pub(super) headroom: String,
    pub(super) alpha: Option<f64>,
    pub(super) baseline: bool,
    pub(super) learning_rate: f64,
    pub(super) target: String,
    pub(super) n: i64,
    pub(super) rho: Option<f64>,
    pub(super) boot_lo: Option<f64>,
    pub(super) boot_hi: Option<f64>,
    pub(super) boot_dropped: i64,
    pub(super) perm_p: Option<f64>,
    pub(super) perm_p_max: Option<f64>,
    pub(super) partial_rho_r_before: Option<f64>,
    pub(super) delta_rho_p1mp: Option<f64>,
    pub(super) delta_lo: Option<f64>,
    pub(super) delta_hi: Option<f64>,
}

/// The rows of one learning rate: score by score, target by target.
pub(super) fn rows(ladder: &Ladder<'_>, permutations: &PermutationRows) -> Vec<Row> {
    let variables = ladder.variables;
    let orders: Vec<&Variable<'_>> = variables
        .orders
        .iter()
        .map(|&at| &variables.all[at])
        .collect();
    let values: Vec<&[f64]> = orders.iter().map(|order| order.values.as_slice()).collect();
    let p_values: Vec<Vec<Option<MaxPermutationScore>>> = ladder
        .targets
        .par_iter()
        .map(
            |target| match max_permutation(&values, &target.values, permutations) {
                Some(tested) => tested.scores,
                // A constant target has no rho with anything.
                None => vec![None; values.len()],
            },
        )
        .collect();
    let p1mp = variables
        .find("p1mp")
        .map(|variable| (variable, ladder.ranks(&variable.values)));
    let r_before = ladder.r_before();
    let estimates: Vec<Vec<Estimate>> = orders
        .par_iter()
        .map(|order| {
            let ranks = ladder.ranks(&order.values);
            let estimate =
                |target| Estimate::of(&order.values, &ranks, target, p1mp.as_ref(), &r_before);
            ladder.targets.iter().map(estimate).collect()
        })
        .collect();
    let mut rows = Vec::new();
    for variable in &variables.all {
        for (at, target) in ladder.targets.iter().enumerate() {
            let estimate = &estimates[variable.order][at];
            rows.push(row(
                ladder,
                variable,
                target,
                estimate,
                p_values[at][variable.order],
            ));
        }
    }
    rows
}

/// What one order of checkpoints says of one target.
struct Estimate {
    rho: Option<f64>,
    interval: Interval,
    partial: Option<f64>,
    /// rho - rho of p1mp and its paired interval.
    delta: Option<(f64, Interval)>,
}

impl Estimate {
    fn of(
        values: &[f64],
        ranks: &RowRanks,
        target: &TargetValues,
        p1mp: Option<&(&Variable<'_>, RowRanks)>,
        r_before: &[f64],
    ) -> Estimate {
        let rho_of = |values: &[f64]| spearman(values, &target.values).map(|found| found.rho);
        let rho = rho_of(values);
        let delta = p1mp.and_then(|(variable, p1mp)| {
            let difference = rho? - rho_of(&variable.values)?;
            Some((
                difference,
                bootstrap_difference_ranked(ranks, p1mp, &target.ranks),
            ))
        });
        Estimate {
            rho,
            interval: bootstrap_spearman_ranked(ranks, &target.ranks),
            partial: partial_spearman(values, &target.values, r_before),
            delta,
        }
    }
}

fn row(
    ladder: &Ladder<'_>,
    variable: &Variable<'_>,
    target: &TargetValues,
    estimate: &Estimate,
    tested: Option<MaxPermutationScore>,
) -> Row {
    let what = variable.row;
    let delta = estimate.delta.as_ref();
    Row {
        score: what.score.clone(),
        signal: what.signal.clone(),
        advantage: what.advantage.clone(),
        group: what.group.clone(),
        estimator: what.estimator.clone(),
        hidden: what.hidden.clone(),
        vocab: what.vocab.clone(),
        headroom: what.headroom.clone(),
        alpha: what.alpha,
        baseline: TO_BEAT.contains(&what.score.as_str()),
        learning_rate: ladder.learning_rate,
        target: target.target.name(),
        n: target.values.len() as i64,
        rho: estimate.rho,
        boot_lo: estimate.interval.lo,
        boot_hi: estimate.interval.hi,
        boot_dropped: estimate.interval.dropped as i64,
        perm_p: tested.map(|tested| tested.single.p),
        perm_p_max: tested.map(|tested| tested.p_max),
        partial_rho_r_before: estimate.partial,
        delta_rho_p1mp: delta.map(|(difference, _)| *difference),
        delta_lo: delta.and_then(|(_, interval)| interval.lo),
        delta_hi: delta.and_then(|(_, interval)| interval.hi),
    }
}
