//! Learning loops on tensors: task, rollout, objective, training.
