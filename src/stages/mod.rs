//! Every stage kind, one file each, and the table of them.
mod grpo;

pub use grpo::Grpo;

use crate::stage::Kind;

/// The kinds by name.
pub const KINDS: &[Kind] = &[Kind::of::<Grpo>()];
