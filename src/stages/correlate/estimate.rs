//! What one order of checkpoints says of one target, as the tables carry it:
//! rho with its interval and p-value, and a difference of two rhos.
use serde::{Deserialize, Serialize};

use crate::{
    stages::correlate::ladder::TargetValues,
    stats::{
        Interval, MaxPermutationScore, RowRanks, bootstrap_difference_ranked,
        bootstrap_spearman_ranked,
    },
};

/// A rank correlation with what it is worth: columns of `sensitivity` and `verdict`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Tested {
    pub(super) n: i64,
    pub(super) rho: Option<f64>,
    pub(super) boot_lo: Option<f64>,
    pub(super) boot_hi: Option<f64>,
    pub(super) boot_dropped: i64,
    pub(super) perm_p: Option<f64>,
}

impl Tested {
    /// `ranks` are those of `values` within each resample; `permuted` is missing
    /// where rho is.
    pub(super) fn of(
        values: &[f64],
        ranks: &RowRanks,
        target: &TargetValues,
        permuted: Option<MaxPermutationScore>,
    ) -> Tested {
        let interval = bootstrap_spearman_ranked(ranks, &target.ranks);
        Tested {
            n: target.values.len() as i64,
            rho: target.rho(values),
            boot_lo: interval.lo,
            boot_hi: interval.hi,
            boot_dropped: interval.dropped as i64,
            perm_p: permuted.map(|permuted| permuted.single.p),
        }
    }
}

/// rho of a score minus rho of a baseline, with its paired interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Difference {
    pub(super) delta: f64,
    pub(super) lo: Option<f64>,
    pub(super) hi: Option<f64>,
}

impl Difference {
    /// `None` where either rho is missing; beside it, the resamples without a value.
    pub(super) fn of(
        (rho, ranks): (Option<f64>, &RowRanks),
        (baseline_rho, baseline_ranks): (Option<f64>, &RowRanks),
        target: &TargetValues,
    ) -> (Option<Difference>, i64) {
        let Interval {
            lo, hi, dropped, ..
        } = bootstrap_difference_ranked(ranks, baseline_ranks, &target.ranks);
        let difference = rho.zip(baseline_rho).map(|(rho, baseline_rho)| Difference {
            delta: rho - baseline_rho,
            lo,
            hi,
        });
        (difference, dropped as i64)
    }
}
