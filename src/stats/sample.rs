//! When a sample can be judged at all.
//!
//! Owns the checks that every estimator starts with. An estimator asked of
//! anything else answers `None`; it never answers with a number.

/// Whether every value is finite.
pub(crate) fn all_finite(x: &[f64]) -> bool {
    x.iter().all(|x| x.is_finite())
}

/// Whether `x` and `y` are finite, of one length, and at least `least` long.
pub(crate) fn paired(x: &[f64], y: &[f64], least: usize) -> bool {
    x.len() == y.len() && x.len() >= least && all_finite(x) && all_finite(y)
}

/// Whether all values are equal (also when there is none). Constant input has
/// no ranks to speak of, no correlation and no z-score.
pub(crate) fn is_constant(x: &[f64]) -> bool {
    x.iter().all(|&value| value == x[0])
}

/// Sum over length; the caller knows that there is a value.
pub(crate) fn mean_of(x: &[f64]) -> f64 {
    x.iter().sum::<f64>() / x.len() as f64
}

/// `value` if it is finite: an overflow is undefined, not infinite.
pub(crate) fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}
