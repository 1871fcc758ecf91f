//! What RL seeds say of a difference between two checkpoints.
//!
//! RL seeds share prompts and draws between checkpoints, so differences are
//! taken seed by seed: a paired 95 % t interval. Each pair is looked at on its
//! own; with three seeds an interval is wide.
use crate::{
    stages::recommend::ladder::{Ladder, Objective},
    stats::{MeanInterval, mean_interval},
};

/// The interval of objective(better) - objective(worse) over RL seeds. `None`
/// for fewer than two seeds that both have.
pub(super) fn difference(
    ladder: &Ladder<'_>,
    objective: Objective,
    better: i64,
    worse: i64,
) -> Option<MeanInterval> {
    let (better, worse) = (ladder.measured.get(&better)?, ladder.measured.get(&worse)?);
    let differences: Vec<f64> = better
        .by_seed
        .keys()
        .filter_map(|&seed| {
            Some(better.of_seed(objective, seed)? - worse.of_seed(objective, seed)?)
        })
        .collect();
    mean_interval(&differences)
}

/// The other steps whose interval of the difference to `pick` covers 0. `None`
/// where there is no
/// interval, or no other step.
pub(super) fn ties(ladder: &Ladder<'_>, objective: Objective, pick: i64) -> Option<Vec<i64>> {
    let others: Vec<i64> = ladder
        .measured
        .keys()
        .copied()
        .filter(|&step| step != pick)
        .collect();
    if others.is_empty() {
        return None;
    }
    let mut ties = Vec::new();
    for step in others {
        if difference(ladder, objective, pick, step)?.covers_zero() {
            ties.push(step);
        }
    }
    Some(ties)
}
