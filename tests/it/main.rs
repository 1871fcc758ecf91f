//! Integration tests.
mod diagnostics;
mod meaning;
mod sketch;
