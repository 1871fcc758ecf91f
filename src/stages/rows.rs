//! Rows of the nominal tables that several kinds share, as Rust structs. A
//! field is a column; its unit and meaning stand in the schema.
use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A row of `signal`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SignalRow {
    pub(crate) step: i64,
    pub(crate) tokens: Option<i64>,
    pub(crate) hidden: String,
    pub(crate) vocab: String,
    pub(crate) advantage: String,
    pub(crate) group: String,
    pub(crate) estimator: String,
    pub(crate) n_prompts: i64,
    pub(crate) sigma: f64,
    pub(crate) ip: f64,
    pub(crate) lambda_cond: Option<f64>,
    pub(crate) lambda_ps: f64,
    pub(crate) lambda_group: Option<f64>,
    pub(crate) s_cond: Option<f64>,
    pub(crate) s_ps: f64,
    pub(crate) s_group: Option<f64>,
    pub(crate) se_ip: Option<f64>,
    pub(crate) se_lambda_ps: Option<f64>,
    pub(crate) se_lambda_group: Option<f64>,
    pub(crate) r_before: f64,
    pub(crate) p1mp: f64,
    pub(crate) p1mp_of_mean: f64,
    pub(crate) entropy: f64,
    pub(crate) zero_var_share: f64,
    pub(crate) label_mass: f64,
}

/// A row of `headroom`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct HeadroomRow {
    pub(crate) step: i64,
    pub(crate) tokens: Option<i64>,
    pub(crate) vocab: String,
    pub(crate) kind: String,
    pub(crate) alpha: f64,
    pub(crate) value: f64,
}

/// A row of `scores`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ScoreRow {
    pub(crate) step: i64,
    pub(crate) score: String,
    pub(crate) signal: Option<String>,
    pub(crate) advantage: Option<String>,
    pub(crate) group: Option<String>,
    pub(crate) estimator: Option<String>,
    pub(crate) hidden: Option<String>,
    pub(crate) vocab: String,
    pub(crate) headroom: String,
    pub(crate) alpha: Option<f64>,
    pub(crate) value: f64,
}

/// What is measured of a checkpoint with the default readings: columns that
/// `scores-wide` and `impact` share.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measures {
    pub(crate) sigma: f64,
    pub(crate) ip: f64,
    pub(crate) lambda_ps: f64,
    pub(crate) lambda_cond: f64,
    pub(crate) headroom: f64,
    pub(crate) score_headline: f64,
    pub(crate) score_literal: f64,
    pub(crate) score_literal_eq28: f64,
    pub(crate) r_before: f64,
    pub(crate) p1mp: f64,
    pub(crate) p1mp_of_mean: f64,
    pub(crate) entropy: f64,
    pub(crate) zero_var_share: f64,
    pub(crate) label_mass: f64,
}

/// A row of `scores-wide`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct WideRow {
    pub(crate) step: i64,
    pub(crate) tokens: Option<i64>,
    #[serde(flatten)]
    pub(crate) measures: Measures,
}

/// A row of `rewards`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RewardRow {
    pub(crate) step: i64,
    pub(crate) learning_rate: f64,
    pub(crate) rl_seed: i64,
    pub(crate) updates: i64,
    pub(crate) r_before: f64,
    pub(crate) r_after: f64,
    pub(crate) gain: f64,
}

/// A row of `impact`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ImpactRow {
    pub(crate) step: i64,
    pub(crate) tokens: Option<i64>,
    pub(crate) learning_rate: f64,
    pub(crate) n_rl_seeds: i64,
    pub(crate) r_after_mean: f64,
    pub(crate) gain_mean: f64,
    pub(crate) gain_sd_budget: f64,
    pub(crate) gain_sd_seed: Option<f64>,
    /// As in `scores-wide`, but `r_before` is the runs' own, mean over RL seeds.
    #[serde(flatten)]
    pub(crate) measures: Measures,
    /// `r_after_k{K}` and `gain_k{K}`.
    #[serde(flatten)]
    pub(crate) by_budget: BTreeMap<String, f64>,
}

