//! Integration tests.
mod meaning;
mod sketch;
