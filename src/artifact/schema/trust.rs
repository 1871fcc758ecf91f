//! Tables of how well the scores foretold what RL gained.
use crate::artifact::schema::{
    Column, Schema,
    analysis::{LEARNING_RATE, N, TARGET},
};

const RHO: Column =
    Column::float("rho", "", "Spearman; missing where an input is constant").nullable();
const BOOT_LO: Column =
    Column::float("boot_lo", "", "2.5 % bootstrap percentile of rho").nullable();
const BOOT_HI: Column =
    Column::float("boot_hi", "", "97.5 % bootstrap percentile of rho").nullable();
const BOOT_DROPPED: Column = Column::int(
    "boot_dropped",
    "resamples",
    "resamples with constant input, left out",
);
const PERM_P: Column = Column::float(
    "perm_p",
    "",
    "two-sided permutation p-value, for exchangeable checkpoints",
)
.nullable();

/// How every score correlates with every target.
pub const SENSITIVITY: Schema = Schema {
    name: "sensitivity",
    about: "rank correlation of every score and baseline with every target",
    columns: &[
        Column::text("score", "name of the score or baseline"),
        Column::text("signal", "signal of the score").nullable(),
        Column::text("advantage", "advantage convention").nullable(),
        Column::text("group", "group size").nullable(),
        Column::text("estimator", "exact or sampled").nullable(),
        Column::text("hidden", "post or pre").nullable(),
        Column::text("vocab", "full or labels"),
        Column::text("headroom", "none, per-prompt or pooled"),
        Column::float("alpha", "", "alpha of the headroom").nullable(),
        Column::bool("baseline", "whether the row is what a score has to beat"),
        LEARNING_RATE,
        TARGET,
        N,
        RHO,
        BOOT_LO,
        BOOT_HI,
        BOOT_DROPPED,
        PERM_P,
        Column::float(
            "perm_p_max",
            "",
            "p-value against the largest |rho| of all rows of the target",
        )
        .nullable(),
        Column::float(
            "partial_rho_r_before",
            "",
            "Spearman with the rank of r_before held fixed",
        )
        .nullable(),
        Column::float("delta_rho_p1mp", "", "rho minus the rho of p1mp").nullable(),
        Column::float(
            "delta_lo",
            "",
            "2.5 % paired bootstrap percentile of the difference",
        )
        .nullable(),
        Column::float(
            "delta_hi",
            "",
            "97.5 % paired bootstrap percentile of the difference",
        )
        .nullable(),
    ],
};

/// The one test that was fixed beforehand.
pub const VERDICT: Schema = Schema {
    name: "verdict",
    about: "the primary score against gain_mean, and against the best baseline",
    columns: &[
        LEARNING_RATE,
        Column::text("score", "the primary score"),
        Column::text("target", "the primary target, gain_mean"),
        N,
        RHO,
        BOOT_LO,
        BOOT_HI,
        BOOT_DROPPED,
        PERM_P,
        Column::text("best_baseline", "the baseline with the largest |rho|").nullable(),
        Column::float("best_baseline_rho", "", "its rho").nullable(),
        Column::float(
            "delta",
            "",
            "rho of the score minus |rho| of the best baseline",
        )
        .nullable(),
        Column::float(
            "delta_lo",
            "",
            "2.5 % paired bootstrap percentile of the difference",
        )
        .nullable(),
        Column::float(
            "delta_hi",
            "",
            "97.5 % paired bootstrap percentile of the difference",
        )
        .nullable(),
        Column::int(
            "delta_dropped",
            "resamples",
            "resamples with constant input, left out",
        ),
        Column::bool(
            "beats",
            "whether the interval of the difference lies above 0",
        ),
        Column::bool(
            "primary",
            "whether the learning rate was named beforehand; missing where none was",
        )
        .nullable(),
        Column::int(
            "undefined_scores",
            "scores",
            "scores without a rho, such as constant ones",
        ),
        Column::text("note", "the verdict in words"),
    ],
};

/// The primary score against each baseline.
pub const COMPARISONS: Schema = Schema {
    name: "comparisons",
    about: "the primary score against each baseline, paired bootstrap, target gain_mean",
    columns: &[
        LEARNING_RATE,
        Column::text("score", "the primary score"),
        Column::text("baseline", "the baseline"),
        TARGET,
        Column::float("rho", "", "Spearman of the score").nullable(),
        Column::float("baseline_rho", "", "Spearman of the baseline").nullable(),
        Column::float("delta", "", "rho minus |baseline_rho|").nullable(),
        Column::float("delta_lo", "", "2.5 % paired bootstrap percentile").nullable(),
        Column::float("delta_hi", "", "97.5 % paired bootstrap percentile").nullable(),
        Column::int(
            "dropped",
            "resamples",
            "resamples with constant input, left out",
        ),
    ],
};

/// Figure 5: predictors alone and combined.
pub const READINGS: Schema = Schema {
    name: "readings",
    about: "figure 5: the score, r_before and both combined, against gain and final reward",
    columns: &[
        LEARNING_RATE,
        Column::text(
            "predictor",
            "score, r_before or combined = z(r_before) + z(score)",
        ),
        Column::text("target", "gain or r_after"),
        Column::text("over", "the bar's spread: mean (none), budgets or rl-seeds"),
        Column::float("rho", "", "Spearman, mean over budgets or seeds").nullable(),
        Column::float(
            "spread",
            "",
            "standard deviation of rho over budgets or seeds",
        )
        .nullable(),
        Column::int("n", "", "budgets or seeds in the mean"),
        Column::int("undefined", "", "budgets or seeds without a rho, left out"),
    ],
};
