//! What an update learns from: which prompts, which actions, their rewards and
//! advantages. Draws come from streams named by (update, prompt, sample) alone,
//! so they depend neither on batches nor on other prompts.
use anyhow::{Result, ensure};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    seed::Seed,
    theory::{Advantage, prob_batch},
};

/// How actions are rewarded and rewards become advantages (eq. 1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Convention {
    /// GRPO as TRL computes it: (r - mean) / (s + 1e-4), s with divisor n - 1.
    #[default]
    GroupNorm,
    /// GRPO with the population deviation: (r - mean) / (s + 1e-6), divisor n.
    GroupNormPop,
    /// Dr. GRPO: r - mean.
    MeanOnly,
    /// Leave-one-out: r minus the mean of the other n - 1 rewards.
    Rloo,
    /// The reward itself (REINFORCE without a baseline).
    None,
    /// The reward is p_y itself, z-scored over the prompts of the update.
    ProbBatch,
}

impl Convention {
    /// The convention within a group; none for `prob-batch`, which has no groups.
    pub fn of_groups(self) -> Option<Advantage> {
        match self {
            Convention::GroupNorm => Some(Advantage::GroupNorm),
            Convention::GroupNormPop => Some(Advantage::GroupNormPop),
            Convention::MeanOnly => Some(Advantage::MeanOnly),
            Convention::Rloo => Some(Advantage::Rloo),
            Convention::None => Some(Advantage::None),
            Convention::ProbBatch => None,
        }
    }

    /// Rewards and advantages [P, n], row by row, of `actions` [P, n]: 1[a = y],
    /// but p_y for `prob-batch`. `labels` and `p_y` have one entry per prompt.
    pub fn judge(self, actions: &[u32], labels: &[u32], p_y: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let n = actions.len() / labels.len().max(1);
        let spread = |values: &[f64]| -> Vec<f64> {
            (values.iter())
                .flat_map(|&value| std::iter::repeat_n(value, n))
                .collect()
        };
        let Some(advantage) = self.of_groups() else {
            return (spread(p_y), spread(&prob_batch(p_y)));
        };
        let (mut rewards, mut advantages) = (Vec::new(), Vec::new());
        for (group, &label) in actions.chunks(n.max(1)).zip(labels) {
            let hit = |&action: &u32| f64::from(u8::from(action == label));
            let group: Vec<f64> = group.iter().map(hit).collect();
            advantages.extend(advantage.of_group(&group));
            rewards.extend(group);
        }
        (rewards, advantages)
    }
}

/// `count` of `total` train prompts without replacement, for one update.
pub fn choose_prompts(seed: Seed, update: u64, count: usize, total: usize) -> Result<Vec<usize>> {
    ensure!(
        count <= total,
        "an update takes {count} prompts without replacement; there are {total} train prompts"
    );
    let mut order = seed.stream("prompts", &[update]).permutation(total);
    order.truncate(count);
    Ok(order)
}

/// n actions for each prompt, [P, n] row by row, from its row of probabilities.
pub fn draw_actions(
    seed: Seed,
    update: u64,
    prompt_ids: &[u64],
    n: usize,
    probabilities: &[Vec<f64>],
) -> Vec<u32> {
    let mut actions = Vec::with_capacity(prompt_ids.len() * n);
    for (&prompt, p) in prompt_ids.iter().zip(probabilities) {
        for sample in 0..n as u64 {
            let mut stream = seed.stream("action", &[update, prompt, sample]);
            actions.push(stream.categorical(p) as u32);
        }
    }
    actions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_are_drawn_without_replacement_and_differ_between_updates() {
        let draw = |update| choose_prompts(Seed(4), update, 6, 10).unwrap();
        let mut sorted = draw(0);
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), 6);
        assert_eq!(draw(0), draw(0));
        assert_ne!(draw(0), draw(1));
        assert_eq!(
            choose_prompts(Seed(4), 0, 11, 10).unwrap_err().to_string(),
            "an update takes 11 prompts without replacement; there are 10 train prompts"
        );
    }

    #[test]
    fn a_prompt_draws_the_same_in_any_company() {
        let p = vec![vec![0.2, 0.3, 0.5], vec![0.6, 0.3, 0.1]];
        let both = draw_actions(Seed(1), 5, &[10, 20], 40, &p);
        let alone = draw_actions(Seed(1), 5, &[20], 40, &p[1..]);
        assert_eq!(both[40..], alone);
        let few = draw_actions(Seed(1), 5, &[20], 3, &p[1..]);
        assert_eq!(few, alone[..3]);
        assert_ne!(draw_actions(Seed(1), 6, &[20], 40, &p[1..]), alone);
    }

    #[test]
    fn draws_follow_the_policy() {
        let n = 6000;
        let actions = draw_actions(Seed(9), 0, &[0], n, &[vec![0.1, 0.0, 0.9]]);
        let share = actions.iter().filter(|&&a| a == 0).count() as f64 / n as f64;
        assert!((share - 0.1).abs() < 0.015, "{share}");
        assert!(!actions.contains(&1));
    }

    #[test]
    fn every_convention_by_hand() {
        // groups (1, 0, 0, 0) and (0, 0, 0, 0)
        let actions = [5, 1, 2, 5 - 1, 5, 5, 5, 5];
        let judge = |convention: Convention| convention.judge(&actions, &[5, 6], &[0.2, 0.4]);
        for (convention, first, second) in [
            (Convention::GroupNorm, 0.75 / 0.5001, -0.25 / 0.5001),
            (Convention::MeanOnly, 0.75, -0.25),
            (Convention::Rloo, 1.0, -1.0 / 3.0),
            (Convention::None, 1.0, 0.0),
        ] {
            let (rewards, advantages) = judge(convention);
            assert_eq!(rewards, [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
            assert_eq!(advantages[0], first, "{convention:?}");
            assert!((advantages[1] - second).abs() < 1e-15, "{convention:?}");
            assert_eq!(advantages[4..], [0.0; 4], "{convention:?}");
        }
        let population = judge(Convention::GroupNormPop).1[0];
        assert!((population - 0.75 / (0.1875f64.sqrt() + 1e-6)).abs() < 1e-15);
        let (rewards, advantages) = judge(Convention::ProbBatch);
        assert_eq!(rewards, [0.2, 0.2, 0.2, 0.2, 0.4, 0.4, 0.4, 0.4]);
        assert!((advantages[3] + 0.1 / (0.1 + 1e-6)).abs() < 1e-12);
        assert!((advantages[3] + advantages[4]).abs() < 1e-12);
    }

    #[test]
    fn names_are_those_of_theory() {
        for advantage in Advantage::ALL {
            let convention: Convention = serde_json::from_value(advantage.name().into()).unwrap();
            assert_eq!(convention.of_groups(), Some(advantage));
        }
    }
}
