//! Integration tests: one binary, one file per theme.
mod bad_input;
mod cases;
mod command;
mod diagnostics;
mod engine;
mod examples;
mod golden;
mod meaning;
mod project;
mod python;
mod signals;
mod sketch;
mod skip;
mod space;
mod tidy;
mod toy;
mod whole;
