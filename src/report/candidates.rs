//! The table of candidates: what is known of each checkpoint before and after RL.
use maud::{Markup, html};

use crate::report::answer::chosen;
use crate::report::data::{Checkpoint, Impact, PerRate, Role};
use crate::report::markup::{Column, table};
use crate::report::number::{
    MISSING, finite, fixed, learning_rate, quantity, signed, tokens, whole,
};

/// Step of the largest measured gain; the earliest of equals.
pub(super) fn best_step(rate: &PerRate) -> Option<u64> {
    rate.impact
        .iter()
        .filter_map(|row| Some((row.checkpoint.step, finite(row.gain_mean)?)))
        .reduce(|best, next| if next.1 > best.1 { next } else { best })
        .map(|(step, _)| step)
}

/// The gain that the fit predicts for a checkpoint.
pub(super) fn predicted_gain(rate: &PerRate, row: &Impact) -> Option<f64> {
    rate.affine
        .as_ref()?
        .predict(row.checkpoint.measures.score_headline)
}

/// The reward after RL that the fit predicts for a checkpoint.
pub(super) fn predicted_reward(rate: &PerRate, row: &Impact) -> Option<f64> {
    Some(finite(row.checkpoint.r_before)? + predicted_gain(rate, row)?)
}

/// All checkpoints of one learning rate.
pub(super) fn candidate_table(rate: &PerRate) -> Markup {
    let best = best_step(rate);
    let largest = rate
        .impact
        .iter()
        .filter_map(|row| finite(row.gain_mean))
        .reduce(f64::max);
    let marks = |step: u64| {
        let picked = |role| chosen(rate, role).and_then(|choice| choice.step) == Some(step);
        let named = [
            (picked(Role::LargestGain), "recommended"),
            (best == Some(step), "best"),
            (picked(Role::FinalReward), "final reward"),
            (picked(Role::Earliest), "earliest"),
        ];
        let names: Vec<&str> = named
            .into_iter()
            .filter(|(is, _)| *is)
            .map(|(_, name)| name)
            .collect();
        names.join(", ")
    };
    let rows = rate.impact.iter().map(|row| {
        let regret = largest
            .zip(finite(row.gain_mean))
            .map(|(largest, gain)| largest - gain);
        vec![
            whole(row.checkpoint.step),
            tokens(row.checkpoint.tokens),
            fixed(row.checkpoint.r_before, 3),
            quantity(row.checkpoint.measures.score_headline),
            signed(predicted_gain(rate, row), 3),
            gain_with_spread(row),
            fixed(predicted_reward(rate, row), 3),
            fixed(row.r_after_mean, 3),
            fixed(regret, 3),
            marks(row.checkpoint.step),
        ]
    });
    table(
        &format!(
            "Learning rate {}. Rewards and gains in reward (0 to 1), mean over K; ± is the sd over RL seeds; the prediction is fitted on these rows.",
            learning_rate(rate.learning_rate)
        ),
        &[
            Column::number("step"),
            Column::number("tokens"),
            Column::number("R before"),
            Column::number("score"),
            Column::number("predicted gain"),
            Column::number("measured gain"),
            Column::number("predicted R after"),
            Column::number("R after"),
            Column::number("regret"),
            Column::text(""),
        ],
        rows,
    )
}

fn gain_with_spread(row: &Impact) -> String {
    let gain = signed(row.gain_mean, 3);
    match finite(row.gain_sd_seed) {
        Some(sd) if gain != MISSING => format!("{gain} ± {}", fixed(Some(sd), 3)),
        _ => gain,
    }
}

/// All checkpoints before any RL.
pub(super) fn score_table(checkpoints: &[Checkpoint]) -> Markup {
    let rows = checkpoints.iter().map(|row| {
        let measures = &row.measures;
        vec![
            whole(row.step),
            tokens(row.tokens),
            fixed(row.r_before, 3),
            quantity(measures.score_headline),
            quantity(measures.ip),
            quantity(measures.sigma),
            quantity(measures.lambda_ps),
            fixed(measures.headroom, 3),
            fixed(measures.p1mp, 3),
            fixed(measures.zero_var_share, 2),
            fixed(measures.label_mass, 2),
        ]
    });
    html! {
        (table(
            "Before RL. Headroom in reward, IP, Σ and Λ in reward² per squared hidden-state unit, the rest without unit.",
            &[
                Column::number("step"),
                Column::number("tokens"),
                Column::number("R before"),
                Column::number("score IP × H"),
                Column::number("IP"),
                Column::number("Σ"),
                Column::number("Λ per sample"),
                Column::number("headroom H"),
                Column::number("p(1−p)"),
                Column::number("groups without variance"),
                Column::number("label mass"),
            ],
            rows,
        ))
    }
}
