//! Bytes: blobs, records, the derived index, snapshots, attempt folders.
//!
//! One folder holds everything and any number of processes share it without a
//! server: blobs are immutable and named by their digest, a record is linked
//! into place after every byte it names is safe, and whoever comes first is
//! canonical. Killing anything at any moment loses only what was unfinished.
//! Knows no tensors, no tables, no pipeline, and prints nothing: what people
//! should hear is collected in [`Cache::take_notices`].
mod attempt;
mod blob;
mod commit;
#[cfg(test)]
mod crash;
mod discard;
mod downloads;
mod durable;
mod footprint;
mod foreign;
mod gc;
mod grounds;
mod holding;
mod index;
mod index_file;
mod index_glance;
mod index_text;
mod index_whole;
mod lease;
mod live;
mod name;
mod near;
mod pin;
mod proof;
mod proof_file;
mod proof_lines;
mod publish;
mod put;
mod read;
mod record;
mod repair;
mod scratch;
mod sealed;
mod snapshot;
mod sole;
mod stat;
mod stat_entry;
mod stat_file;
mod store;
mod sweep;
mod used;
mod verify;
mod walk;

pub use attempt::AttemptDir;
pub use blob::{Content, Form};
pub use commit::Committed;
pub use discard::Doomed;
pub use footprint::Footprint;
pub use gc::{Fate, GcOptions, GcReport, Verdict};
pub use grounds::Grounds;
pub use holding::{Holding, age, now};
pub use index::{IndexEntry, Outputs, RecordIndex};
pub use index_glance::{Costs, EarlierCosts};
pub use lease::{Lease, Leased};
pub use live::LiveRun;
pub use pin::{Pin, Roots};
pub use proof::{Proof, Texts};
pub use proof_file::Pieces;
pub use proof_lines::Lines;
pub use read::Broken;
pub use record::{Provenance, Record};
pub use scratch::Scratch;
pub use snapshot::Snapshot;
pub use stat::StatIndex;
pub use store::{Cache, FORMAT_VERSION};
pub use verify::{Corrupt, Missing, Report};
