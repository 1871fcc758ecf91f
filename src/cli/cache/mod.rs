//! `vgh cache`: what the cache holds, what of it may go, whether it is whole.
mod amount;
mod args;
mod command;
mod drop;
mod gc;
mod ls;
mod named;
mod path;
mod verify;

pub(super) use args::Cache;
pub(super) use command::cache;
