//! What must be said beside the numbers: the algebra, the headline, the statistics.
use maud::{Markup, html};

use crate::report::data::Data;
use crate::report::number::counted;

/// What follows from the algebra whatever the data are.
const ALGEBRA: [&str; 6] = [
    "Infinite group, std-normalised advantage, ξ → 0: Σ − Λ_cond = E‖G‖²(2 − 1/σ) is never positive, and zero only at p = 1/2. The lower bound of eq. 25 then says nothing, while the quantity it bounds, IP (eq. 24), is positive.",
    "Finite group of n: Σ − Λ_cond is positive only where the multiplier m_n stays below 2, which holds for every p up to n = 5 and for a shrinking middle range of p beyond. With Λ per sample and std normalisation the usable signal was negative at every n tried (2 to 64). So each S is named with its Λ and n.",
    "For the same group size Λ per sample is never below Λ_cond (Jensen). With mean-only advantages Λ_cond is 0 for the infinite group and Σ/n for a group of n.",
    "With the reward R = p z-scored over the batch the expected costate is 0: Λ_cond = Σ and nothing usable remains.",
    "In a one-token task no token follows the sampled one, so the sampling gap of eq. 20 is identically 0.",
    "On a ladder whose reward only rises, R before and R after RL have a rank correlation near 1 by themselves. The combined predictor of figure 5 is therefore shown beside R before alone and the score alone.",
];

const HEADLINE: &str = "The headline score IP × H replaces the lower bound of eq. 25 by the quantity bounded (eq. 24) and so departs from the letter of eq. 29 to 31, whose products are reported as literal and literal-eq28. It was chosen on this ground, but after a rehearsal on small ladders had been seen: those ladders are exploratory, new seeds are confirmatory.";

const EXCHANGEABLE: &str = "Within a ladder all p-values and intervals are descriptive: they assume exchangeable checkpoints, but neighbouring checkpoints of one training run depend on each other. For two unrelated AR(1) series of 16 points a nominal 5 % permutation test fires 17 % of the time at autocorrelation 0.7, 29 % at 0.9 and 38 % for random walks. Inference needs independent ladders.";

const BUDGETS: &str = "The budgets K are nested in one RL run, so the spread over K is no error bar; the spread over RL seeds is given apart.";

/// The notes section.
pub(super) fn notes_markup(data: &Data) -> Markup {
    html! {
        h3 { "Statistics" }
        ul {
            li { (EXCHANGEABLE) }
            @if !data.learning_rates.is_empty() {
                li { (BUDGETS) }
                li { (seeds_sentence(data)) }
                li { "Predicted gains come from an affine fit on the very checkpoints they are shown for; the band is the leave-one-out error of that fit." }
            }
        }
        h3 { "The headline score" }
        p { (HEADLINE) }
        h3 { "What follows from the algebra" }
        ol { @for point in ALGEBRA { li { (point) } } }
        @if !data.warnings.is_empty() {
            h3 { "Warnings" }
            ul { @for warning in &data.warnings { li { (warning) } } }
        }
    }
}

/// How many RL seeds stand behind the gains.
fn seeds_sentence(data: &Data) -> String {
    let seeds = data
        .learning_rates
        .iter()
        .flat_map(|rate| &rate.impact)
        .map(|row| row.n_rl_seeds);
    match (seeds.clone().min(), seeds.max()) {
        (Some(0) | None, _) | (_, None) => "The number of RL seeds is not recorded.".to_owned(),
        (Some(fewest), Some(most)) => {
            let range = if fewest == most {
                counted(fewest as usize, "RL seed")
            } else {
                format!("{fewest} to {most} RL seeds")
            };
            let verdict = if fewest < 2 {
                ": no spread over seeds can be given"
            } else if fewest < 3 {
                ", fewer than the 3 that a spread over seeds needs to mean something"
            } else {
                ""
            };
            format!("Each checkpoint and learning rate has {range}{verdict}.")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::data::{Impact, PerRate};

    fn with_seeds(seeds: &[u32]) -> String {
        let impact = seeds
            .iter()
            .map(|n| Impact {
                n_rl_seeds: *n,
                ..Impact::default()
            })
            .collect();
        seeds_sentence(&Data {
            learning_rates: vec![PerRate {
                impact,
                ..PerRate::default()
            }],
            ..Data::default()
        })
    }

    #[test]
    fn the_number_of_seeds_is_judged() {
        assert_eq!(
            with_seeds(&[3, 3]),
            "Each checkpoint and learning rate has 3 RL seeds."
        );
        assert_eq!(
            with_seeds(&[1]),
            "Each checkpoint and learning rate has 1 RL seed: no spread over seeds can be given."
        );
        assert_eq!(
            with_seeds(&[2, 4]),
            "Each checkpoint and learning rate has 2 to 4 RL seeds, fewer than the 3 that a spread over seeds needs to mean something."
        );
        assert_eq!(
            with_seeds(&[0, 3]),
            "The number of RL seeds is not recorded."
        );
        assert_eq!(with_seeds(&[]), "The number of RL seeds is not recorded.");
    }
}
