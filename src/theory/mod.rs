//! The paper's formulas: f64 in, f64 out, symbols as in the paper.
//!
//! No tensors, no files, nothing of ours: what a model computed comes in as
//! numbers. Equation numbers are those of arXiv 2605.21654. Where the paper
//! leaves a reading open, each reading is a named variant.
//!
//! Said once, because every table repeats it: with the standard-deviation
//! advantage and an infinite group, Sigma - Lambda_cond = E |G|^2 (2 - 1/sigma)
//! is never positive, so the bound of eq. 25 is vacuous there, while the inner
//! product of eq. 24 itself is positive. A number S always names its Lambda and
//! its group.
mod advantage;
mod baselines;
mod entropy;
mod grpo;
mod head;
mod headroom;
mod multiplier;
mod one_token;
mod sampled;
mod score;
mod softmax;

#[cfg(test)]
mod enumeration;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod gold;
#[cfg(test)]
mod gold_sampled;

pub use advantage::{Advantage, Group, ParseGroupError, prob_batch};
pub use baselines::{label_mass, mean, p1mp, p1mp_of_mean, zero_var_share};
pub use entropy::{
    KAPPA, KAPPA_JACOBIAN, entropy_constant, missing_jacobian_bound, sampling_jacobian_bound,
    sampling_jacobian_bound_sharp, softmax_jacobian_norm, tail_bound,
};
pub use grpo::{clipped_objective, is_clipped, k3, ratio};
pub use head::{FinalNorm, HeadProducts};
pub use headroom::{headroom_per_prompt, headroom_pooled};
pub use multiplier::{binomial, multiplier};
pub use one_token::{OneToken, SignalParts};
pub use sampled::{DrawnGroup, SampledParts};
pub use score::{Headroom, Score, ScoreParts, Signal};
pub use softmax::Softmax;
