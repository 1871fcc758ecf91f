//! Integration tests: one binary, one file per theme.
mod bad_input;
mod engine;
mod project;
mod python;
mod skip;
mod space;
mod tidy;
mod toy;
mod whole;
