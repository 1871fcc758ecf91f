//! Integration tests: one binary, one file per theme.
mod bad_input;
mod cases;
mod diagnostics;
mod engine;
mod golden;
mod meaning;
mod project;
mod property;
mod python;
mod sketch;
mod skip;
mod space;
mod tidy;
mod toy;
mod whole;
