//! The input of the report: plain data, one struct per table that feeds it.
//!
//! Everything that may be missing is an `Option` or an empty list. A value
//! that is not finite counts as missing (JSON writes it as null anyway).
//! Rewards are in reward units (0 to 1 for the label task), steps are
//! optimizer steps of pretraining, times are seconds.
use serde::{Deserialize, Serialize};

/// All that one report tells.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Data {
    /// Heading of the page.
    pub title: String,
    /// The wide table of `scores`: what was known before any RL.
    pub checkpoints: Vec<Checkpoint>,
    /// One entry per RL learning rate, never averaged over them; empty before any RL.
    pub learning_rates: Vec<PerRate>,
    /// What `recommend` says from the scores alone, where there is no RL to calibrate on.
    pub uncalibrated: Vec<Choice>,
    /// The learning rate that the primary test named beforehand; else the first one answers.
    pub primary_learning_rate: Option<f64>,
    pub sensitivity: Sensitivity,
    /// What was paid, per stage kind. Durations differ between runs, so a cached
    /// body leaves this empty and `Surroundings` carries it.
    pub cost: Vec<Cost>,
    /// Figure 2: measured gap against the bound.
    pub gap: Vec<GapPoint>,
    /// Sentences of other stages that a reader must see, such as dropped rows.
    pub warnings: Vec<String>,
}

/// One checkpoint before RL: a row of the wide `scores` table.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    pub step: u64,
    pub tokens: Option<f64>,
    /// Expected reward on the eval prompts, E_q p_y.
    pub r_before: Option<f64>,
    pub measures: Measures,
}

/// The measured quantities of a checkpoint with the default readings.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Measures {
    /// Signal, eq. 26.
    pub sigma: Option<f64>,
    /// Transmitted signal, the inner product of eq. 24.
    pub ip: Option<f64>,
    /// Lost signal per sample, at the default group size.
    pub lambda_ps: Option<f64>,
    /// Lost signal of the conditional costate, at the default group size.
    pub lambda_cond: Option<f64>,
    /// Headroom per prompt, eq. 28.
    pub headroom: Option<f64>,
    /// IP times headroom.
    pub score_headline: Option<f64>,
    /// (Sigma - Lambda_ps) times pooled headroom.
    pub score_literal: Option<f64>,
    /// (Sigma - Lambda_ps) times headroom per prompt, eq. 29 to the letter.
    pub score_literal_eq28: Option<f64>,
    /// E_q p(1-p).
    pub p1mp: Option<f64>,
    /// Nats, full vocabulary.
    pub entropy: Option<f64>,
    /// E_q[p^n + (1-p)^n]: the share of groups without variance.
    pub zero_var_share: Option<f64>,
    /// Probability mass on the labels.
    pub label_mass: Option<f64>,
}

/// What RL with one learning rate gave.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PerRate {
    pub learning_rate: f64,
    /// Rows of `impact` in ascending order of step.
    pub impact: Vec<Impact>,
    /// The fit of gain_mean on the headline score.
    pub affine: Option<Affine>,
    /// Score and baselines against their targets.
    pub correlations: Vec<Correlation>,
    /// Headline minus each baseline, target gain_mean.
    pub comparisons: Vec<Comparison>,
    /// Figure 5.
    pub readings: Vec<Reading>,
    /// Rows of `recommend`.
    pub choices: Vec<Choice>,
    /// The tolerance of the earliest checkpoint, reward units.
    pub tolerance: Option<f64>,
}

/// One row of `impact`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Impact {
    pub checkpoint: Checkpoint,
    pub n_rl_seeds: u32,
    /// Per budget K, ascending.
    pub budgets: Vec<BudgetPoint>,
    pub r_after_mean: Option<f64>,
    pub gain_mean: Option<f64>,
    /// Population standard deviation over budgets: they are nested, so no error bar.
    pub gain_sd_budget: Option<f64>,
    /// Sample standard deviation of gain_mean over RL seeds.
    pub gain_sd_seed: Option<f64>,
}

/// One budget of one checkpoint, mean over RL seeds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct BudgetPoint {
    /// Updates.
    pub budget: u32,
    pub r_after: Option<f64>,
    pub gain: Option<f64>,
}

/// Least squares gain = slope * score + intercept over checkpoints.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Affine {
    pub slope: Option<f64>,
    pub intercept: Option<f64>,
    pub r2: Option<f64>,
    pub n: usize,
    /// Leave-one-out root mean squared error, reward units.
    pub loo_rmse: Option<f64>,
}

