//! Mean of correlations across independent ladders, by Fisher's z.
//!
//! z = atanh(rho); mean z +- t_{n-1} s / sqrt(n); back by tanh. Source: Fisher 1921,
//! with a t interval in place of the known variance, so that the spread between
//! ladders counts. Assumption: independent ladders, and z roughly normal.
use crate::stats::{
    sample::{is_constant, mean_of},
    student,
    summary::summary,
};

/// Confidence level 1 - 0.05.
const ALPHA: f64 = 0.05;

/// The mean over ladders.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FisherMean {
    /// tanh of the mean z.
    pub rho: f64,
    /// Mean z.
    pub z: f64,
    /// 95 % t interval, as correlations. `None` for one ladder, or ladders that
    /// all agree exactly: their spread says nothing.
    pub interval: Option<(f64, f64)>,
    /// Two-sided p of mean z = 0 by t; `None` as the interval.
    pub p: Option<f64>,
    /// Ladders used.
    pub n: usize,
    /// Ladders without a correlation, left out.
    pub undefined: usize,
}

/// The mean over ladders; `None` entries and NaN are left out and counted. `None`
/// if no ladder is left, or one has |rho| >= 1: its z is infinite, and leaving it
/// out would pull the mean towards 0.
pub fn fisher_mean(rhos: &[Option<f64>]) -> Option<FisherMean> {
    let defined: Vec<f64> = rhos
        .iter()
        .flatten()
        .copied()
        .filter(|rho| !rho.is_nan())
        .collect();
    if defined.is_empty() || defined.iter().any(|rho| rho.abs() >= 1.0) {
        return None;
    }
    let z: Vec<f64> = defined.iter().map(|rho| rho.atanh()).collect();
    let mean = mean_of(&z);
    let error = summary(&z)?
        .standard_error
        .filter(|&error| error > 0.0 && !is_constant(&z));
    let df = z.len() as f64 - 1.0;
    let half = error.and_then(|error| Some(error * student::critical(ALPHA, df)?));
    Some(FisherMean {
        rho: mean.tanh(),
        z: mean,
        interval: half.map(|half| ((mean - half).tanh(), (mean + half).tanh())),
        p: error.and_then(|error| student::two_sided(mean / error, df)),
        n: z.len(),
        undefined: rhos.len() - z.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        // z = 0.5 and 1.5: mean 1, standard error 0.5; t_1 at 0.05 is 12.706205.
        let got = fisher_mean(&[Some(0.5f64.tanh()), None, Some(1.5f64.tanh())]).unwrap();
        assert!((got.z - 1.0).abs() < 1e-14 && (got.rho - 1f64.tanh()).abs() < 1e-14);
        let half: f64 = 12.706_204_736_432_095 * 0.5;
        let (lo, hi) = got.interval.unwrap();
        assert!((lo - (1.0 - half).tanh()).abs() < 1e-10, "{lo}");
        assert!((hi - (1.0 + half).tanh()).abs() < 1e-10, "{hi}");
        // t = 2 with one degree of freedom: p = 1 - (2/pi) atan 2.
        let p = 1.0 - 2f64.atan() * 2.0 / std::f64::consts::PI;
        assert!((got.p.unwrap() - p).abs() < 1e-12);
        assert_eq!((got.n, got.undefined), (2, 1));
    }

    #[test]
    fn no_interval_from_nothing() {
        assert_eq!(fisher_mean(&[]), None);
        assert_eq!(fisher_mean(&[None, Some(f64::NAN)]), None);
        assert_eq!(fisher_mean(&[Some(0.5), Some(1.0)]), None);
        let one = fisher_mean(&[Some(0.5)]).unwrap();
        assert_eq!((one.interval, one.p, one.n), (None, None, 1));
        let same = fisher_mean(&[Some(0.3); 4]).unwrap();
        assert_eq!((same.interval, same.p), (None, None));
    }
}
