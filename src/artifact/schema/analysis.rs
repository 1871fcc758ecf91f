//! Tables of what RL gained, the lines through it, and what follows.
use crate::artifact::schema::{Column, Schema};

const REWARD: &str = "reward";
const STEPS: &str = "optimizer steps";
const STEP: Column = Column::int("step", STEPS, "pretraining step of the checkpoint");
const TOKENS: Column = Column::int("tokens", "tokens", "tokens seen in pretraining").nullable();
pub(super) const LEARNING_RATE: Column = Column::float("learning_rate", "", "learning rate of RL");
pub(super) const TARGET: Column = Column::text(
    "target",
    "what is foretold: gain_mean, gain_k{K}, r_after_mean",
);
const R_BEFORE: Column = Column::float("r_before", REWARD, "expected reward before RL");
const R_AFTER_MEAN: Column = Column::float("r_after_mean", REWARD, "r_after, mean over budgets");
const GAIN_MEAN: Column = Column::float("gain_mean", REWARD, "gain, mean over budgets");
const R_AFTER_K: Column =
    Column::float("r_after_k", REWARD, "expected reward after K updates").family();
const GAIN_K: Column = Column::float("gain_k", REWARD, "r_after_k - r_before").family();
pub(super) const N: Column = Column::int("n", "checkpoints", "checkpoints");

/// What RL gained from each checkpoint, beside its scores.
pub const IMPACT: Schema = Schema {
    name: "impact",
    about: "gain of RL and scores, one row per checkpoint and learning rate",
    columns: &[
        STEP,
        TOKENS,
        LEARNING_RATE,
        Column::int("n_rl_seeds", "seeds", "RL seeds averaged over"),
        R_BEFORE,
        R_AFTER_K,
        R_AFTER_MEAN,
        GAIN_K,
        GAIN_MEAN,
        Column::float(
            "gain_sd_budget",
            REWARD,
            "population deviation of gain over budgets; no error bar",
        ),
        Column::float(
            "gain_sd_seed",
            REWARD,
            "sample deviation of gain_mean over RL seeds",
        )
        .nullable(),
        Column::float("sigma", "reward^2 per state^2", "signal (eq. 26)"),
        Column::float("ip", "reward^2 per state^2", "transmitted signal (eq. 24)"),
        Column::float(
            "lambda_ps",
            "reward^2 per state^2",
            "lost signal, per sample (sec. 6)",
        ),
        Column::float(
            "lambda_cond",
            "reward^2 per state^2",
            "lost signal, conditional (eq. 26)",
        ),
        Column::float("headroom", REWARD, "headroom per prompt (eq. 28)"),
        Column::float("score_headline", "", "ip * headroom"),
        Column::float(
            "score_literal",
            "",
            "(sigma - lambda_ps) * pooled headroom (eq. 29)",
        ),
        Column::float(
            "score_literal_eq28",
            "",
            "(sigma - lambda_ps) * headroom (eq. 28, 29)",
        ),
        Column::float("p1mp", "reward^2", "E p_y (1 - p_y)"),
        Column::float("p1mp_of_mean", "reward^2", "p (1 - p) at p = E p_y"),
        Column::float("entropy", "nats", "mean entropy at the answer"),
        Column::float("zero_var_share", "", "share of groups without variance"),
        Column::float("label_mass", "", "probability mass of all labels"),
    ],
};

/// The same gains before they are averaged over RL seeds.
pub const IMPACT_SEEDS: Schema = Schema {
    name: "impact-seeds",
    about: "gain of RL by RL seed, one row per checkpoint, learning rate and seed",
    columns: &[
        STEP,
        LEARNING_RATE,
        Column::int("rl_seed", "", "seed of the RL run"),
        R_BEFORE,
        R_AFTER_K,
        R_AFTER_MEAN,
        GAIN_K,
        GAIN_MEAN,
    ],
};

