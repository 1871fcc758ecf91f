//! How far the score can be trusted: against the best baseline, with interval.
use maud::{Markup, html};

use crate::report::data::{Choice, Comparison, Correlation, PerRate, Verdict};
use crate::report::markup::{Column, table};
use crate::report::number::{
    MISSING, counted, finite, fixed, interval, learning_rate, percent, signed,
};

const HEADLINE: &str = "headline";
const TARGET: &str = "gain_mean";

/// How the headline score stands to a baseline by the paired interval of the difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Beats,
    Loses,
    NotDistinguishable,
    Undefined,
}

fn standing(comparison: &Comparison) -> Standing {
    match (finite(comparison.lo), finite(comparison.hi)) {
        (Some(lo), Some(_)) if lo > 0.0 => Standing::Beats,
        (Some(_), Some(hi)) if hi < 0.0 => Standing::Loses,
        (Some(_), Some(_)) => Standing::NotDistinguishable,
        _ => Standing::Undefined,
    }
}

/// The score against the best baseline of one learning rate.
pub(super) fn trust_sentence(rate: &PerRate) -> String {
    let opening = format!(
        "Trust (learning rate {})",
        learning_rate(rate.learning_rate)
    );
    let Some(headline) = rows(rate).find(|row| !row.baseline && row.score == HEADLINE) else {
        return format!("{opening}: no rank correlation was computed.");
    };
    let n = headline.n;
    let Some(rho) = estimate(headline) else {
        return format!(
            "{opening}: the rank correlation of the score with the mean gain is undefined over {n} checkpoints."
        );
    };
    let start = format!(
        "{opening}: rank correlation of the score with the mean gain {rho} over {n} checkpoints"
    );
    let Some(best) = best_baseline(rate) else {
        return format!("{start}; no baseline was compared.");
    };
    let name = &best.score;
    let theirs = estimate(best).unwrap_or_else(|| MISSING.to_owned());
    let Some(comparison) = rate
        .comparisons
        .iter()
        .find(|comparison| comparison.baseline == *name)
    else {
        return format!(
            "{start}; the difference from the best baseline, {name} ({theirs}), is undefined."
        );
    };
    let difference = difference(comparison);
    match standing(comparison) {
        Standing::Beats => {
            format!("{start}; it beats the best baseline, {name} ({theirs}), by {difference}.")
        }
        Standing::Loses => format!(
            "{start}; it is worse than the best baseline, {name} ({theirs}): difference {difference}."
        ),
        Standing::NotDistinguishable => format!(
            "{start}; not distinguishable from the best baseline, {name} ({theirs}): difference {difference}."
        ),
        Standing::Undefined => format!(
            "{start}; the difference from the best baseline, {name} ({theirs}), is undefined."
        ),
    }
}

/// Correlations with the mean gain.
pub(super) fn rows(rate: &PerRate) -> impl Iterator<Item = &Correlation> {
    rate.correlations.iter().filter(|row| row.target == TARGET)
}

/// The baseline with the largest correlation; the first of equals.
fn best_baseline(rate: &PerRate) -> Option<&Correlation> {
    rows(rate)
        .filter(|row| row.baseline)
        .filter_map(|row| Some((row, finite(row.rho)?)))
        .reduce(|best, next| if next.1 > best.1 { next } else { best })
        .map(|(row, _)| row)
}

/// `0.75 [0.42, 0.93]`; without an interval `0.75 (no interval)`.
fn estimate(row: &Correlation) -> Option<String> {
    finite(row.rho)?;
    let rho = fixed(row.rho, 2);
    Some(match interval(row.boot_lo, row.boot_hi, 2) {
        Some(interval) => format!("{rho} {interval}"),
        None => format!("{rho} (no interval)"),
    })
}

fn difference(comparison: &Comparison) -> String {
    let ends = format!(
        "[{}, {}]",
        signed(comparison.lo, 2),
        signed(comparison.hi, 2)
    );
    format!("{} {ends}", signed(comparison.delta, 2))
}

/// The table of differences from the baselines.
pub(super) fn comparison_table(rate: &PerRate) -> Markup {
    let rows = rate.comparisons.iter().map(|comparison| {
        let verdict = match standing(comparison) {
            Standing::Beats => "beats it",
            Standing::Loses => "worse",
            Standing::NotDistinguishable => "not distinguishable",
            Standing::Undefined => "undefined",
        };
        vec![
            comparison.baseline.clone(),
            signed(comparison.delta, 2),
            signed(comparison.lo, 2),
            signed(comparison.hi, 2),
            verdict.to_owned(),
        ]
    });
    table(
        &format!(
            "Headline score minus baseline, Spearman ρ with the mean gain, learning rate {}; paired bootstrap, 95 %.",
            learning_rate(rate.learning_rate)
        ),
        &[
            Column::text("baseline"),
            Column::number("difference"),
            Column::number("low"),
            Column::number("high"),
            Column::text("the score"),
        ],
        rows,
    )
}

