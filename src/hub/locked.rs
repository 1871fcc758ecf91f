//! Waiting for others who fetch into the same place.
use std::{path::Path, time::Duration};

use anyhow::Result;

use crate::{disk::Held, hub::hooks::Hooks};

/// Between two looks at a place that somebody else has.
const LOOK: Duration = Duration::from_millis(50);

/// Waits until nobody else fetches into `part`.
pub(super) fn take(part: &Path, hooks: &Hooks<'_>) -> Result<Held> {
    let mut told = false;
    loop {
        (hooks.go_on)()?;
        if let Some(held) = Held::try_take(part)? {
            return Ok(held);
        }
        if !told {
            let place = part.display();
            (hooks.tell)(&format!("waiting for somebody else who fetches {place}"));
            told = true;
        }
        hooks.wait(LOOK)?;
    }
}
