//! What the answer cost, by phase and by stage kind.
use maud::{Markup, html};

use crate::report::data::{Cost, Phase};
use crate::report::markup::{Column, table};
use crate::report::number::{counted, duration, finite, list, percent};

/// The cost in one sentence; None where nothing was recorded.
pub fn cost_sentence(costs: &[Cost]) -> Option<String> {
    if costs.is_empty() {
        return None;
    }
    let phases = [
        (Phase::Ladder, "ladder"),
        (Phase::Scores, "scores before RL"),
        (Phase::Rl, "RL"),
        (Phase::Analysis, "analysis"),
    ];
    let parts: Vec<String> = phases
        .into_iter()
        .filter_map(|(phase, name)| {
            let stages = stages(costs, phase);
            (stages > 0).then(|| {
                format!(
                    "{name} {} ({})",
                    time(seconds(costs, phase)),
                    counted(stages, "stage")
                )
            })
        })
        .collect();
    let share = match (seconds(costs, Phase::Scores), seconds(costs, Phase::Rl)) {
        (Some(scores), Some(rl)) if rl > 0.0 && stages(costs, Phase::Scores) > 0 => {
            format!("; the scores cost {} of the RL", percent(scores / rl))
        }
        _ => String::new(),
    };
    Some(format!(
        "Cost, summed over stages: {}{share}.",
        list(&parts)
    ))
}

fn stages(costs: &[Cost], phase: Phase) -> usize {
    costs
        .iter()
        .filter(|cost| cost.phase == phase)
        .map(|cost| cost.count)
        .sum()
}

/// None where one of the phase's kinds has no time.
fn seconds(costs: &[Cost], phase: Phase) -> Option<f64> {
    costs
        .iter()
        .filter(|cost| cost.phase == phase)
        .map(|cost| finite(cost.seconds))
        .sum()
}

fn time(seconds: Option<f64>) -> String {
    seconds.map_or_else(|| "unknown time".to_owned(), duration)
}

/// Sentence and table of the cost section.
pub(super) fn cost_markup(costs: &[Cost]) -> Markup {
    let rows = costs.iter().map(|cost| {
        let each = finite(cost.seconds)
            .filter(|_| cost.count > 0)
            .map(|seconds| seconds / cost.count as f64);
        vec![
            cost.kind.clone(),
            match cost.phase {
                Phase::Ladder => "ladder",
                Phase::Scores => "scores",
                Phase::Rl => "RL",
                Phase::Analysis => "analysis",
            }
            .to_owned(),
            cost.count.to_string(),
            time(finite(cost.seconds)),
            time(each),
        ]
    });
    html! {
        @if let Some(sentence) = cost_sentence(costs) { p { (sentence) } }
        (table(
            "Durations of the executions that made these results, wherever and whenever they ran.",
            &[Column::text("stage kind"), Column::text("phase"), Column::number("stages"), Column::number("in all"), Column::number("per stage")],
            rows,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(kind: &str, phase: Phase, count: usize, seconds: Option<f64>) -> Cost {
        Cost {
            kind: kind.to_owned(),
            phase,
            count,
            seconds,
        }
    }

    #[test]
    fn the_sentence_sums_by_phase() {
        let costs = [
            cost("pretrain", Phase::Ladder, 16, Some(20.04)),
            cost("costates", Phase::Scores, 16, Some(2.5)),
            cost("headroom", Phase::Scores, 16, Some(1.6)),
            cost("grpo", Phase::Rl, 384, Some(61.2)),
        ];
        assert_eq!(
            cost_sentence(&costs).as_deref(),
            Some(
                "Cost, summed over stages: ladder 20 s (16 stages), scores before RL 4.1 s (32 stages) and RL 61 s (384 stages); the scores cost 6.7 % of the RL."
            )
        );
    }

    #[test]
    fn a_missing_time_makes_its_phase_unknown() {
        let costs = [
            cost("costates", Phase::Scores, 1, Some(2.5)),
            cost("grpo", Phase::Rl, 2, None),
        ];
        assert_eq!(
            cost_sentence(&costs).as_deref(),
            Some(
                "Cost, summed over stages: scores before RL 2.5 s (1 stage) and RL unknown time (2 stages)."
            )
        );
        assert_eq!(cost_sentence(&[]), None);
    }
}