/// What each rule would have picked.
pub(super) fn rule_table(rate: &PerRate) -> Markup {
    table(
        &format!(
            "What each rule picks at learning rate {}; gains and regret in reward.",
            learning_rate(rate.learning_rate)
        ),
        &[
            Column::text("rule"),
            Column::number("step"),
            Column::number("predicted gain"),
            Column::number("measured gain"),
            Column::number("regret"),
            Column::number("of range"),
            Column::text("verdict"),
        ],
        rate.choices.iter().map(rule_row),
    )
}

fn rule_row(choice: &Choice) -> Vec<String> {
    let verdict = match choice.verdict {
        Verdict::Distinguishable => "distinguishable".to_owned(),
        Verdict::NotDistinguishable if choice.ties.is_empty() => "not distinguishable".to_owned(),
        Verdict::NotDistinguishable => format!(
            "not distinguishable ({})",
            counted(choice.ties.len(), "tie")
        ),
        Verdict::Undefined => "undefined".to_owned(),
    };
    vec![
        choice.rule.clone(),
        choice
            .step
            .map_or_else(|| MISSING.to_owned(), |step| step.to_string()),
        signed(choice.predicted, 3),
        signed(choice.measured, 3),
        fixed(choice.regret, 3),
        finite(choice.regret_normalised).map_or_else(|| MISSING.to_owned(), percent),
        verdict,
    ]
}

/// The whole text of the section for one learning rate.
pub(super) fn trust_markup(rate: &PerRate) -> Markup {
    html! {
        p { (trust_sentence(rate)) }
        @if !rate.comparisons.is_empty() { (comparison_table(rate)) }
        @if !rate.choices.is_empty() { (rule_table(rate)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(score: &str, baseline: bool, rho: Option<f64>) -> Correlation {
        Correlation {
            score: score.to_owned(),
            baseline,
            target: TARGET.to_owned(),
            n: 16,
            rho,
            boot_lo: rho.map(|rho| rho - 0.3),
            boot_hi: rho.map(|rho| rho + 0.15),
            ..Correlation::default()
        }
    }

    fn rate(lo: Option<f64>, hi: Option<f64>) -> PerRate {
        PerRate {
            learning_rate: 1e-4,
            correlations: vec![
                row("headline", false, Some(0.752)),
                row("r_before", true, Some(-0.27)),
                row("sigma", true, Some(0.71)),
                row("entropy", true, Some(f64::NAN)),
            ],
            comparisons: vec![Comparison {
                baseline: "sigma".to_owned(),
                delta: Some(0.042),
                lo,
                hi,
            }],
            ..PerRate::default()
        }
    }

    #[test]
    fn an_interval_around_zero_does_not_decide() {
        assert_eq!(
            trust_sentence(&rate(Some(-0.1), Some(0.12))),
            "Trust (learning rate 1e-4): rank correlation of the score with the mean gain 0.75 [0.45, 0.90] over 16 checkpoints; not distinguishable from the best baseline, sigma (0.71 [0.41, 0.86]): difference +0.04 [-0.10, +0.12]."
        );
    }

    #[test]
    fn an_interval_on_one_side_decides() {
        assert!(trust_sentence(&rate(Some(0.01), Some(0.12))).ends_with(
            "; it beats the best baseline, sigma (0.71 [0.41, 0.86]), by +0.04 [+0.01, +0.12]."
        ));
        assert!(trust_sentence(&rate(Some(-0.2), Some(-0.01))).ends_with("; it is worse than the best baseline, sigma (0.71 [0.41, 0.86]): difference +0.04 [-0.20, -0.01]."));
        assert!(trust_sentence(&rate(Some(0.0), Some(0.2))).contains("not distinguishable"));
    }

    #[test]
    fn missing_parts_are_undefined() {
        assert!(trust_sentence(&rate(None, Some(0.1))).ends_with(
            "; the difference from the best baseline, sigma (0.71 [0.41, 0.86]), is undefined."
        ));
        let mut constant = rate(Some(0.0), Some(0.1));
        constant.correlations[0].rho = None;
        assert_eq!(
            trust_sentence(&constant),
            "Trust (learning rate 1e-4): the rank correlation of the score with the mean gain is undefined over 16 checkpoints."
        );
        let mut alone = rate(None, None);
        alone.correlations.truncate(1);
        alone.correlations[0].boot_lo = None;
        assert_eq!(
            trust_sentence(&alone),
            "Trust (learning rate 1e-4): rank correlation of the score with the mean gain 0.75 (no interval) over 16 checkpoints; no baseline was compared."
        );
        assert_eq!(
            trust_sentence(&PerRate {
                learning_rate: 3e-4,
                ..PerRate::default()
            }),
            "Trust (learning rate 3e-4): no rank correlation was computed."
        );
    }
}
