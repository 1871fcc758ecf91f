//! The contract between the engine and the kinds.
