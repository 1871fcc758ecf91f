//! The answer in sentences: where to start, how far to trust it, what it cost.
//!
//! Each sentence is made from numbers and says so where they do not decide:
//! "uncalibrated" without RL, "not distinguishable" where intervals overlap,
//! "undefined" where a number is missing.
use crate::report::cost::cost_sentence;
use crate::report::data::{Choice, Data, PerRate, Role, Verdict};
use crate::report::number::{counted, finite, fixed, learning_rate, list, percent, signed};
use crate::report::trust::trust_sentence;

/// The lines that a run ends with, at the primary learning rate: the start,
/// the trust, and the cost where `Data` has one.
pub fn answer(data: &Data) -> Vec<String> {
    let mut lines = vec![start_sentence(data)];
    lines.push(match primary(data) {
        Some(rate) => trust_sentence(rate),
        None => "Trust: undefined, since no gain was measured.".to_owned(),
    });
    lines.extend(cost_sentence(&data.cost));
    lines
}

/// The learning rate that answers: the one named for the primary test, else the first.
pub(super) fn primary(data: &Data) -> Option<&PerRate> {
    let named = |rate: &&PerRate| Some(rate.learning_rate) == data.primary_learning_rate;
    data.learning_rates
        .iter()
        .find(named)
        .or(data.learning_rates.first())
}

pub(super) fn start_sentence(data: &Data) -> String {
    match primary(data) {
        Some(rate) => calibrated(rate),
        None => uncalibrated(data),
    }
}

fn uncalibrated(data: &Data) -> String {
    if data.checkpoints.is_empty() {
        return "Nothing to answer: no checkpoint was scored and no RL was run.".to_owned();
    }
    let opening = "Uncalibrated: no RL was run, so no gain is predicted";
    let picked = data
        .uncalibrated
        .iter()
        .find(|choice| choice.role == Role::LargestGain);
    match picked.and_then(|choice| Some((choice, choice.step?))) {
        Some((choice, step)) => {
            let count = counted(data.checkpoints.len(), "checkpoint");
            format!(
                "{opening}; the {} score is largest at step {step} of {count}{}.",
                choice.rule,
                among(choice)
            )
        }
        None => format!("{opening}, and the score singles out no checkpoint."),
    }
}

/// The sentence of one learning rate.
pub(super) fn calibrated(rate: &PerRate) -> String {
    let at = format!("learning rate {}", learning_rate(rate.learning_rate));
    let Some(choice) = chosen(rate, Role::LargestGain) else {
        return format!("No checkpoint can be recommended at {at}: no rule was applied.");
    };
    let Some(step) = choice.step else {
        return format!("No checkpoint can be recommended at {at}: the score is undefined.");
    };
    let numbers = outcome(rate, choice);
    match choice.verdict {
        Verdict::Distinguishable => format!("Start RL from step {step} ({at}): {numbers}."),
        Verdict::NotDistinguishable => format!(
            "Step {step} has the largest predicted gain ({at}){}: {numbers}.",
            among(choice)
        ),
        Verdict::Undefined => format!(
            "Step {step} has the largest predicted gain ({at}); whether it differs from the others is undefined: {numbers}."
        ),
    }
}

/// Final reward and earliest checkpoint, one sentence each where a rule was applied.
pub(super) fn final_reward_sentences(rate: &PerRate) -> Vec<String> {
    let at = format!("learning rate {}", learning_rate(rate.learning_rate));
    let mut sentences = Vec::new();
    if let Some((choice, step)) =
        chosen(rate, Role::FinalReward).and_then(|choice| Some((choice, choice.step?)))
    {
        sentences.push(format!(
            "The largest predicted final reward ({at}) is at step {step}{}: {}.",
            among(choice),
            outcome(rate, choice)
        ));
    }
    if let Some((choice, step)) =
        chosen(rate, Role::Earliest).and_then(|choice| Some((choice, choice.step?)))
    {
        let tolerance = match finite(rate.tolerance) {
            Some(tolerance) => format!("within {} reward of it", fixed(Some(tolerance), 3)),
            None => "within the tolerance of it".to_owned(),
        };
        sentences.push(format!(
            "The earliest checkpoint {tolerance} ({at}) is step {step}{}: {}.",
            among(choice),
            outcome(rate, choice)
        ));
    }
    sentences
}

pub(super) fn chosen(rate: &PerRate, role: Role) -> Option<&Choice> {
    rate.choices.iter().find(|choice| choice.role == role)
}

/// `, not distinguishable from steps 200 and 250`, or nothing.
fn among(choice: &Choice) -> String {
    if choice.verdict != Verdict::NotDistinguishable {
        return String::new();
    }
    let steps: Vec<String> = choice.ties.iter().map(u64::to_string).collect();
    let others = match steps.len() {
        0 => "the other checkpoints".to_owned(),
        1 => format!("step {}", steps[0]),
        2..=5 => format!("steps {}", list(&steps)),
        many => format!("{many} other checkpoints"),
    };
    format!(", not distinguishable from {others}")
}

