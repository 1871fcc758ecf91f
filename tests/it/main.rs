//! Integration tests: one binary, one file per theme.
mod bad_input;
mod diagnostics;
mod engine;
mod full_disk;
mod golden;
mod meaning;
mod project;
mod python;
mod sketch;
mod skip;
mod small_disk;
mod space;
mod tidy;
mod toy;
mod whole;
