//! The engine's edge cases by number: one file per theme, `case_03_float_spelling` and so on.
mod execution;
mod many;
mod meaning;
mod reasons;
mod store;
mod store_disk;
mod two_runs;
