//! Scores as variables over checkpoints, and one learning rate's targets.
//!
//! Ranks are all that counts here, and many variants order the checkpoints in
//! the same way: every statistic is worked out once per order.
use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{
    diagnostic::nearest,
    stages::rows::{ImpactRow, ScoreRow, Target, budgets, step_difference},
    stats::{BootstrapRows, RowRanks, ranks, spearman},
};

/// A score or baseline over all checkpoints.
pub(super) struct Variable<'a> {
    /// The row of the first step, for the fields that say what it is.
    pub(super) row: &'a ScoreRow,
    /// By step, ascending.
    pub(super) values: Vec<f64>,
    /// Place in [`Variables::orders`].
    pub(super) order: usize,
}

pub(super) struct Variables<'a> {
    /// In the order of the table.
    pub(super) all: Vec<Variable<'a>>,
    pub(super) steps: BTreeSet<i64>,
    /// One variable, by place in `all`, for each different order of checkpoints.
    pub(super) orders: Vec<usize>,
}

impl<'a> Variables<'a> {
    pub(super) fn of(scores: &'a [ScoreRow]) -> Result<Variables<'a>> {
        let steps: BTreeSet<i64> = scores.iter().map(|row| row.step).collect();
        let mut place: HashMap<&str, usize> = HashMap::new();
        let mut columns: Vec<BTreeMap<i64, &ScoreRow>> = Vec::new();
        for row in scores {
            let next = place.len();
            let at = *place.entry(&row.score).or_insert(next);
            if at == columns.len() {
                columns.push(BTreeMap::new());
            }
            let twice = columns[at].insert(row.step, row).is_some();
            ensure!(
                !twice,
                "score `{}` stands twice at step {}",
                row.score,
                row.step
            );
        }
        let (mut all, mut orders) = (Vec::new(), Vec::new());
        let mut known: HashMap<Vec<u64>, usize> = HashMap::new();
        for column in columns {
            let row = *column.values().next().context("a score has a row")?;
            if let Some(step) = steps.iter().find(|step| !column.contains_key(step)) {
                bail!("score `{}` has no value at step {step}", row.score);
            }
            let values: Vec<f64> = column.values().map(|row| row.value).collect();
            let ranked = ranks(&values).context("a table holds finite values")?;
            let bits = ranked.iter().map(|rank| rank.to_bits()).collect();
            let order = *known.entry(bits).or_insert_with(|| {
                orders.push(all.len());
                orders.len() - 1
            });
            all.push(Variable { row, values, order });
        }
        Ok(Variables { all, steps, orders })
    }

    pub(super) fn find(&self, name: &str) -> Option<&Variable<'a>> {
        self.all.iter().find(|variable| variable.row.score == name)
    }

    /// The variable of a name, else an error with the nearest one, if one is near.
    pub(super) fn named(&self, name: &str) -> Result<&Variable<'a>> {
        self.find(name).with_context(|| {
            let names = self.all.iter().map(|variable| variable.row.score.as_str());
            let near = nearest(name, names).map(|near| format!("; nearest is `{near}`"));
            format!("scores have no `{name}`{}", near.unwrap_or_default())
        })
    }
}

/// One target over the checkpoints.
pub(super) struct TargetValues {
    pub(super) target: Target,
    pub(super) values: Vec<f64>,
    pub(super) ranks: RowRanks,
}

impl TargetValues {
    /// Spearman's rho of a variable with the target; `None` where either is constant.
    pub(super) fn rho(&self, values: &[f64]) -> Option<f64> {
        spearman(values, &self.values).map(|found| found.rho)
    }
}

/// One learning rate's gains beside the scores.
pub(super) struct Ladder<'a> {
    pub(super) learning_rate: f64,
    pub(super) variables: &'a Variables<'a>,
    pub(super) impact: Vec<&'a ImpactRow>,
    /// gain_mean, each gain_k, r_after_mean.
    pub(super) targets: Vec<TargetValues>,
    pub(super) bootstraps: &'a BootstrapRows,
}

impl<'a> Ladder<'a> {
    pub(super) fn of(
        learning_rate: f64,
        impact: Vec<&'a ImpactRow>,
        variables: &'a Variables<'a>,
        bootstraps: &'a BootstrapRows,
    ) -> Result<Ladder<'a>> {
        let steps: BTreeSet<i64> = impact.iter().map(|row| row.step).collect();
        let named = (("scores", &variables.steps), ("impact rows", &steps));
        if let Some(difference) = step_difference(named.0, named.1) {
            bail!("at learning rate {learning_rate:e}, {difference}");
        }
        ensure!(
            steps.len() == impact.len(),
            "at learning rate {learning_rate:e}, impact has a step twice"
        );
        let per_budget = budgets(&impact).into_iter().map(Target::Gain);
        let targets = std::iter::once(Target::GainMean)
            .chain(per_budget)
            .chain([Target::RAfterMean])
            .map(|target| {
                let values = target.of(&impact);
                let ranks = RowRanks::of_bootstrap(&values, bootstraps)
                    .context("a table holds finite values")?;
                Ok(TargetValues {
                    target,
                    values,
                    ranks,
                })
            })
            .collect::<Result<Vec<TargetValues>>>()?;
        Ok(Ladder {
            learning_rate,
            variables,
            impact,
            targets,
            bootstraps,
        })
    }

    /// The ranks of a variable, or of its negative, within each resample.
    pub(super) fn ranks(&self, values: &[f64]) -> RowRanks {
        RowRanks::of_bootstrap(values, self.bootstraps)
            .expect("variables are finite and as long as the ladder")
    }

    /// The target of the primary test.
    pub(super) fn gain_mean(&self) -> &TargetValues {
        &self.targets[0]
    }

    pub(super) fn r_before(&self) -> Vec<f64> {
        self.impact
            .iter()
            .map(|row| row.measures.r_before)
            .collect()
    }
}
