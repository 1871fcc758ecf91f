//! A client of the Hugging Face hub that believes nothing it has not hashed.
//!
//! The user's own cache and token file are laid out by the hf-hub crate, which
//! is asked for their places. Its downloader is not used: it knows no time-out,
//! loses `Retry-After`, follows a redirect without `Location` into a panic,
//! does not escape names, and takes a short file for a whole one. The transport
//! is ureq instead, and every byte is compared with the ids of the hub's
//! listing. Synchronous; nothing here knows of pipelines or of our cache.
mod attempts;
mod fault;
mod fetch;
mod hooks;
mod listing;
mod locked;
mod name;
mod part;
mod refs;
mod retry_after;
mod settings;
mod stream;
mod transport;
mod url;
mod user_cache;

pub use fault::{Fault, Reason};
pub use hooks::Hooks;
pub use listing::RemoteFile;
pub use refs::Ref;
pub use settings::{Patience, Settings};
pub use transport::Hub;

pub use crate::disk::Held;
