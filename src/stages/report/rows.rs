//! Rows of the analysis tables, as the report reads them, and what the report
//! takes from each. The columns' meaning stands in the schemas.
use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{
    report::{
        Affine, Axis, BudgetPoint, Checkpoint, Choice, Comparison, Correlation, Impact, Measures,
        Reading, Role, SensitivityRow, Verdict,
    },
    stages::rows::{self, ImpactRow, WideRow},
};

/// A row of `affine`.
#[derive(Debug, Deserialize)]
pub(super) struct AffineRow {
    pub(super) learning_rate: f64,
    pub(super) target: String,
    n: usize,
    slope: Option<f64>,
    intercept: Option<f64>,
    r2: Option<f64>,
    loo_rmse: Option<f64>,
}

/// A row of `sensitivity`.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct CorrelationRow {
    pub(super) score: String,
    signal: Option<String>,
    advantage: Option<String>,
    group: Option<String>,
    estimator: Option<String>,
    hidden: Option<String>,
    vocab: String,
    headroom: String,
    alpha: Option<f64>,
    pub(super) baseline: bool,
    pub(super) learning_rate: f64,
    pub(super) target: String,
    n: usize,
    pub(super) rho: Option<f64>,
    boot_lo: Option<f64>,
    boot_hi: Option<f64>,
    boot_dropped: u64,
    perm_p: Option<f64>,
    perm_p_max: Option<f64>,
    partial_rho_r_before: Option<f64>,
    delta_rho_p1mp: Option<f64>,
    delta_lo: Option<f64>,
    delta_hi: Option<f64>,
}

/// A row of `comparisons`.
#[derive(Debug, Deserialize)]
pub(super) struct ComparisonRow {
    pub(super) learning_rate: f64,
    baseline: String,
    delta: Option<f64>,
    delta_lo: Option<f64>,
    delta_hi: Option<f64>,
}

/// A row of `readings`.
#[derive(Debug, Deserialize)]
pub(super) struct ReadingRow {
    pub(super) learning_rate: f64,
    predictor: String,
    target: String,
    over: String,
    rho: Option<f64>,
    spread: Option<f64>,
    n: usize,
}

/// A row of `recommendation`.
#[derive(Debug, Deserialize)]
pub(super) struct ChoiceRow {
    pub(super) learning_rate: Option<f64>,
    rule: String,
    role: Role,
    step: Option<u64>,
    predicted_gain: Option<f64>,
    measured_gain: Option<f64>,
    regret: Option<f64>,
    regret_normalised: Option<f64>,
    distinguishable: Option<bool>,
    ties: Option<String>,
}

impl From<&AffineRow> for Affine {
    fn from(row: &AffineRow) -> Affine {
        Affine {
            slope: row.slope,
            intercept: row.intercept,
            r2: row.r2,
            n: row.n,
            loo_rmse: row.loo_rmse,
        }
    }
}

impl From<&CorrelationRow> for Correlation {
    fn from(row: &CorrelationRow) -> Correlation {
        Correlation {
            score: row.score.clone(),
            baseline: row.baseline,
            target: row.target.clone(),
            n: row.n,
            rho: row.rho,
            boot_lo: row.boot_lo,
            boot_hi: row.boot_hi,
            boot_dropped: row.boot_dropped,
            perm_p: row.perm_p,
        }
    }
}

impl From<&CorrelationRow> for SensitivityRow {
    fn from(row: &CorrelationRow) -> SensitivityRow {
        let said = |part: &Option<String>| part.clone().unwrap_or_default();
        SensitivityRow {
            score: row.score.clone(),
            signal: said(&row.signal),
            advantage: said(&row.advantage),
            group: said(&row.group),
            estimator: said(&row.estimator),
            hidden: said(&row.hidden),
            vocab: row.vocab.clone(),
            headroom: row.headroom.clone(),
            alpha: row.alpha,
            learning_rate: row.learning_rate,
            target: row.target.clone(),
            n: row.n,
            rho: row.rho,
            boot_lo: row.boot_lo,
            boot_hi: row.boot_hi,
            perm_p: row.perm_p,
            perm_p_max: row.perm_p_max,
            partial_rho_r_before: row.partial_rho_r_before,
            delta_rho_p1mp: row.delta_rho_p1mp,
            delta_lo: row.delta_lo,
            delta_hi: row.delta_hi,
        }
    }
}

