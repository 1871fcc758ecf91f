//! Learning loops on tensors: the one-token label task, its rollouts, the GRPO
//! objective (eq. 1) and the loop that trains with it.
//!
//! All n actions of a one-token prompt share one forward and one backward pass.
//! Knows nothing of files of the pipeline, tables or stages.
mod objective;
mod policy;
mod rollout;
mod task;
mod train;

#[cfg(test)]
mod tests_gold;
#[cfg(test)]
mod tests_train;

pub use objective::{Evaluated, Objective};
pub use policy::{answer_logits, answer_probabilities, in_batches};
pub use rollout::{Convention, choose_prompts, draw_actions};
pub use task::{Prompt, PromptText, Task};
pub use train::{GrpoOptions, Step, Trainer, Update};
