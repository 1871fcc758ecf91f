//! Every stage kind, one file each, and the table of them.
mod copy_corpus;
mod costates;
mod grpo;
#[cfg(test)]
mod harness;
mod headroom;
mod jsonl_prompts;
mod label_copy;
mod local_checkpoint;
mod pretrain;
mod ranges;
mod task;
mod template;

pub use copy_corpus::CopyCorpus;
pub use costates::Costates;
pub use grpo::Grpo;
pub use headroom::Headroom;
pub use jsonl_prompts::JsonlPrompts;
pub use label_copy::LabelCopy;
pub use local_checkpoint::LocalCheckpoint;
pub use pretrain::Pretrain;

use crate::stage::Kind;

/// The kinds by name.
pub const KINDS: &[Kind] = &[
    Kind::of::<CopyCorpus>(),
    Kind::of::<Costates>(),
    Kind::of::<Grpo>(),
    Kind::of::<Headroom>(),
    Kind::of::<JsonlPrompts>(),
    Kind::of::<LabelCopy>(),
    Kind::of::<LocalCheckpoint>(),
    Kind::of::<Pretrain>(),
];
