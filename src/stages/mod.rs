//! Every stage kind, one file each, and the table of them.
mod correlate;
mod fit_affine;
mod impact;
mod reading;
mod recommend;
mod rows;
mod scores;
mod table;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use correlate::Correlate;
pub use fit_affine::FitAffine;
pub use impact::Impact;
pub use reading::{Hidden, Vocab};
pub use recommend::Recommend;
pub use rows::WideScore;
pub use scores::Scores;
pub use table::Table;

use crate::stage::Kind;

/// The kinds by name.
pub const KINDS: &[Kind] = &[
    Kind::of::<Correlate>(),
    Kind::of::<FitAffine>(),
    Kind::of::<Impact>(),
    Kind::of::<Recommend>(),
    Kind::of::<Scores>(),
    Kind::of::<Table>(),
];
