//! What is known of the checkpoints at one learning rate.
use std::collections::BTreeMap;

use crate::stages::rows::WideRow;

/// What a rule tries to make large, and regret is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Objective {
    /// gain_mean.
    Gain,
    /// r_after_mean.
    FinalReward,
}

impl Objective {
    pub(super) fn name(self) -> &'static str {
        match self {
            Objective::Gain => "gain",
            Objective::FinalReward => "final-reward",
        }
    }

    pub(super) fn words(self) -> &'static str {
        match self {
            Objective::Gain => "gain",
            Objective::FinalReward => "final reward",
        }
    }
}

/// What RL gave from one checkpoint.
pub(super) struct Measured {
    pub(super) gain: f64,
    pub(super) final_reward: f64,
    /// (gain, final reward) by RL seed; empty where seeds are not at hand.
    pub(super) by_seed: BTreeMap<i64, (f64, f64)>,
}

impl Measured {
    pub(super) fn of(&self, objective: Objective) -> f64 {
        match objective {
            Objective::Gain => self.gain,
            Objective::FinalReward => self.final_reward,
        }
    }

    pub(super) fn of_seed(&self, objective: Objective, seed: i64) -> Option<f64> {
        let &(gain, final_reward) = self.by_seed.get(&seed)?;
        Some(match objective {
            Objective::Gain => gain,
            Objective::FinalReward => final_reward,
        })
    }
}

pub(super) struct Ladder<'a> {
    /// `None` before any RL.
    pub(super) learning_rate: Option<f64>,
    /// By step, ascending.
    pub(super) scores: &'a [WideRow],
    /// By step: all of the scores' or none.
    pub(super) measured: BTreeMap<i64, Measured>,
    /// Predicted gain_mean by step; empty without a fitted line.
    pub(super) predicted: BTreeMap<i64, f64>,
    /// The score that the line was fitted on.
    pub(super) predicted_from: Option<String>,
}

impl Ladder<'_> {
    pub(super) fn calibrated(&self) -> bool {
        !self.measured.is_empty()
    }

    /// r_before + predicted gain, where a line was fitted.
    pub(super) fn predicted_final(&self, row: &WideRow) -> Option<f64> {
        Some(row.measures.r_before + self.predicted.get(&row.step)?)
    }

    /// The step of the largest measured objective, the earliest of equals.
    pub(super) fn best(&self, objective: Objective) -> Option<(i64, f64)> {
        argmax(
            self.measured
                .iter()
                .map(|(&step, m)| (step, m.of(objective))),
        )
    }

    /// max - min of the measured objective, where it is not 0.
    pub(super) fn spread(&self, objective: Objective) -> Option<f64> {
        let values = || self.measured.values().map(|m| m.of(objective));
        let spread = values().reduce(f64::max)? - values().reduce(f64::min)?;
        (spread > 0.0).then_some(spread)
    }
}

/// The step of the largest value, the first of equals.
pub(super) fn argmax(values: impl Iterator<Item = (i64, f64)>) -> Option<(i64, f64)> {
    values.fold(None, |best, (step, value)| match best {
        Some((_, largest)) if value <= largest => best,
        _ => Some((step, value)),
    })
}
