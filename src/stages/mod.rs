//! Every stage kind, one file each.
#[cfg(test)]
mod curve_tmp;
mod compute;
mod copy_corpus;
// mod costates;
#[cfg(test)]
mod harness;
// mod headroom;
mod jsonl_prompts;
mod label_copy;
mod local_checkpoint;
mod pretrain;
mod ranges;
mod task;
mod template;

use crate::stage::Kind;

/// The table of kinds.
pub const KINDS: &[Kind] = &[
    Kind::of::<copy_corpus::CopyCorpus>(),
    Kind::of::<pretrain::Pretrain>(),
    Kind::of::<local_checkpoint::LocalCheckpoint>(),
    Kind::of::<label_copy::LabelCopy>(),
    Kind::of::<jsonl_prompts::JsonlPrompts>(),
    //     Kind::of::<costates::CostatesStage>(),
    //     Kind::of::<headroom::HeadroomStage>(),
];
