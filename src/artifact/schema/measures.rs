//! Tables of what is measured before any RL.
use crate::artifact::schema::{Column, Schema};

const REWARD: &str = "reward";
const STEPS: &str = "optimizer steps";
/// G is a derivative of the reward by a hidden state.
const SIGNAL_UNIT: &str = "reward^2 per state^2";

const STEP: Column = Column::int("step", STEPS, "pretraining step of the checkpoint");
const TOKENS: Column = Column::int("tokens", "tokens", "tokens seen in pretraining").nullable();
const HIDDEN: Column = Column::text("hidden", "hidden state: post or pre final norm");
const VOCAB: Column = Column::text("vocab", "softmax over: full or labels (renormalised)");
const ADVANTAGE: Column = Column::text("advantage", "advantage convention (eq. 1)");
const GROUP: Column = Column::text("group", "group size: a number or inf");
const ESTIMATOR: Column = Column::text("estimator", "exact or sampled");
const SIGMA: Column = Column::float("sigma", SIGNAL_UNIT, "signal |G|^2 (eq. 26)");
const IP: Column = Column::float("ip", SIGNAL_UNIT, "transmitted signal m |G|^2 (eq. 24)");
const LAMBDA_COND: Column = Column::float(
    "lambda_cond",
    SIGNAL_UNIT,
    "lost signal, conditional (eq. 26)",
);
const LAMBDA_PS: Column =
    Column::float("lambda_ps", SIGNAL_UNIT, "lost signal, per sample (sec. 6)");
const LAMBDA_GROUP: Column = Column::float(
    "lambda_group",
    SIGNAL_UNIT,
    "lost signal, group mean; sampled only",
)
.nullable();
const R_BEFORE: Column = Column::float("r_before", REWARD, "expected reward E p_y");
const P1MP: Column = Column::float("p1mp", "reward^2", "E p_y (1 - p_y)");
const P1MP_OF_MEAN: Column = Column::float("p1mp_of_mean", "reward^2", "p (1 - p) at p = E p_y");
const ENTROPY: Column = Column::float("entropy", "nats", "mean entropy at the answer");
const ZERO_VAR_SHARE: Column = Column::float(
    "zero_var_share",
    "",
    "E[p^n + (1-p)^n]: share of groups without variance",
);
const LABEL_MASS: Column = Column::float(
    "label_mass",
    "",
    "probability mass of all labels in the full softmax",
);
const ALPHA: Column = Column::float("alpha", "", "alpha of the headroom (eq. 28)");
const PROMPT: Column = Column::int("prompt", "", "id in the prompts table");

/// Per prompt: signals and losses of every variant.
pub const COSTATES: Schema = Schema {
    name: "costates",
    about: "signal and lost signal of each prompt, one row per variant",
    columns: &[
        STEP,
        TOKENS,
        PROMPT,
        HIDDEN,
        VOCAB,
        ADVANTAGE,
        GROUP,
        ESTIMATOR,
        Column::float("p_y", "", "probability of the label's token"),
        Column::float(
            "m",
            "",
            "multiplier of E lambda_hat = m G (eq. 12); exact only",
        )
        .nullable(),
        SIGMA,
        IP,
        LAMBDA_COND.nullable(),
        LAMBDA_PS,
        LAMBDA_GROUP,
    ],
};

/// The same, summed over prompts, with the baselines.
pub const SIGNAL: Schema = Schema {
    name: "signal",
    about: "signal, lost and usable signal of a checkpoint (means over prompts), one row per variant",
    columns: &[
        STEP,
        TOKENS,
        HIDDEN,
        VOCAB,
        ADVANTAGE,
        GROUP,
        ESTIMATOR,
        Column::int(
            "n_prompts",
            "prompts",
            "prompts averaged over, without weights",
        ),
        SIGMA,
        IP,
        LAMBDA_COND.nullable(),
        LAMBDA_PS,
        LAMBDA_GROUP,
        Column::float("s_cond", SIGNAL_UNIT, "sigma - lambda_cond (eq. 27)").nullable(),
        Column::float("s_ps", SIGNAL_UNIT, "sigma - lambda_ps (eq. 27)"),
        Column::float("s_group", SIGNAL_UNIT, "sigma - lambda_group; sampled only").nullable(),
        Column::float(
            "se_ip",
            SIGNAL_UNIT,
            "standard error of ip over groups; sampled only",
        )
        .nullable(),
        Column::float(
            "se_lambda_ps",
            SIGNAL_UNIT,
            "standard error of lambda_ps; sampled only",
        )
        .nullable(),
        Column::float(
            "se_lambda_group",
            SIGNAL_UNIT,
            "standard error of lambda_group",
        )
        .nullable(),
        R_BEFORE,
        P1MP,
        P1MP_OF_MEAN,
        ENTROPY,
        ZERO_VAR_SHARE,
        LABEL_MASS,
    ],
};

/// Headroom of each prompt.
pub const HEADROOM_PROMPTS: Schema = Schema {
    name: "headroom-prompts",
    about: "headroom of each prompt (eq. 28)",
    columns: &[
        STEP,
        PROMPT,
        VOCAB,
        ALPHA,
        Column::float("p_y", "", "probability of the label's token"),
        Column::float(
            "value",
            REWARD,
            "(1/alpha) log1p(p_y expm1(alpha)) - p_y (eq. 28)",
        ),
    ],
};

/// Headroom of a checkpoint.
pub const HEADROOM: Schema = Schema {
    name: "headroom",
    about: "headroom of a checkpoint, per-prompt (eq. 28) and pooled (sec. 6)",
    columns: &[
        STEP,
        TOKENS,
        VOCAB,
        Column::text("kind", "per-prompt or pooled"),
        ALPHA,
        Column::float("value", REWARD, "headroom"),
    ],
};

/// Every score and baseline, long.
pub const SCORES: Schema = Schema {
    name: "scores",
    about: "every score (eq. 29) and baseline of every checkpoint, one row each",
    columns: &[
        STEP,
        Column::text("score", "name of the score or baseline, one row per step"),
        Column::text(
            "signal",
            "sigma, ip, s_cond, s_ps or s_group; the last three also as s_.._clip = \
             max(sigma - lambda, 0), clipped once per checkpoint; missing for a baseline",
        )
        .nullable(),
        ADVANTAGE.nullable(),
        GROUP.nullable(),
        ESTIMATOR.nullable(),
        HIDDEN.nullable(),
        VOCAB,
        Column::text("headroom", "none, per-prompt or pooled"),
        ALPHA.nullable(),
        Column::float("value", "", "the score"),
    ],
};

/// The default scores, one row per checkpoint.
pub const SCORES_WIDE: Schema = Schema {
    name: "scores-wide",
    about: "parts, scores and baselines of each checkpoint with the default readings",
    columns: &[
        STEP,
        TOKENS,
        SIGMA,
        IP,
        LAMBDA_PS,
        LAMBDA_COND,
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
        R_BEFORE,
        P1MP,
        P1MP_OF_MEAN,
        ENTROPY,
        ZERO_VAR_SHARE,
        LABEL_MASS,
    ],
};