/// A row of `impact-seeds`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SeedRow {
    pub(crate) step: i64,
    pub(crate) learning_rate: f64,
    pub(crate) rl_seed: i64,
    pub(crate) r_before: f64,
    pub(crate) r_after_mean: f64,
    pub(crate) gain_mean: f64,
    /// `r_after_k{K}` and `gain_k{K}`.
    #[serde(flatten)]
    pub(crate) by_budget: BTreeMap<String, f64>,
}

/// A row of `predictions`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PredictionRow {
    pub(crate) step: i64,
    pub(crate) tokens: Option<i64>,
    pub(crate) learning_rate: f64,
    pub(crate) score: String,
    pub(crate) target: String,
    pub(crate) score_value: f64,
    pub(crate) r_before: f64,
    pub(crate) predicted: Option<f64>,
    pub(crate) measured: f64,
    pub(crate) residual: Option<f64>,
    pub(crate) predicted_loo: Option<f64>,
    pub(crate) predicted_kappa: Option<f64>,
}

/// What a score foretells, as a column of `impact`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    GainMean,
    Gain(u64),
    RAfterMean,
    RAfter(u64),
}

impl Target {
    /// The column's name.
    pub(crate) fn name(self) -> String {
        match self {
            Target::GainMean => "gain_mean".to_owned(),
            Target::Gain(k) => format!("gain_k{k}"),
            Target::RAfterMean => "r_after_mean".to_owned(),
            Target::RAfter(k) => format!("r_after_k{k}"),
        }
    }

    /// The values in rows that have every budget of [`budgets`].
    pub(crate) fn of(self, rows: &[&ImpactRow]) -> Vec<f64> {
        let name = self.name();
        let value = |row: &&ImpactRow| match self {
            Target::GainMean => row.gain_mean,
            Target::RAfterMean => row.r_after_mean,
            Target::Gain(_) | Target::RAfter(_) => row.by_budget[&name],
        };
        rows.iter().map(value).collect()
    }
}

/// The budgets K of a table, ascending. A table fills the same columns in all rows.
pub(crate) fn budgets(rows: &[&ImpactRow]) -> Vec<u64> {
    let names = rows.iter().take(1).flat_map(|row| row.by_budget.keys());
    let mut budgets: Vec<u64> = names
        .filter_map(|name| name.strip_prefix("gain_k")?.parse().ok())
        .collect();
    budgets.sort_unstable();
    budgets
}

/// The rows of each learning rate, ascending, sorted by step. Rates are told
/// apart by their bits: a table writes one rate in one way.
pub(crate) fn by_learning_rate<R>(
    rows: &[R],
    place: impl Fn(&R) -> (f64, i64),
) -> Vec<(f64, Vec<&R>)> {
    let mut groups: Vec<(f64, Vec<&R>)> = Vec::new();
    for row in rows {
        let (rate, _) = place(row);
        match groups
            .iter_mut()
            .find(|(known, _)| known.total_cmp(&rate).is_eq())
        {
            Some((_, group)) => group.push(row),
            None => groups.push((rate, vec![row])),
        }
    }
    groups.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    for (_, group) in &mut groups {
        group.sort_by_key(|row| place(row).1);
    }
    groups
}

/// What two tables' steps lack of each other, in words; `None` where they agree.
pub(crate) fn step_difference(
    (name_a, a): (&str, &BTreeSet<i64>),
    (name_b, b): (&str, &BTreeSet<i64>),
) -> Option<String> {
    let lack = |have: &BTreeSet<i64>, want: &BTreeSet<i64>| {
        let steps: Vec<String> = want.difference(have).map(i64::to_string).collect();
        (!steps.is_empty()).then(|| steps.join(", "))
    };
    match (lack(a, b), lack(b, a)) {
        (None, None) => None,
        (Some(steps), _) => Some(format!("{name_a} lack step {steps}, which {name_b} have")),
        (None, Some(steps)) => Some(format!("{name_b} lack step {steps}, which {name_a} have")),
    }
}

