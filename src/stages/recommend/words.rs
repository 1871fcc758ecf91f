//! A row of the recommendation in words; says nothing that the numbers do not.
use crate::stages::{
    recommend::{
        ladder::{Ladder, Objective, argmax},
        rules::{Row, Rule},
    },
    rows::WideRow,
};

/// The row in words; says nothing that the numbers do not.
pub(super) fn note(ladder: &Ladder<'_>, rule: Rule, row: &Row, wide: Option<&WideRow>) -> String {
    let mut parts = vec![match (rule, wide) {
        (Rule::Random, _) => "a checkpoint picked at random, on average".to_owned(),
        (Rule::BestPredictedFinalReward | Rule::EarliestWithinTolerance(_), None) => {
            return "undefined: no gain was predicted, for want of a line fitted to measured gains"
                .to_owned();
        }
        (Rule::Largest(score), Some(wide)) => {
            format!("step {} has the largest {}", wide.step, score.name())
        }
        (Rule::Last, Some(wide)) => format!("step {} is the last", wide.step),
        (Rule::BestPredictedFinalReward, Some(wide)) => {
            format!("step {} has the largest predicted final reward", wide.step)
        }
        (Rule::EarliestWithinTolerance(tolerance), Some(wide)) => format!(
            "step {} is the earliest within {tolerance} of the largest predicted final reward",
            wide.step
        ),
        (Rule::Largest(_) | Rule::Last, None) => unreachable!("the ladder has a step"),
    }];
    if !row.calibrated {
        parts.push("uncalibrated: no gain was measured".to_owned());
        return parts.join("; ");
    }
    parts.push(regret_in_words(row, rule.objective()));
    if let Some(elsewhere) = line_disagrees(ladder, row) {
        parts.push(format!(
            "the fitted line falls with this score and foretells the largest gain at step {elsewhere}"
        ));
    }
    if row.step.is_some() {
        parts.push(match row.ties.as_deref() {
            None => "too few RL seeds to tell it from other steps".to_owned(),
            Some("") => "told apart from every other step".to_owned(),
            Some(ties) => format!("not distinguishable from step {ties}"),
        });
    }
    parts.join("; ")
}

fn regret_in_words(row: &Row, objective: Objective) -> String {
    let words = objective.words();
    match (row.regret, row.best, row.best_step) {
        (Some(regret), Some(best), Some(best_step)) if row.step != Some(best_step) => format!(
            "measured {words} {:.3}, {regret:.3} below the best (step {best_step})",
            best - regret
        ),
        (_, Some(best), _) => format!("measured {words} {best:.3}, the best"),
        _ => format!("no measured {words}"),
    }
}

/// Where the line that was fitted on the rule's own score predicts the most, if
/// that is elsewhere: its slope is then negative.
fn line_disagrees(ladder: &Ladder<'_>, row: &Row) -> Option<i64> {
    if ladder.predicted_from.as_deref() != Some(row.rule.as_str()) {
        return None;
    }
    let (step, largest) = argmax(ladder.predicted.iter().map(|(&step, &gain)| (step, gain)))?;
    row.predicted_gain
        .filter(|&own| own < largest)
        .map(|_| step)
}
