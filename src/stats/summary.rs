//! Mean and spread, both conventions of the standard deviation by name.

use crate::stats::sample::{all_finite, finite, mean_of};

/// Mean and spread of a sample, in its own units.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// Values.
    pub n: usize,
    /// Arithmetic mean.
    pub mean: f64,
    /// Standard deviation with divisor n.
    pub sd_population: f64,
    /// Standard deviation with divisor n - 1. `None` for one value.
    pub sd_sample: Option<f64>,
    /// sd_sample / sqrt(n). `None` for one value. Assumption: independent values.
    pub standard_error: Option<f64>,
}

/// `None` for no values or values that are not finite.
pub fn summary(x: &[f64]) -> Option<Summary> {
    if x.is_empty() || !all_finite(x) {
        return None;
    }
    let n = x.len() as f64;
    let mean = finite(mean_of(x))?;
    let squares = finite(x.iter().map(|x| (x - mean).powi(2)).sum())?;
    let sd_sample = (x.len() > 1).then(|| (squares / (n - 1.0)).sqrt());
    Some(Summary {
        n: x.len(),
        mean,
        sd_population: (squares / n).sqrt(),
        sd_sample,
        standard_error: sd_sample.map(|sd| sd / n.sqrt()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let got = summary(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]).unwrap();
        assert_eq!((got.n, got.mean, got.sd_population), (8, 5.0, 2.0));
        let sample = got.sd_sample.unwrap();
        assert!((sample - (32f64 / 7.0).sqrt()).abs() < 1e-15);
        assert_eq!(got.standard_error, Some(sample / 8f64.sqrt()));
        let one = summary(&[3.0]).unwrap();
        assert_eq!(
            (one.sd_population, one.sd_sample, one.standard_error),
            (0.0, None, None)
        );
        assert_eq!((summary(&[]), summary(&[f64::NAN])), (None, None));
    }
}
