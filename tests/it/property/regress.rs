//! Sequences that once failed, by name.
