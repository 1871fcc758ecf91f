//! The child process that runs one stage after another.