/// Predicted and measured gain, and regret, as far as they are known.
fn outcome(rate: &PerRate, choice: &Choice) -> String {
    let error = rate
        .affine
        .as_ref()
        .and_then(|affine| finite(affine.loo_rmse));
    let predicted = match (finite(choice.predicted), error) {
        (Some(gain), Some(error)) => format!(
            "predicted gain {} ± {} reward",
            signed(Some(gain), 3),
            fixed(Some(error), 3)
        ),
        (Some(gain), None) => format!("predicted gain {} reward", signed(Some(gain), 3)),
        (None, _) => "predicted gain undefined".to_owned(),
    };
    let measured = match finite(choice.measured) {
        Some(gain) => format!("measured {}", signed(Some(gain), 3)),
        None => "not measured".to_owned(),
    };
    let regret = match (finite(choice.regret), finite(choice.regret_normalised)) {
        (Some(regret), Some(share)) => format!(
            "regret {} ({} of the range over {})",
            fixed(Some(regret), 3),
            percent(share),
            counted(rate.impact.len(), "checkpoint")
        ),
        (Some(regret), None) => format!("regret {}", fixed(Some(regret), 3)),
        (None, _) => "regret undefined".to_owned(),
    };
    format!("{predicted}, {measured}, {regret}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::data::{Affine, Impact};
    use crate::report::example;

    fn choice(verdict: Verdict, ties: &[u64]) -> Choice {
        Choice {
            role: Role::LargestGain,
            rule: "headline".to_owned(),
            step: Some(225),
            predicted: Some(0.2104),
            measured: Some(0.2213),
            regret: Some(0.0044),
            regret_normalised: Some(0.021),
            verdict,
            ties: ties.to_vec(),
        }
    }

    fn rate(choice: Choice) -> PerRate {
        PerRate {
            learning_rate: 1e-4,
            impact: vec![Impact::default(); 16],
            affine: Some(Affine {
                loo_rmse: Some(0.031),
                ..Affine::default()
            }),
            choices: vec![choice],
            ..PerRate::default()
        }
    }

    #[test]
    fn a_distinguishable_step_is_recommended() {
        assert_eq!(
            calibrated(&rate(choice(Verdict::Distinguishable, &[]))),
            "Start RL from step 225 (learning rate 1e-4): predicted gain +0.210 ± 0.031 reward, measured +0.221, regret 0.004 (2.1 % of the range over 16 checkpoints)."
        );
    }

    #[test]
    fn overlapping_intervals_are_said() {
        assert_eq!(
            calibrated(&rate(choice(Verdict::NotDistinguishable, &[200, 250]))),
            "Step 225 has the largest predicted gain (learning rate 1e-4), not distinguishable from steps 200 and 250: predicted gain +0.210 ± 0.031 reward, measured +0.221, regret 0.004 (2.1 % of the range over 16 checkpoints)."
        );
        assert_eq!(
            among(&choice(Verdict::NotDistinguishable, &[200])),
            ", not distinguishable from step 200"
        );
        assert_eq!(
            among(&choice(Verdict::NotDistinguishable, &[])),
            ", not distinguishable from the other checkpoints"
        );
        assert_eq!(
            among(&choice(Verdict::NotDistinguishable, &[1, 2, 3, 4, 5, 6])),
            ", not distinguishable from 6 other checkpoints"
        );
    }

    #[test]
    fn missing_numbers_are_undefined() {
        let mut bare = choice(Verdict::Undefined, &[]);
        (bare.predicted, bare.measured) = (Some(f64::NAN), None);
        (bare.regret, bare.regret_normalised) = (None, Some(f64::INFINITY));
        assert_eq!(
            calibrated(&rate(bare.clone())),
            "Step 225 has the largest predicted gain (learning rate 1e-4); whether it differs from the others is undefined: predicted gain undefined, not measured, regret undefined."
        );
        bare.step = None;
        assert_eq!(
            calibrated(&rate(bare)),
            "No checkpoint can be recommended at learning rate 1e-4: the score is undefined."
        );
        assert_eq!(
            calibrated(&PerRate {
                learning_rate: 3e-4,
                ..PerRate::default()
            }),
            "No checkpoint can be recommended at learning rate 3e-4: no rule was applied."
        );
    }

    #[test]
    fn without_rl_the_answer_is_uncalibrated() {
        assert_eq!(
            answer(&example::before_rl()),
            [
                "Uncalibrated: no RL was run, so no gain is predicted; the headline score is largest at step 225 of 16 checkpoints.",
                "Trust: undefined, since no gain was measured.",
            ]
        );
        let mut nothing_picked = example::before_rl();
        nothing_picked.uncalibrated.clear();
        assert_eq!(
            answer(&nothing_picked)[0],
            "Uncalibrated: no RL was run, so no gain is predicted, and the score singles out no checkpoint."
        );
        assert_eq!(
            answer(&Data::default())[0],
            "Nothing to answer: no checkpoint was scored and no RL was run."
        );
    }

    #[test]
    fn the_primary_learning_rate_answers() {
        let mut data = example::full();
        data.primary_learning_rate = Some(3e-4);
        assert!(
            answer(&data)[0].contains("learning rate 3e-4"),
            "{:?}",
            answer(&data)
        );
        data.primary_learning_rate = None;
        assert!(
            answer(&data)[0].contains("learning rate 1e-4"),
            "{:?}",
            answer(&data)
        );
    }

    #[test]
    fn final_reward_and_earliest_are_told() {
        let mut last = choice(Verdict::Distinguishable, &[]);
        (last.role, last.step) = (Role::FinalReward, Some(400));
        let mut early = choice(Verdict::NotDistinguishable, &[400]);
        (early.role, early.step) = (Role::Earliest, Some(350));
        let mut rate = rate(last);
        rate.choices.push(early);
        rate.tolerance = Some(0.01);
        let numbers = "predicted gain +0.210 ± 0.031 reward, measured +0.221, regret 0.004 (2.1 % of the range over 16 checkpoints)";
        assert_eq!(
            final_reward_sentences(&rate),
            [
                format!(
                    "The largest predicted final reward (learning rate 1e-4) is at step 400: {numbers}."
                ),
                format!(
                    "The earliest checkpoint within 0.010 reward of it (learning rate 1e-4) is step 350, not distinguishable from step 400: {numbers}."
                ),
            ]
        );
    }
}
