//! What a run has seen so far: kept in resume state, told in tables.
use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context as _, Result};
use polars::prelude::{DataFrame, NamedFrom, Series};
use serde::{Deserialize, Serialize};

use crate::{
    disk,
    lm::Tokenizer,
    rl::{Step, Update},
    stats::mean_of,
};

const FILE: &str = "history.json";

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct History {
    /// E p_y over the eval prompts at the checkpoint.
    pub(super) r_before: f64,
    pub(super) updates: Vec<Update>,
}

/// A row of the table `training-log`.
#[derive(Debug, Serialize)]
pub(super) struct LogRow {
    update: u64,
    loss: f64,
    reward_mean: f64,
    k3_mean: f64,
    clip_fraction: f64,
    ratio_min: f64,
    ratio_max: f64,
    grad_norm: f64,
    zero_variance_groups: usize,
    entropy: f64,
}

impl History {
    pub(super) fn save(&self, folder: &Path) -> Result<()> {
        let path = folder.join(FILE);
        let text = serde_json::to_vec(self).context("the history as JSON")?;
        disk::write(&path, text)
    }

    pub(super) fn load(folder: &Path) -> Result<History> {
        let path = folder.join(FILE);
        let text = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("read {}", path.display()))
    }

    /// One row per update: means over its optimizer steps, but the extremes of
    /// the ratio.
    pub(super) fn log(&self) -> Vec<LogRow> {
        let row = |update: &Update| {
            let steps = &update.steps;
            let over =
                |field: fn(&Step) -> f64| mean_of(&steps.iter().map(field).collect::<Vec<_>>());
            let ratios = steps.iter().map(|step| (step.ratio_min, step.ratio_max));
            let (ratio_min, ratio_max) = ratios
                .reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
                .unwrap_or((1.0, 1.0));
            LogRow {
                update: update.update,
                loss: over(|step| step.loss),
                reward_mean: mean_of(&update.rewards),
                k3_mean: over(|step| step.k3_mean),
                clip_fraction: over(|step| step.clip_fraction),
                ratio_min,
                ratio_max,
                grad_norm: over(|step| step.grad_norm),
                zero_variance_groups: update.zero_variance_groups,
                entropy: update.entropy,
            }
        };
        self.updates.iter().map(row).collect()
    }

    /// One row per action. Built by column: a run has thousands of rows.
    pub(super) fn rollouts(&self, n: usize, tokenizer: &Tokenizer) -> Result<DataFrame> {
        let mut texts: BTreeMap<u32, String> = BTreeMap::new();
        let (mut update, mut prompt, mut sample) = (Vec::new(), Vec::new(), Vec::new());
        let (mut action, mut action_text) = (Vec::new(), Vec::new());
        for made in &self.updates {
            for (i, &a) in made.actions.iter().enumerate() {
                update.push(made.update as i64);
                prompt.push(made.prompts[i / n] as i64);
                sample.push((i % n) as i64);
                action.push(i64::from(a));
                // rows of the vocabulary that only pad it have no text
                let text = texts
                    .entry(a)
                    .or_insert_with(|| tokenizer.decode(&[a]).unwrap_or_default());
                action_text.push(text.clone());
            }
        }
        let height = update.len();
        let floats = |name: &str, field: fn(&Update) -> &[f64]| {
            let all: Vec<f64> = self.updates.iter().flat_map(field).copied().collect();
            Series::new(name.into(), all).into()
        };
        let columns = vec![
            Series::new("update".into(), update).into(),
            Series::new("prompt".into(), prompt).into(),
            Series::new("sample".into(), sample).into(),
            Series::new("action".into(), action).into(),
            Series::new("action_text".into(), action_text).into(),
            floats("reward", |made| &made.rewards),
            floats("advantage", |made| &made.advantages),
            floats("logp_old", |made| &made.log_prob_old),
            floats("logp_ref", |made| &made.log_prob_reference),
        ];
        Ok(DataFrame::new(height, columns)?)
    }
}
