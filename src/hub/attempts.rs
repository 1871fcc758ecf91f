//! Asking again: how often, and how long between. Waits grow and are spread, so
//! that many who failed together do not come back together.
use std::time::Duration;

use anyhow::Result;

use crate::{
    digest::Digest,
    hub::{
        fault::{Reason, Trouble},
        hooks::Hooks,
        settings::Patience,
        transport::{Asked, Hub},
    },
};

/// The requests in a row for one thing that brought nothing.
pub(super) struct Attempts<'a> {
    hub: &'a Hub,
    asked: &'a Asked,
    hooks: &'a Hooks<'a>,
    failed: u32,
}

impl<'a> Attempts<'a> {
    pub(super) fn new(hub: &'a Hub, asked: &'a Asked, hooks: &'a Hooks<'a>) -> Attempts<'a> {
        Attempts {
            hub,
            asked,
            hooks,
            failed: 0,
        }
    }

    /// Something new came: the count begins again.
    pub(super) fn progressed(&mut self) {
        self.failed = 0;
    }

    /// Waits before the next request, or gives the error if there is to be none.
    pub(super) fn after(&mut self, trouble: Trouble) -> Result<()> {
        let (reason, told) = match trouble {
            Trouble::Ours(error) => return Err(error),
            Trouble::Hub(reason, told) => (reason, told),
        };
        self.failed += 1;
        let patience = &self.hub.settings.patience;
        let tries = reason.tries(patience.tries, self.hub.was_heard());
        if self.failed >= tries {
            return Err(self.hub.fault(reason, self.asked).into());
        }
        let wait = match told {
            Some(told) => told.min(patience.longest_told),
            None => back_off(patience, &self.asked.subject.to_string(), self.failed),
        };
        let why = match &reason {
            Reason::NoNetwork(host) => format!("no connection to {host}"),
            Reason::Idle(time) => format!("not a byte for {time:?}"),
            Reason::Dropped => "the connection broke".to_owned(),
            Reason::Busy(status) if told.is_some() => format!("the hub asks to wait ({status})"),
            Reason::Busy(status) => format!("the hub is busy ({status})"),
            Reason::Nonsense(what) => format!("the answer makes no sense ({what})"),
            // Final, so never here.
            other => format!("{other:?}"),
        };
        (self.hooks.tell)(&format!(
            "{}: {why}; asking again in {:.1} s (request {} of {tries})",
            self.asked.subject,
            wait.as_secs_f64(),
            self.failed + 1,
        ));
        self.hooks.wait(wait)
    }
}

/// Half of the doubled wait, and up to as much again.
fn back_off(patience: &Patience, subject: &str, failed: u32) -> Duration {
    let doubled = patience
        .first_wait
        .saturating_mul(1 << failed.saturating_sub(1).min(20));
    let digest = Digest::of(format!("{subject} {failed}").as_bytes());
    let share = f64::from(digest.as_bytes()[0]) / 256.0;
    doubled
        .min(patience.longest_wait)
        .mul_f64(0.5 + share / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_limit_and_differ_by_subject() {
        let patience = Patience::default();
        let wait = |subject, failed| back_off(&patience, subject, failed).as_secs_f64();
        for failed in 1..40 {
            let whole = (2.0_f64.powi(failed - 1)).min(60.0);
            let wait = wait("a", failed as u32);
            assert!((0.5 * whole..=whole).contains(&wait), "{failed}: {wait}");
        }
        let waits = ["a", "b", "c", "d"].map(|subject| wait(subject, 3).to_bits());
        assert!(waits.iter().any(|other| *other != waits[0]));
        assert_eq!(wait("a", 3), wait("a", 3));
    }
}