impl From<&ComparisonRow> for Comparison {
    fn from(row: &ComparisonRow) -> Comparison {
        Comparison {
            baseline: row.baseline.clone(),
            delta: row.delta,
            lo: row.delta_lo,
            hi: row.delta_hi,
        }
    }
}

impl ReadingRow {
    /// A bar of figure 5; rows of the mean have no spread and are not drawn.
    pub(super) fn bar(&self) -> Option<Reading> {
        let over = match self.over.as_str() {
            "budgets" => Axis::Budgets,
            "rl-seeds" => Axis::RlSeeds,
            _ => return None,
        };
        Some(Reading {
            predictor: self.predictor.clone(),
            target: format!("{}_mean", self.target),
            over,
            rho: self.rho,
            spread: self.spread,
            n: self.n,
        })
    }
}

impl From<&ChoiceRow> for Choice {
    fn from(row: &ChoiceRow) -> Choice {
        let ties = row.ties.as_deref().unwrap_or_default().split(',');
        Choice {
            role: row.role,
            rule: row.rule.clone(),
            step: row.step,
            predicted: row.predicted_gain,
            measured: row.measured_gain,
            regret: row.regret,
            regret_normalised: row.regret_normalised,
            verdict: match row.distinguishable {
                Some(true) => Verdict::Distinguishable,
                Some(false) => Verdict::NotDistinguishable,
                None => Verdict::Undefined,
            },
            ties: ties.filter_map(|step| step.trim().parse().ok()).collect(),
        }
    }
}

impl From<&WideRow> for Checkpoint {
    fn from(row: &WideRow) -> Checkpoint {
        checkpoint(row.step, row.tokens, &row.measures)
    }
}

impl From<&ImpactRow> for Impact {
    fn from(row: &ImpactRow) -> Impact {
        Impact {
            checkpoint: checkpoint(row.step, row.tokens, &row.measures),
            n_rl_seeds: row.n_rl_seeds as u32,
            budgets: budget_points(&row.by_budget),
            r_after_mean: Some(row.r_after_mean),
            gain_mean: Some(row.gain_mean),
            gain_sd_budget: Some(row.gain_sd_budget),
            gain_sd_seed: row.gain_sd_seed,
        }
    }
}

fn checkpoint(step: i64, tokens: Option<i64>, measured: &rows::Measures) -> Checkpoint {
    Checkpoint {
        step: step as u64,
        tokens: tokens.map(|tokens| tokens as f64),
        r_before: Some(measured.r_before),
        measures: Measures {
            sigma: Some(measured.sigma),
            ip: Some(measured.ip),
            lambda_ps: Some(measured.lambda_ps),
            lambda_cond: Some(measured.lambda_cond),
            headroom: Some(measured.headroom),
            score_headline: Some(measured.score_headline),
            score_literal: Some(measured.score_literal),
            score_literal_eq28: Some(measured.score_literal_eq28),
            p1mp: Some(measured.p1mp),
            entropy: Some(measured.entropy),
            zero_var_share: Some(measured.zero_var_share),
            label_mass: Some(measured.label_mass),
        },
    }
}

/// `gain_k10` and `r_after_k10` to one point for each K, ascending.
fn budget_points(by_budget: &BTreeMap<String, f64>) -> Vec<BudgetPoint> {
    let gains = by_budget.iter().filter_map(|(name, gain)| {
        let budget: u32 = name.strip_prefix("gain_k")?.parse().ok()?;
        let r_after = by_budget.get(&format!("r_after_k{budget}")).copied();
        Some(BudgetPoint {
            budget,
            r_after,
            gain: Some(*gain),
        })
    });
    let mut points: Vec<BudgetPoint> = gains.collect();
    points.sort_by_key(|point| point.budget);
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_sort_by_number() {
        let columns = [
            ("gain_k10", 0.1),
            ("gain_k5", 0.05),
            ("r_after_k5", 0.55),
            ("r_after_k10", 0.6),
        ];
        let by_budget = columns.map(|(name, value)| (name.to_owned(), value)).into();
        let points = budget_points(&by_budget);
        let plain: Vec<_> = points
            .iter()
            .map(|point| (point.budget, point.gain, point.r_after))
            .collect();
        assert_eq!(
            plain,
            [(5, Some(0.05), Some(0.55)), (10, Some(0.1), Some(0.6))]
        );
    }
}
