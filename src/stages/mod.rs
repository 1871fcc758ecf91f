//! Every stage kind, one file each, and the table of them.
mod answers;
mod command;
mod copy_corpus;
mod correlate;
mod costates;
mod fit_affine;
mod grpo;
#[cfg(test)]
mod harness;
mod headroom;
mod hf_checkpoint;
mod impact;
mod jsonl_prompts;
mod label_copy;
mod local_checkpoint;
#[cfg(test)]
mod open;
mod pretrain;
mod ranges;
mod reading;
mod recommend;
mod report;
mod rows;
mod scores;
mod table;
mod task;
mod template;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_families;

pub use command::Command;
pub use copy_corpus::CopyCorpus;
pub use correlate::Correlate;
pub use costates::Costates;
pub use fit_affine::FitAffine;
pub use grpo::Grpo;
pub use headroom::Headroom;
pub use hf_checkpoint::HfCheckpoint;
pub use impact::Impact;
pub use jsonl_prompts::JsonlPrompts;
pub use label_copy::LabelCopy;
pub use local_checkpoint::LocalCheckpoint;
pub use pretrain::Pretrain;
pub use reading::{Hidden, Vocab};
pub use recommend::Recommend;
pub use report::Report;
pub use rows::WideScore;
pub use scores::Scores;
pub use table::Table;

use crate::stage::Kind;

/// The kinds by name.
pub const KINDS: &[Kind] = &[
    Kind::of::<Command>(),
    Kind::of::<CopyCorpus>(),
    Kind::of::<Correlate>(),
    Kind::of::<Costates>(),
    Kind::of::<FitAffine>(),
    Kind::of::<Grpo>(),
    Kind::of::<Headroom>(),
    Kind::of::<HfCheckpoint>(),
    Kind::of::<Impact>(),
    Kind::of::<JsonlPrompts>(),
    Kind::of::<LabelCopy>(),
    Kind::of::<LocalCheckpoint>(),
    Kind::of::<Pretrain>(),
    Kind::of::<Recommend>(),
    Kind::of::<Report>(),
    Kind::of::<Scores>(),
    Kind::of::<Table>(),
];
