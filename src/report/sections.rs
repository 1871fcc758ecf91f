//! The sections of a report, each with its text and its figures.
use std::collections::{BTreeMap, BTreeSet};

use maud::{Markup, PreEscaped, html};

use crate::report::answer::{answer, calibrated, final_reward_sentences, primary};
use crate::report::body::{Picture, Section};
use crate::report::candidates::{candidate_table, score_table};
use crate::report::cost::cost_markup;
use crate::report::data::{Checkpoint, Data, PerRate, Role};
use crate::report::figure::{gap, scores_by_step};
use crate::report::number::{finite, fixed, learning_rate, list, plain};
use crate::report::panels::{
    budgets_of, calibration_of, components_of, dumbbell_of, forest_of, readings_of, trajectory_of,
};
use crate::report::trust::trust_markup;

/// Figures by name, and those of the section in hand.
#[derive(Default)]
pub(super) struct Gallery {
    pub(super) figures: BTreeMap<String, String>,
    pictures: Vec<Picture>,
}

impl Gallery {
    /// Takes a figure where there is one. Two of one name are kept apart by a number.
    fn add(&mut self, name: &str, caption: &str, svg: Option<String>) {
        let Some(svg) = svg else { return };
        let free = |name: &String| !self.figures.contains_key(name);
        let numbered = (2..).map(|count| format!("{name}-{count}"));
        let name = std::iter::once(name.to_owned()).chain(numbered).find(free);
        let name = name.expect("the numbers do not end before the names do");
        self.figures.insert(name.clone(), svg);
        self.pictures.push(Picture {
            name,
            caption: caption.to_owned(),
        });
    }

    fn section(&mut self, id: &str, heading: &str, markup: &Markup) -> Section {
        Section {
            pictures: std::mem::take(&mut self.pictures),
            ..section(id, heading, markup)
        }
    }
}

pub(super) fn section(id: &str, heading: &str, markup: &Markup) -> Section {
    Section {
        id: id.to_owned(),
        heading: heading.to_owned(),
        html: markup.0.clone(),
        pictures: Vec::new(),
    }
}

fn suffix(rate: &PerRate) -> String {
    format!("lr-{}", learning_rate(rate.learning_rate))
}

pub(super) fn start(data: &Data) -> Section {
    let lines = answer(data);
    let (lead, rest) = lines.split_at(1);
    let first = primary(data).map(|rate| rate.learning_rate);
    let others = data
        .learning_rates
        .iter()
        .filter(|rate| Some(rate.learning_rate) != first);
    let markup = html! {
        @for line in lead { p.lead { (line) } }
        @for line in rest { p { (line) } }
        @if let Some(rate) = primary(data) {
            p { (basis_sentence(rate)) }
            ul {
                @for sentence in final_reward_sentences(rate) { li { (sentence) } }
                @for other in others {
                    li { (calibrated(other)) }
                    @for sentence in final_reward_sentences(other) { li { (sentence) } }
                }
            }
        }
    };
    section("start", "From which checkpoint should RL start?", &markup)
}

/// What the gains of a learning rate are means over, and what ± stands for.
fn basis_sentence(rate: &PerRate) -> String {
    let budgets: BTreeSet<u32> = rate
        .impact
        .iter()
        .flat_map(|row| &row.budgets)
        .map(|point| point.budget)
        .collect();
    let budgets: Vec<String> = budgets.iter().map(u32::to_string).collect();
    let over = if budgets.is_empty() {
        "the budgets".to_owned()
    } else {
        format!("K = {} updates", list(&budgets))
    };
    format!(
        "Gains are R after RL minus R before, as means over {over} and over RL seeds; ± is the leave-one-out error of the affine fit of gain on score; regret is the best measured gain minus the gain at the picked step."
    )
}

pub(super) fn dumbbells(data: &Data, gallery: &mut Gallery) -> Section {
    const CAPTION: &str = "Each line runs from the expected reward of a checkpoint before RL to its reward after RL. The dashed line is R before plus the gain predicted from the score; its band is the leave-one-out error of the fit.";
    for rate in &data.learning_rates {
        gallery.add(
            &format!("dumbbell-{}", suffix(rate)),
            CAPTION,
            dumbbell_of(rate),
        );
    }
    if data.learning_rates.is_empty() {
        let score: Vec<_> = data
            .checkpoints
            .iter()
            .map(|row| (row.step, row.measures.score_headline))
            .collect();
        let picked = data
            .uncalibrated
            .iter()
            .find(|choice| choice.role == Role::LargestGain);
        let figure = scores_by_step(&score, picked.and_then(|choice| choice.step));
        gallery.add(
            "score",
            "The score alone: without measured gains it ranks checkpoints and predicts no reward.",
            figure,
        );
    }
    let markup = html! {
        @if data.learning_rates.is_empty() {
            p { "Uncalibrated: no RL was run, so there is no reward after RL to show." }
        }
    };
    gallery.section("dumbbell", "Before and after RL", &markup)
}

