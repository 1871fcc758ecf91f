//! Estimators: slices of f64 in, a small struct out.
//!
//! One short file each, with formula, assumption and source. What is undefined
//! (constant input, too few rows, a value that is not finite) is `None` or a
//! count of what was dropped, never 0. Only `seed` draws.
//!
//! Neighbouring checkpoints of one ladder are dependent: within-ladder p-values
//! and intervals are descriptive. Inference runs across ladders (`fisher_mean`).
mod bootstrap;
mod fisher;
mod kappa;
mod kendall;
mod mean_interval;
mod ols;
mod partial;
mod pearson;
mod percentile;
mod permutation;
mod ranks;
mod row_ranks;
mod rows;
mod sample;
mod spearman;
mod student;
mod summary;
mod zscore;

#[cfg(test)]
mod gold;
#[cfg(test)]
mod nothing;

pub use bootstrap::{
    Interval, bootstrap_difference, bootstrap_difference_ranked, bootstrap_spearman,
    bootstrap_spearman_ranked,
};
pub use fisher::{FisherMean, fisher_mean};
pub use kappa::{Kappa, kappa};
pub use kendall::kendall_tau_b;
pub use mean_interval::{MeanInterval, mean_interval};
pub use ols::{LeaveOneOut, Ols, leave_one_out, ols};
pub use partial::partial_spearman;
pub use pearson::pearson;
pub use permutation::{
    MaxPermutation, MaxPermutationScore, Permutation, max_permutation, permutation_spearman,
};
pub use ranks::ranks;
pub use row_ranks::RowRanks;
pub use rows::{BootstrapRows, PermutationRows, RowsError};
pub(crate) use sample::mean_of;
pub use spearman::{Spearman, spearman};
pub use summary::{Summary, summary};
pub use zscore::{zscore, zscore_sample};
