//! Tables of prompts, pretraining and reinforcement learning.
use crate::artifact::schema::{Column, Schema};

const LOSS: &str = "nats per token";
const REWARD: &str = "reward";
const UPDATES: &str = "updates";

/// What RL from one checkpoint gained; TRL's or verl's results fit too.
pub const REWARDS: Schema = Schema {
    name: "rewards",
    about: "reward before and after RL from a checkpoint, one row per run",
    columns: &[
        Column::int(
            "step",
            "optimizer steps",
            "pretraining step of the checkpoint",
        ),
        Column::float("learning_rate", "", "learning rate of RL"),
        Column::int("rl_seed", "", "seed of the RL run"),
        Column::int("updates", UPDATES, "updates of RL, the budget K"),
        Column::float(
            "r_before",
            REWARD,
            "expected reward on the eval prompts before RL",
        ),
        Column::float(
            "r_after",
            REWARD,
            "expected reward on the eval prompts after RL",
        ),
        Column::float("gain", REWARD, "r_after - r_before"),
    ],
};

/// Everything that is needed to replay a run elsewhere.
pub const ROLLOUTS: Schema = Schema {
    name: "rollouts",
    about: "every sampled action of an RL run, replayable",
    columns: &[
        Column::int("update", "", "update, from 0"),
        Column::int("prompt", "", "id in the prompts table"),
        Column::int("sample", "", "place in the group, from 0"),
        Column::int("action", "", "token id"),
        Column::text("action_text", "text of the token"),
        Column::float("reward", REWARD, "reward of the action"),
        Column::float("advantage", "", "advantage within the group (eq. 1)"),
        Column::float(
            "logp_old",
            "nats",
            "log-probability under the sampling policy",
        ),
        Column::float(
            "logp_ref",
            "nats",
            "log-probability under the starting checkpoint",
        ),
    ],
};

/// The course of an RL run.
pub const TRAINING_LOG: Schema = Schema {
    name: "training-log",
    about: "the course of an RL run, one row per update",
    columns: &[
        Column::int("update", "", "update, from 0"),
        Column::float("loss", "", "minus the objective of eq. 1"),
        Column::float("reward_mean", REWARD, "mean reward of the update's samples"),
        Column::float(
            "k3_mean",
            "nats",
            "mean estimate of KL to the starting checkpoint",
        ),
        Column::float(
            "clip_fraction",
            "",
            "share of samples whose ratio was clipped",
        ),
        Column::float("ratio_min", "", "smallest probability ratio"),
        Column::float("ratio_max", "", "largest probability ratio"),
        Column::float("grad_norm", "", "global gradient norm before clipping"),
        Column::int(
            "zero_variance_groups",
            "groups",
            "groups with equal rewards: no signal",
        ),
        Column::float(
            "entropy",
            "nats",
            "mean entropy of the policy at the answer",
        ),
    ],
};

/// The course of pretraining.
pub const PRETRAIN_LOG: Schema = Schema {
    name: "pretrain-log",
    about: "the course of pretraining, one row per optimizer step",
    columns: &[
        Column::int("step", "optimizer steps", "optimizer step, from 1"),
        Column::float("loss_nats", LOSS, "cross-entropy of the step's batch"),
        Column::float("learning_rate", "", "learning rate of the step"),
        Column::float("grad_norm", "", "global gradient norm before clipping"),
    ],
};

/// The frozen prompts.
pub const PROMPTS: Schema = Schema {
    name: "prompts",
    about: "frozen one-token prompts; no token ids, each checkpoint tokenizes",
    columns: &[
        Column::int("prompt", "", "id of the prompt"),
        Column::text("text", "the prompt, which ends right before the answer"),
        Column::text("label", "text of the one right token, such as ` A`"),
        Column::text("split", "train or eval"),
        Column::text("template", "name of the template it was made from"),
    ],
};