pub(super) fn trust(data: &Data, gallery: &mut Gallery) -> Section {
    const FOREST: &str = "Descriptive, assumes exchangeable checkpoints: intervals are percentile bootstrap over the checkpoints of one ladder.";
    for rate in &data.learning_rates {
        gallery.add(&format!("forest-{}", suffix(rate)), FOREST, forest_of(rate));
        gallery.add(
            &format!("calibration-{}", suffix(rate)),
            &fit_sentence(rate),
            calibration_of(rate),
        );
    }
    let markup = html! {
        @if data.learning_rates.is_empty() {
            p { "Undefined: trust is the agreement of score and measured gain, and no gain was measured." }
        }
        @for rate in &data.learning_rates { (trust_markup(rate)) }
    };
    gallery.section("trust", "How far can the score be trusted?", &markup)
}

/// The affine fit in one sentence.
fn fit_sentence(rate: &PerRate) -> String {
    let Some(affine) = &rate.affine else {
        return "No fit was made.".to_owned();
    };
    let (Some(slope), Some(intercept)) = (finite(affine.slope), finite(affine.intercept)) else {
        return format!("The fit over {} checkpoints is undefined.", affine.n);
    };
    let sign = if intercept < 0.0 { '−' } else { '+' };
    format!(
        "Least squares over {} checkpoints: gain = {} × score {sign} {}; R² {}, leave-one-out error {} reward.",
        affine.n,
        plain(slope),
        plain(intercept.abs()),
        fixed(affine.r2, 2),
        fixed(affine.loo_rmse, 3),
    )
}

pub(super) fn candidates(data: &Data) -> Section {
    let markup = html! {
        @for rate in &data.learning_rates { (candidate_table(rate)) }
        @if !data.checkpoints.is_empty() { (score_table(&data.checkpoints)) }
        @if data.checkpoints.is_empty() && data.learning_rates.is_empty() { p { "No checkpoint was scored." } }
    };
    section("candidates", "The candidates", &markup)
}

/// Empty where the surroundings will bring the cost.
pub(super) fn cost(data: &Data) -> Markup {
    if data.cost.is_empty() {
        return PreEscaped(String::new());
    }
    cost_markup(&data.cost)
}

pub(super) fn paper(data: &Data, gallery: &mut Gallery) -> Section {
    for rate in &data.learning_rates {
        let at = suffix(rate);
        gallery.add(
            &format!("gain-and-score-{at}"),
            "Figures 1 and 4 of the paper.",
            trajectory_of(rate),
        );
        gallery.add(
            &format!("gain-by-budget-{at}"),
            "Figure 3 of the paper, left half. The budgets are nested in one run.",
            budgets_of(rate),
        );
    }
    gallery.add("components", "Figure 3 of the paper, right half. Each line is divided by its own largest absolute value, so only shapes compare.", components_of(&known_checkpoints(data)));
    gallery.add("gap-and-bound", "Figure 2 of the paper. The bound is one-sided and loose by orders of magnitude; nothing is fitted.", gap(&data.gap));
    for rate in &data.learning_rates {
        gallery.add(
            &format!("rank-correlations-{}", suffix(rate)),
            "Figure 5 of the paper. Its prose and its caption disagree on what the bars are taken over, so both readings are drawn. The spread over K is no error bar. Descriptive, assumes exchangeable checkpoints.",
            readings_of(rate),
        );
    }
    let markup = html! {
        @if gallery.pictures.is_empty() { p { "There is no data for any of them." } }
    };
    gallery.section("figures", "The paper's figures", &markup)
}

/// The scored checkpoints; where the table of scores is not at hand, those of the first learning rate.
fn known_checkpoints(data: &Data) -> Vec<&Checkpoint> {
    if data.checkpoints.is_empty() {
        let first = data.learning_rates.first();
        first
            .into_iter()
            .flat_map(|rate| &rate.impact)
            .map(|row| &row.checkpoint)
            .collect()
    } else {
        data.checkpoints.iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

    #[test]
    fn the_basis_of_the_gains_is_told() {
        let data = example::full();
        assert_eq!(
            basis_sentence(&data.learning_rates[0]),
            "Gains are R after RL minus R before, as means over K = 10, 20, 25 and 30 updates and over RL seeds; ± is the leave-one-out error of the affine fit of gain on score; regret is the best measured gain minus the gain at the picked step."
        );
    }

    #[test]
    fn the_fit_is_told_or_undefined() {
        let data = example::full();
        assert_eq!(
            fit_sentence(&data.learning_rates[0]),
            "Least squares over 16 checkpoints: gain = 0.324 × score + 0.0360; R² 0.71, leave-one-out error 0.012 reward."
        );
        let mut constant = data.learning_rates[0].clone();
        if let Some(affine) = &mut constant.affine {
            affine.slope = None;
        }
        assert_eq!(
            fit_sentence(&constant),
            "The fit over 16 checkpoints is undefined."
        );
        constant.affine = None;
        assert_eq!(fit_sentence(&constant), "No fit was made.");
    }
}