impl Affine {
    /// The predicted gain of a score, None where anything is missing or not finite.
    pub fn predict(&self, score: Option<f64>) -> Option<f64> {
        let gain = self.slope? * score? + self.intercept?;
        gain.is_finite().then_some(gain)
    }
}

/// A rank correlation over the checkpoints of one ladder.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Correlation {
    /// `headline`, `literal`, `sigma`, `r_before`, ...
    pub score: String,
    /// True for what the score has to beat.
    pub baseline: bool,
    /// `gain_mean`, `gain_k30`, `r_after_mean`.
    pub target: String,
    pub n: usize,
    /// Spearman; None where undefined (constant input, too few points).
    pub rho: Option<f64>,
    pub boot_lo: Option<f64>,
    pub boot_hi: Option<f64>,
    pub boot_dropped: u64,
    /// Two-sided permutation p-value, descriptive within a ladder.
    pub perm_p: Option<f64>,
}

/// rho of the headline score minus rho of a baseline, paired bootstrap interval.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    pub baseline: String,
    pub delta: Option<f64>,
    pub lo: Option<f64>,
    pub hi: Option<f64>,
}

/// One bar of figure 5.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// `score`, `r_before` or `combined`.
    pub predictor: String,
    /// `gain_mean` or `r_after_mean`.
    pub target: String,
    pub over: Axis,
    /// Mean of rho over the axis.
    pub rho: Option<f64>,
    /// Standard deviation of rho over the axis.
    pub spread: Option<f64>,
    /// How many budgets or seeds.
    pub n: usize,
}

/// What the spread of a bar is taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Axis {
    Budgets,
    RlSeeds,
}

/// One row of `recommend`: what a rule picks and how that turned out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    pub role: Role,
    /// Name of the rule in tables: `headline`, `literal`, `last`, `random`, ...
    pub rule: String,
    /// None where the rule names no single checkpoint (a random pick's expectation).
    pub step: Option<u64>,
    /// Predicted gain, reward units.
    pub predicted: Option<f64>,
    /// Measured mean gain, reward units.
    pub measured: Option<f64>,
    /// Best measured gain minus the one at `step`, reward units.
    pub regret: Option<f64>,
    /// Regret divided by (max - min) of the measured gains.
    pub regret_normalised: Option<f64>,
    pub verdict: Verdict,
    /// Steps whose intervals overlap the picked one's.
    pub ties: Vec<u64>,
}

/// Which question a choice answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// N*: the largest predicted gain. The answer of the report.
    LargestGain,
    /// The largest predicted final reward.
    FinalReward,
    /// The earliest checkpoint within the tolerance of the largest final reward.
    Earliest,
    /// Another score or rule, for comparison.
    Baseline,
}

/// Whether the numbers single the choice out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    Distinguishable,
    /// Intervals overlap; `ties` may name with which steps.
    NotDistinguishable,
    /// No interval could be made.
    Undefined,
}

/// The head of the `sensitivity` table.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Sensitivity {
    /// The rows to show, in the order to show them; all of them or the top ones.
    pub rows: Vec<SensitivityRow>,
    /// Rows in the whole table.
    pub total: usize,
}

/// One row of `sensitivity`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SensitivityRow {
    pub score: String,
    pub signal: String,
    pub advantage: String,
    pub group: String,
    pub estimator: String,
    pub hidden: String,
    pub vocab: String,
    pub headroom: String,
    pub alpha: Option<f64>,
    pub learning_rate: f64,
    pub target: String,
    pub n: usize,
    pub rho: Option<f64>,
    pub boot_lo: Option<f64>,
    pub boot_hi: Option<f64>,
    pub perm_p: Option<f64>,
    /// p-value against the largest |rho| of all variants under permutation.
    pub perm_p_max: Option<f64>,
    pub partial_rho_r_before: Option<f64>,
    pub delta_rho_p1mp: Option<f64>,
    pub delta_lo: Option<f64>,
    pub delta_hi: Option<f64>,
}

/// What the stages of one kind took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    pub kind: String,
    pub phase: Phase,
    /// Stage instances.
    pub count: usize,
    /// Sum of their durations; None where a record has none.
    pub seconds: Option<f64>,
}

/// What a cost was paid for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Data and checkpoints.
    Ladder,
    /// What is known before any RL.
    Scores,
    /// Reinforcement learning.
    Rl,
    /// Fits, tables, this report.
    Analysis,
}

/// One point of figure 2.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct GapPoint {
    pub step: u64,
    /// Mode of the figure: `costate-error`, `sampling-jacobian`, `missing`.
    pub mode: String,
    pub measured: Option<f64>,
    pub bound: Option<f64>,
}
