//! How fast bytes come, as seen in the last seconds: what lies further back says
//! little about a network.
use std::collections::VecDeque;

use crate::engine::Moment;

/// How far back is looked.
const WINDOW_MS: u64 = 15_000;
/// Between two looks that are kept.
const STEP_MS: u64 = 500;
/// Less than this tells no rate.
const LEAST_MS: u64 = 1000;

/// Counts at moments, the oldest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Pace(VecDeque<(Moment, u64)>);

impl Pace {
    /// Takes in a count and tells how many come in a second; none while that is
    /// not known.
    pub(super) fn see(&mut self, count: u64, at: Moment) -> Option<u64> {
        if self.0.back().is_some_and(|(_, last)| *last > count) {
            // Begun anew.
            self.0.clear();
        }
        let (since, first) = *self.0.front().unwrap_or(&(at, count));
        let kept = self.0.back();
        if kept.is_none_or(|(last, _)| at.ms_since(*last) >= STEP_MS) {
            self.0.push_back((at, count));
        }
        while self.0.len() > 2 && at.ms_since(self.0[0].0) > WINDOW_MS {
            self.0.pop_front();
        }
        let ms = at.ms_since(since);
        (ms >= LEAST_MS).then(|| (count - first) * 1000 / ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Moment {
        let text = format!(
            "2026-01-01T00:{:02}:{:02}.{:03}Z",
            ms / 60_000,
            ms / 1000 % 60,
            ms % 1000
        );
        text.parse().unwrap()
    }

    #[test]
    fn the_rate_is_that_of_the_last_seconds() {
        let mut pace = Pace::default();
        assert_eq!(pace.see(0, at(0)), None);
        assert_eq!(pace.see(500, at(500)), None);
        // A thousand a second, then ten.
        let mut rate = None;
        for ms in (1000..=30_000).step_by(100) {
            rate = pace.see(ms, at(ms));
        }
        assert_eq!(rate, Some(1000));
        for second in 1..=40 {
            rate = pace.see(30_000 + 10 * second, at(30_000 + 1000 * second));
        }
        assert_eq!(rate, Some(10));
        // The file began anew.
        assert_eq!(pace.see(0, at(71_000)), None);
    }
}