/// A score or baseline that `scores-wide` and `impact` have a column for. The
/// names are those of the long table.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum WideScore {
    /// IP * H (eq. 24 times eq. 28).
    #[default]
    Headline,
    /// (Sigma - Lambda_ps) * H pooled (eq. 29 with sec. 6's headroom).
    Literal,
    /// (Sigma - Lambda_ps) * H per prompt (eq. 28, 29).
    #[serde(rename = "literal-eq28")]
    LiteralEq28,
    /// Sigma (eq. 26).
    Sigma,
    /// IP (eq. 24).
    Ip,
    /// H per prompt (eq. 28).
    Headroom,
    /// E p_y, the reward before RL.
    RBefore,
    /// E p_y (1 - p_y).
    P1mp,
    /// p (1 - p) at p = E p_y.
    P1mpOfMean,
    /// Mean entropy at the answer, nats.
    Entropy,
    /// E[p^n + (1-p)^n].
    ZeroVarShare,
}

impl WideScore {
    pub(crate) fn name(self) -> &'static str {
        match self {
            WideScore::Headline => "headline",
            WideScore::Literal => "literal",
            WideScore::LiteralEq28 => "literal-eq28",
            WideScore::Sigma => "sigma",
            WideScore::Ip => "ip",
            WideScore::Headroom => "headroom",
            WideScore::RBefore => "r_before",
            WideScore::P1mp => "p1mp",
            WideScore::P1mpOfMean => "p1mp_of_mean",
            WideScore::Entropy => "entropy",
            WideScore::ZeroVarShare => "zero_var_share",
        }
    }

    pub(crate) fn of(self, measures: &Measures) -> f64 {
        match self {
            WideScore::Headline => measures.score_headline,
            WideScore::Literal => measures.score_literal,
            WideScore::LiteralEq28 => measures.score_literal_eq28,
            WideScore::Sigma => measures.sigma,
            WideScore::Ip => measures.ip,
            WideScore::Headroom => measures.headroom,
            WideScore::RBefore => measures.r_before,
            WideScore::P1mp => measures.p1mp,
            WideScore::P1mpOfMean => measures.p1mp_of_mean,
            WideScore::Entropy => measures.entropy,
            WideScore::ZeroVarShare => measures.zero_var_share,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_serialized_form() {
        for score in [
            WideScore::Headline,
            WideScore::LiteralEq28,
            WideScore::RBefore,
            WideScore::P1mp,
            WideScore::P1mpOfMean,
            WideScore::ZeroVarShare,
        ] {
            assert_eq!(serde_json::to_value(score).unwrap(), score.name());
        }
    }

    #[test]
    fn rows_group_by_rate_and_sort_by_step() {
        let rows = [(3e-4, 5), (1e-4, 7), (1e-4, 2)];
        let groups = by_learning_rate(&rows, |row| *row);
        assert_eq!(
            groups,
            [
                (1e-4, vec![&(1e-4, 2), &(1e-4, 7)]),
                (3e-4, vec![&(3e-4, 5)])
            ]
        );
    }

    #[test]
    fn steps_that_differ_are_named() {
        let (a, b) = (BTreeSet::from([1, 2]), BTreeSet::from([2, 3, 4]));
        assert_eq!(step_difference(("scores", &a), ("rewards", &a)), None);
        assert_eq!(
            step_difference(("scores", &a), ("rewards", &b)).unwrap(),
            "scores lack step 3, 4, which rewards have"
        );
        assert_eq!(
            step_difference(("scores", &BTreeSet::from([2, 3, 4, 9])), ("rewards", &b)).unwrap(),
            "rewards lack step 9, which scores have"
        );
    }
}
