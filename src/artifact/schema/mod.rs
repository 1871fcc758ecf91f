//! The nominal tables: their names, columns, units. The names are part of the
//! interface; a table of one schema is never taken for one of another.
mod analysis;
mod column;
mod measures;
mod training;
mod trust;

pub use column::{Column, Dtype, Schema, all, named};
pub use {
    analysis::{AFFINE, IMPACT, IMPACT_SEEDS, PREDICTIONS, RECOMMENDATION},
    measures::{COSTATES, HEADROOM, HEADROOM_PROMPTS, SCORES, SCORES_WIDE, SIGNAL},
    training::{PRETRAIN_LOG, PROMPTS, REWARDS, ROLLOUTS, TRAINING_LOG},
    trust::{COMPARISONS, READINGS, SENSITIVITY, VERDICT},
};
