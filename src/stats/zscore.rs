//! z-scores: distance from the mean in standard deviations.
//!
//! The default takes the population deviation (divisor n), as the combined
//! predictor of figure 5 does; the sample form (n - 1) is a function of its own.
use crate::stats::sample::{all_finite, finite, is_constant, mean_of};

/// (x - mean) / population deviation. `None` for constant, empty or not finite
/// input: a constant has no z-score, and 0 would claim one.
pub fn zscore(x: &[f64]) -> Option<Vec<f64>> {
    with_divisor(x, x.len() as f64)
}

/// (x - mean) / sample deviation; undefined as `zscore` is.
pub fn zscore_sample(x: &[f64]) -> Option<Vec<f64>> {
    with_divisor(x, x.len() as f64 - 1.0)
}

fn with_divisor(x: &[f64], divisor: f64) -> Option<Vec<f64>> {
    if !all_finite(x) || is_constant(x) {
        return None;
    }
    let mean = mean_of(x);
    let squares: f64 = x.iter().map(|x| (x - mean).powi(2)).sum();
    let deviation = finite((squares / divisor).sqrt()).filter(|&deviation| deviation > 0.0)?;
    Some(x.iter().map(|x| (x - mean) / deviation).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        assert_eq!(zscore(&[1.0, 3.0]).unwrap(), [-1.0, 1.0]);
        let sample = zscore_sample(&[1.0, 3.0]).unwrap();
        assert!((sample[1] - 0.5f64.sqrt()).abs() < 1e-15);
        for undefined in [&[][..], &[2.0], &[2.0, 2.0], &[1.0, f64::NAN]] {
            assert_eq!(zscore(undefined), None);
        }
    }
}
