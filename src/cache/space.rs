//! Room on the cache's disk, told as [`crate::disk`] tells it for everybody.
pub(super) use crate::disk::{available, fault};
