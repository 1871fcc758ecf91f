//! Integration tests: one binary, one file per theme.
mod engine;
mod space;
mod tidy;
mod toy;
