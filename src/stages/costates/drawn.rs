//! Sampled estimators: seeded groups of n actions at every prompt.
//!
//! The draws of a prompt's group are a function of the seed, the prompt and the
//! group: all checkpoints, hidden states and advantages share them.
use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use crate::{
    seed::Seed,
    stages::{Hidden, Vocab, answers::Answers},
    theory::{Advantage, SampledParts, Softmax},
};

use super::readings::{Reading, rows_of};

/// Slots drawn at one prompt: `groups` groups of n.
pub(super) struct Drawn {
    groups: Vec<Vec<usize>>,
}

impl Drawn {
    pub(super) fn at(
        policy: &Softmax,
        vocab: Vocab,
        seed: Seed,
        prompt: i64,
        groups: usize,
        n: usize,
    ) -> Drawn {
        let label = format!("costates groups {}", vocab.name());
        let group = |group: usize| {
            let mut stream = seed.stream(&label, &[prompt as u64, group as u64]);
            (0..n).map(|_| stream.categorical(&policy.p)).collect()
        };
        Drawn {
            groups: (0..groups).map(group).collect(),
        }
    }

    /// What each group says under each advantage, in their orders.
    pub(super) fn parts(
        &self,
        reading: &Reading,
        rows: &Rows,
    ) -> Vec<(Advantage, Vec<SampledParts>)> {
        let mut all: Vec<(Advantage, Vec<SampledParts>)> = Advantage::ALL
            .map(|advantage| (advantage, Vec::new()))
            .into();
        for actions in &self.groups {
            let gram: Vec<f64> = (actions.iter())
                .flat_map(|&a| {
                    let pair = move |&b: &usize| reading.gram((a, rows.row(a)), (b, rows.row(b)));
                    actions.iter().map(pair)
                })
                .collect();
            let y = reading.task.policy().y;
            let rewards: Vec<f64> = (actions.iter())
                .map(|&a| if a == y { 1.0 } else { 0.0 })
                .collect();
            for (advantage, parts) in &mut all {
                let advantages = advantage.of_group(&rewards);
                parts.extend(reading.task.sampled(actions, &advantages, &gram));
            }
        }
        all
    }
}

/// The head's rows of every slot that was drawn anywhere.
pub(super) struct Rows {
    places: BTreeMap<usize, usize>,
    values: Vec<f64>,
    width: usize,
}

impl Rows {
    pub(super) fn of(
        answers: &Answers,
        hidden: Hidden,
        vocab: Vocab,
        drawn: &[Drawn],
    ) -> Result<Rows> {
        let slots: BTreeSet<usize> = (drawn.iter())
            .flat_map(|drawn| drawn.groups.iter().flatten().copied())
            .collect();
        let slots: Vec<usize> = slots.into_iter().collect();
        Ok(Rows {
            values: rows_of(answers, hidden, vocab, &slots)?,
            width: answers.model.config().hidden_size,
            places: slots.into_iter().zip(0..).collect(),
        })
    }

    fn row(&self, slot: usize) -> &[f64] {
        let place = self.places[&slot];
        &self.values[place * self.width..(place + 1) * self.width]
    }
}
