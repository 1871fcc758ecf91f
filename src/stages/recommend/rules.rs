//! The rules that pick a checkpoint, and the row that each gives.
use serde::{Deserialize, Serialize};

use crate::stages::{
    recommend::{
        certainty,
        ladder::{Ladder, Objective, argmax},
        words::note,
    },
    rows::WideScore,
};

/// A row of `recommendation`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Row {
    pub(super) learning_rate: Option<f64>,
    pub(super) rule: String,
    pub(super) role: String,
    pub(super) objective: String,
    pub(super) step: Option<i64>,
    pub(super) tokens: Option<i64>,
    pub(super) value: Option<f64>,
    pub(super) r_before: Option<f64>,
    pub(super) predicted_gain: Option<f64>,
    pub(super) measured_gain: Option<f64>,
    pub(super) measured_final_reward: Option<f64>,
    pub(super) best_step: Option<i64>,
    pub(super) best: Option<f64>,
    pub(super) regret: Option<f64>,
    pub(super) regret_normalised: Option<f64>,
    pub(super) regret_lo: Option<f64>,
    pub(super) regret_hi: Option<f64>,
    pub(super) calibrated: bool,
    pub(super) distinguishable: Option<bool>,
    pub(super) ties: Option<String>,
    pub(super) note: String,
}

/// A way to pick a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Rule {
    /// The argmax of a score.
    Largest(WideScore),
    /// The last checkpoint.
    Last,
    /// Each checkpoint with the same probability.
    Random,
    /// The argmax of r_before + predicted gain.
    BestPredictedFinalReward,
    /// The earliest checkpoint within the tolerance of that.
    EarliestWithinTolerance(f64),
}

impl Rule {
    fn name(self) -> &'static str {
        match self {
            Rule::Largest(score) => score.name(),
            Rule::Last => "last",
            Rule::Random => "random",
            Rule::BestPredictedFinalReward => "best-predicted-final-reward",
            Rule::EarliestWithinTolerance(_) => "earliest-within-tolerance",
        }
    }

    fn role(self, recommended: WideScore) -> &'static str {
        match self {
            Rule::Largest(score) if score == recommended => "largest-gain",
            Rule::BestPredictedFinalReward => "final-reward",
            Rule::EarliestWithinTolerance(_) => "earliest",
            Rule::Largest(_) | Rule::Last | Rule::Random => "baseline",
        }
    }

    pub(super) fn objective(self) -> Objective {
        match self {
            Rule::BestPredictedFinalReward | Rule::EarliestWithinTolerance(_) => {
                Objective::FinalReward
            }
            Rule::Largest(_) | Rule::Last | Rule::Random => Objective::Gain,
        }
    }

    /// The pick and the value that made it so.
    fn pick(self, ladder: &Ladder<'_>) -> Option<(i64, Option<f64>)> {
        let finals = || {
            let rows = ladder.scores.iter();
            rows.filter_map(|row| Some((row.step, ladder.predicted_final(row)?)))
        };
        match self {
            Rule::Largest(score) => {
                let values = ladder
                    .scores
                    .iter()
                    .map(|row| (row.step, score.of(&row.measures)));
                argmax(values).map(|(step, value)| (step, Some(value)))
            }
            Rule::Last => ladder.scores.last().map(|row| (row.step, None)),
            Rule::Random => None,
            Rule::BestPredictedFinalReward => {
                argmax(finals()).map(|(step, value)| (step, Some(value)))
            }
            Rule::EarliestWithinTolerance(tolerance) => {
                let (_, largest) = argmax(finals())?;
                let found = finals().find(|(_, value)| *value >= largest - tolerance);
                found.map(|(step, value)| (step, Some(value)))
            }
        }
    }
}

/// One row per rule: the recommendation first, then the final-reward rules, then
/// what they are held against.
pub(super) fn rows(ladder: &Ladder<'_>, recommended: WideScore, tolerance: f64) -> Vec<Row> {
    let mut rules = vec![
        Rule::Largest(recommended),
        Rule::BestPredictedFinalReward,
        Rule::EarliestWithinTolerance(tolerance),
    ];
    let compared = [
        WideScore::Headline,
        WideScore::Literal,
        WideScore::LiteralEq28,
        WideScore::Sigma,
        WideScore::P1mp,
        WideScore::RBefore,
    ];
    let others = compared.into_iter().filter(|score| *score != recommended);
    rules.extend(others.map(Rule::Largest));
    rules.extend([Rule::Last, Rule::Random]);
    rules
        .into_iter()
        .map(|rule| row(ladder, rule, recommended))
        .collect()
}

fn row(ladder: &Ladder<'_>, rule: Rule, recommended: WideScore) -> Row {
    let objective = rule.objective();
    let picked = rule.pick(ladder);
    let step = picked.map(|(step, _)| step);
    let wide = step.and_then(|step| ladder.scores.iter().find(|row| row.step == step));
    let measured = step.and_then(|step| ladder.measured.get(&step));
    let best = ladder.best(objective);
    let value = match measured {
        Some(measured) => Some(measured.of(objective)),
        None if rule == Rule::Random => mean_of(ladder, objective),
        None => None,
    };
    let regret = best.zip(value).map(|((_, best), value)| best - value);
    let interval = best.zip(step).and_then(|((best, _), step)| {
        // A pick that is the best has no regret to be uncertain of.
        (best != step).then(|| certainty::difference(ladder, objective, best, step))?
    });
    let ties = step.and_then(|step| certainty::ties(ladder, objective, step));
    let mut row = Row {
        learning_rate: ladder.learning_rate,
        rule: rule.name().to_owned(),
        role: rule.role(recommended).to_owned(),
        objective: objective.name().to_owned(),
        step,
        tokens: wide.and_then(|row| row.tokens),
        value: picked.and_then(|(_, value)| value),
        r_before: wide.map(|row| row.measures.r_before),
        predicted_gain: step.and_then(|step| ladder.predicted.get(&step).copied()),
        measured_gain: measured.map(|measured| measured.gain),
        measured_final_reward: measured.map(|measured| measured.final_reward),
        best_step: best.map(|(step, _)| step),
        best: best.map(|(_, value)| value),
        regret,
        regret_normalised: regret
            .zip(ladder.spread(objective))
            .map(|(regret, spread)| regret / spread),
        regret_lo: interval.map(|interval| interval.lo),
        regret_hi: interval.map(|interval| interval.hi),
        calibrated: ladder.calibrated(),
        distinguishable: ties.as_ref().map(Vec::is_empty),
        ties: ties.as_deref().map(list),
        note: String::new(),
    };
    if rule == Rule::Random {
        row.measured_gain = mean_of(ladder, Objective::Gain);
        row.measured_final_reward = mean_of(ladder, Objective::FinalReward);
    }
    row.note = note(ladder, rule, &row, wide);
    row
}

/// What a uniform pick is expected to measure.
fn mean_of(ladder: &Ladder<'_>, objective: Objective) -> Option<f64> {
    let n = ladder.measured.len();
    let sum: f64 = ladder.measured.values().map(|m| m.of(objective)).sum();
    (n > 0).then(|| sum / n as f64)
}

fn list(steps: &[i64]) -> String {
    let steps: Vec<String> = steps.iter().map(i64::to_string).collect();
    steps.join(", ")
}
