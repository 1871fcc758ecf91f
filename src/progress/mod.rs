//! Readers of events: live, plain, JSON.