/// Lines fitted to gain over score.
pub const AFFINE: Schema = Schema {
    name: "affine",
    about: "least squares of gain on a score over checkpoints, one row per learning rate and target",
    columns: &[
        LEARNING_RATE,
        Column::text("score", "the score on the x axis"),
        TARGET,
        N,
        Column::float(
            "slope",
            "reward per score",
            "least squares slope; missing for a constant score",
        )
        .nullable(),
        Column::float("intercept", REWARD, "least squares intercept").nullable(),
        Column::int("slope_sign", "", "-1, 0 or 1: the paper expects 1").nullable(),
        Column::float("r2", "", "1 - SSE / SST; missing for a constant gain").nullable(),
        Column::float(
            "rmse",
            REWARD,
            "root of the mean squared residual, divisor n",
        )
        .nullable(),
        Column::float("loo_rmse", REWARD, "root mean squared leave-one-out error").nullable(),
        Column::float("loo_mae", REWARD, "mean absolute leave-one-out error").nullable(),
        Column::int(
            "loo_undefined",
            "checkpoints",
            "checkpoints without which no line exists",
        )
        .nullable(),
        Column::float(
            "kappa",
            "reward per score",
            "slope without intercept (eq. 30)",
        )
        .nullable(),
        Column::float(
            "kappa_r2_centred",
            "",
            "R2 of the kappa line against the mean",
        )
        .nullable(),
        Column::float(
            "kappa_r2_uncentred",
            "",
            "R2 of the kappa line against zero",
        )
        .nullable(),
    ],
};

/// What the lines say of each checkpoint.
pub const PREDICTIONS: Schema = Schema {
    name: "predictions",
    about: "predicted and measured gain, one row per checkpoint, learning rate and target",
    columns: &[
        STEP,
        TOKENS,
        LEARNING_RATE,
        Column::text("score", "the score on the x axis"),
        TARGET,
        Column::float("score_value", "", "the score of the checkpoint"),
        R_BEFORE,
        Column::float(
            "predicted",
            REWARD,
            "gain by the line through all checkpoints",
        )
        .nullable(),
        Column::float("measured", REWARD, "measured gain"),
        Column::float("residual", REWARD, "measured - predicted").nullable(),
        Column::float(
            "predicted_loo",
            REWARD,
            "gain by the line through the other checkpoints",
        )
        .nullable(),
        Column::float("predicted_kappa", REWARD, "kappa * score (eq. 30)").nullable(),
    ],
};

/// From which checkpoint to start.
pub const RECOMMENDATION: Schema = Schema {
    name: "recommendation",
    about: "the checkpoint that each rule picks and what the pick costs",
    columns: &[
        LEARNING_RATE.nullable(),
        Column::text("rule", "headline, literal, last, random, ..."),
        Column::text("role", "largest-gain, final-reward, earliest or baseline"),
        Column::text(
            "objective",
            "gain or final-reward: what the regret is counted in",
        ),
        Column::int("step", STEPS, "the pick; missing for a random one").nullable(),
        TOKENS,
        Column::float("value", "", "what the rule maximises, at the pick").nullable(),
        Column::float("r_before", REWARD, "expected reward before RL at the pick").nullable(),
        Column::float(
            "predicted_gain",
            REWARD,
            "gain at the pick by the fitted line, in sample",
        )
        .nullable(),
        Column::float("measured_gain", REWARD, "measured gain_mean at the pick").nullable(),
        Column::float(
            "measured_final_reward",
            REWARD,
            "measured r_after_mean at the pick",
        )
        .nullable(),
        Column::int(
            "best_step",
            STEPS,
            "the largest measured objective; earliest of equals",
        )
        .nullable(),
        Column::float("best", REWARD, "the measured objective there").nullable(),
        Column::float(
            "regret",
            REWARD,
            "best minus the measured objective at the pick",
        )
        .nullable(),
        Column::float(
            "regret_normalised",
            "",
            "regret / (max - min of the objective)",
        )
        .nullable(),
        Column::float(
            "regret_lo",
            REWARD,
            "lower end of regret's 95 % t interval over RL seeds",
        )
        .nullable(),
        Column::float(
            "regret_hi",
            REWARD,
            "upper end of regret's 95 % t interval over RL seeds",
        )
        .nullable(),
        Column::bool("calibrated", "whether measured gains were at hand"),
        Column::bool(
            "distinguishable",
            "whether no other step ties with the pick",
        )
        .nullable(),
        Column::text(
            "ties",
            "steps that cannot be told from the pick, comma-separated",
        )
        .nullable(),
        Column::text("note", "the row in words"),
    ],
};
