//! The sensitivity table: every score and baseline against every target.
use rayon::prelude::{IndexedParallelIterator, IntoParallelRefIterator, ParallelIterator};
use serde::{Deserialize, Serialize};

use crate::{
    stages::correlate::{
        estimate::{Difference, Tested},
        ladder::{Ladder, TargetValues, Variable},
        verdict::TO_BEAT,
    },
    stats::{MaxPermutationScore, PermutationRows, RowRanks, max_permutation, partial_spearman},
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
    #[serde(flatten)]
    pub(super) tested: Tested,
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
        .enumerate()
        .map(|(place, order)| {
            let ranks = ladder.ranks(&order.values);
            let estimate = |(target, p_values): (&TargetValues, &Vec<_>)| {
                let tested = p_values[place];
                Estimate::of((order, &ranks), target, tested, p1mp.as_ref(), &r_before)
            };
            ladder.targets.iter().zip(&p_values).map(estimate).collect()
        })
        .collect();
    let mut rows = Vec::new();
    for variable in &variables.all {
        for (target, estimate) in ladder.targets.iter().zip(&estimates[variable.order]) {
            rows.push(row(ladder, variable, target, estimate));
        }
    }
    rows
}

/// What one order of checkpoints says of one target.
struct Estimate {
    tested: Tested,
    perm_p_max: Option<f64>,
    partial: Option<f64>,
    /// From rho of p1mp.
    difference: Option<Difference>,
}

impl Estimate {
    fn of(
        (order, ranks): (&Variable<'_>, &RowRanks),
        target: &TargetValues,
        permuted: Option<MaxPermutationScore>,
        p1mp: Option<&(&Variable<'_>, RowRanks)>,
        r_before: &[f64],
    ) -> Estimate {
        let tested = Tested::of(&order.values, ranks, target, permuted);
        let difference = p1mp.and_then(|(variable, p1mp)| {
            let p1mp = (target.rho(&variable.values), p1mp);
            Difference::of((tested.rho, ranks), p1mp, target).0
        });
        Estimate {
            tested,
            perm_p_max: permuted.map(|permuted| permuted.p_max),
            partial: partial_spearman(&order.values, &target.values, r_before),
            difference,
        }
    }
}

fn row(
    ladder: &Ladder<'_>,
    variable: &Variable<'_>,
    target: &TargetValues,
    estimate: &Estimate,
) -> Row {
    let what = variable.row;
    let difference = estimate.difference;
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
        tested: estimate.tested.clone(),
        perm_p_max: estimate.perm_p_max,
        partial_rho_r_before: estimate.partial,
        delta_rho_p1mp: difference.map(|found| found.delta),
        delta_lo: difference.and_then(|found| found.lo),
        delta_hi: difference.and_then(|found| found.hi),
    }
}
