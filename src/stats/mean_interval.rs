//! Student's t interval of a mean.
//!
//! mean +- t_{n-1} s / sqrt(n), 95 %. Of paired differences it is the interval
//! of the paired t test. Assumption: independent, roughly normal values.
use crate::stats::{student, summary::summary};

/// Confidence level 1 - 0.05.
const ALPHA: f64 = 0.05;

/// A mean with its interval, in the values' own units.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MeanInterval {
    pub mean: f64,
    pub lo: f64,
    pub hi: f64,
    /// Values.
    pub n: usize,
}

impl MeanInterval {
    /// Whether 0 lies inside, ends included.
    pub fn covers_zero(&self) -> bool {
        self.lo <= 0.0 && self.hi >= 0.0
    }
}

/// The interval. `None` for fewer than two values or values that are not finite.
pub fn mean_interval(x: &[f64]) -> Option<MeanInterval> {
    let summary = summary(x)?;
    let half = summary.standard_error? * student::critical(ALPHA, x.len() as f64 - 1.0)?;
    Some(MeanInterval {
        mean: summary.mean,
        lo: summary.mean - half,
        hi: summary.mean + half,
        n: summary.n,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        // s = 1, t_2 = 4.302653, half = 4.302653 / sqrt(3).
        let got = mean_interval(&[1.0, 2.0, 3.0]).unwrap();
        assert!((got.lo - (2.0 - 2.484_138)).abs() < 1e-6, "{got:?}");
        assert!((got.hi - (2.0 + 2.484_138)).abs() < 1e-6, "{got:?}");
        assert!(got.covers_zero());
        let same = mean_interval(&[0.5, 0.5]).unwrap();
        assert_eq!((same.lo, same.hi, same.covers_zero()), (0.5, 0.5, false));
        assert_eq!((mean_interval(&[1.0]), mean_interval(&[])), (None, None));
    }
}
