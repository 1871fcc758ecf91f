//! The runs of one learning rate: complete, consistent, averaged.
use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail, ensure};

use crate::{
    stages::rows::{ImpactRow, Measures, RewardRow, SeedRow, WideRow, step_difference},
    stats::summary,
};

/// How far `gain` may lie from r_after - r_before, in reward units: what
/// printing with six digits loses.
const GAIN_TOLERANCE: f64 = 1e-6;
/// Missing runs named in an error.
const NAMED: usize = 3;

/// The runs with one learning rate: the same budgets and seeds from every step.
pub(super) struct Runs<'a> {
    learning_rate: f64,
    budgets: BTreeSet<i64>,
    seeds: BTreeSet<i64>,
    /// By (step, rl_seed, updates).
    rows: BTreeMap<(i64, i64, i64), &'a RewardRow>,
}

impl<'a> Runs<'a> {
    pub(super) fn of(
        learning_rate: f64,
        rows: &[&'a RewardRow],
        scores: &[WideRow],
    ) -> Result<Runs<'a>> {
        let mut runs = Runs {
            learning_rate,
            budgets: rows.iter().map(|row| row.updates).collect(),
            seeds: rows.iter().map(|row| row.rl_seed).collect(),
            rows: BTreeMap::new(),
        };
        for &row in rows {
            let at = (row.step, row.rl_seed, row.updates);
            let place = || {
                format!(
                    "rewards at learning rate {learning_rate:e}, step {}, rl_seed {}, updates {}",
                    row.step, row.rl_seed, row.updates
                )
            };
            ensure!(row.updates > 0, "{}: updates must be positive", place());
            let gap = row.gain - (row.r_after - row.r_before);
            ensure!(
                gap.abs() <= GAIN_TOLERANCE,
                "{}: gain {} is not r_after - r_before = {}",
                place(),
                row.gain,
                row.r_after - row.r_before
            );
            // A longer run of a family repeats the rows of a shorter one.
            if runs.rows.insert(at, row).is_some_and(|other| other != row) {
                bail!("{} stand twice with different values", place());
            }
        }
        let steps: BTreeSet<i64> = rows.iter().map(|row| row.step).collect();
        let scored: BTreeSet<i64> = scores.iter().map(|row| row.step).collect();
        if let Some(difference) = step_difference(("rewards", &steps), ("scores", &scored)) {
            bail!("at learning rate {learning_rate:e}, {difference}");
        }
        runs.ensure_complete(&steps)?;
        Ok(runs)
    }

    fn ensure_complete(&self, steps: &BTreeSet<i64>) -> Result<()> {
        let (mut missing, mut count, mut total) = (Vec::new(), 0, 0);
        for &step in steps {
            for &seed in &self.seeds {
                for &updates in &self.budgets {
                    total += 1;
                    if !self.rows.contains_key(&(step, seed, updates)) {
                        count += 1;
                        if count <= NAMED {
                            missing.push(format!("step {step}, rl_seed {seed}, updates {updates}"));
                        }
                    }
                }
            }
        }
        let more = if count > NAMED { " and others" } else { "" };
        ensure!(
            count == 0,
            "rewards at learning rate {:e} miss {count} of {total} runs: {}{more}",
            self.learning_rate,
            missing.join("; ")
        );
        Ok(())
    }

    /// One row per RL seed.
    pub(super) fn by_seed(&self, step: i64) -> Vec<SeedRow> {
        let row = |&rl_seed: &i64| {
            let at = |updates: &i64| self.rows[&(step, rl_seed, *updates)];
            let runs: Vec<&RewardRow> = self.budgets.iter().map(at).collect();
            let mut by_budget = BTreeMap::new();
            for run in &runs {
                by_budget.insert(format!("r_after_k{}", run.updates), run.r_after);
                by_budget.insert(format!("gain_k{}", run.updates), run.r_after - run.r_before);
            }
            SeedRow {
                step,
                learning_rate: self.learning_rate,
                rl_seed,
                r_before: mean(runs.iter().map(|run| run.r_before)),
                r_after_mean: mean(runs.iter().map(|run| run.r_after)),
                gain_mean: mean(runs.iter().map(|run| run.r_after - run.r_before)),
                by_budget,
            }
        };
        self.seeds.iter().map(row).collect()
    }

    pub(super) fn impact(&self, wide: &WideRow, by_seed: &[SeedRow]) -> ImpactRow {
        let over_seeds = |of: &dyn Fn(&SeedRow) -> f64| mean(by_seed.iter().map(of));
        let names = by_seed.iter().take(1).flat_map(|row| row.by_budget.keys());
        let by_budget: BTreeMap<String, f64> = names
            .map(|name| (name.clone(), over_seeds(&|row| row.by_budget[name])))
            .collect();
        let gains: Vec<f64> = self
            .budgets
            .iter()
            .map(|k| by_budget[&format!("gain_k{k}")])
            .collect();
        let gain_means: Vec<f64> = by_seed.iter().map(|row| row.gain_mean).collect();
        ImpactRow {
            step: wide.step,
            tokens: wide.tokens,
            learning_rate: self.learning_rate,
            n_rl_seeds: by_seed.len() as i64,
            r_after_mean: over_seeds(&|row| row.r_after_mean),
            gain_mean: mean(gains.iter().copied()),
            gain_sd_budget: summary(&gains).map_or(f64::NAN, |gains| gains.sd_population),
            gain_sd_seed: summary(&gain_means).and_then(|gains| gains.sd_sample),
            measures: Measures {
                r_before: over_seeds(&|row| row.r_before),
                ..wide.measures
            },
            by_budget,
        }
    }
}

/// Of budgets or seeds, of which completeness has left at least one.
fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let n = values.len() as f64;
    values.sum::<f64>() / n
}
