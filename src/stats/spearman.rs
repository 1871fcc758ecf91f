//! Spearman's rank correlation: Pearson's r of average ranks.
//!
//! Source: Spearman 1904; ties as in `scipy.stats.spearmanr`. The p-value takes
//! t = rho sqrt((n - 2) / (1 - rho^2)) with n - 2 degrees of freedom. Assumption:
//! exchangeable pairs. Neighbouring checkpoints of one ladder are not: there the
//! p-value is descriptive.
use crate::stats::{ranks::ranks, sample::paired, student};

/// A rank correlation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spearman {
    /// In [-1, 1].
    pub rho: f64,
    /// Two-sided, by t. `None` for two pairs.
    pub p: Option<f64>,
    /// Pairs.
    pub n: usize,
}

/// rho with its p-value. `None` for fewer than two pairs, unequal lengths,
/// values that are not finite, or constant input.
pub fn spearman(x: &[f64], y: &[f64]) -> Option<Spearman> {
    if !paired(x, y, 2) {
        return None;
    }
    let rho = centred_ranks(x)?.correlation(&centred_ranks(y)?)?;
    let df = x.len() as f64 - 2.0;
    let t = rho * (df / ((1.0 - rho) * (1.0 + rho))).sqrt();
    Some(Spearman {
        rho,
        p: student::two_sided(t, df),
        n: x.len(),
    })
}

/// Ranks minus their mean (n + 1)/2. Multiples of 1/2, so sums of products are
/// exact and a constant sample has exactly no squares.
pub(crate) struct CentredRanks {
    pub(crate) values: Vec<f64>,
    pub(crate) squares: f64,
}

/// `None` if a value is not finite.
pub(crate) fn centred_ranks(x: &[f64]) -> Option<CentredRanks> {
    let middle = f64::midpoint(x.len() as f64, 1.0);
    let values: Vec<f64> = ranks(x)?.into_iter().map(|rank| rank - middle).collect();
    Some(CentredRanks {
        squares: dot(&values, &values),
        values,
    })
}

impl CentredRanks {
    /// `None` if either is constant.
    pub(crate) fn correlation(&self, other: &CentredRanks) -> Option<f64> {
        correlation(
            dot(&self.values, &other.values),
            self.squares,
            other.squares,
        )
    }
}

/// A correlation from a sum of products and two sums of squares.
pub(crate) fn correlation(products: f64, squares_x: f64, squares_y: f64) -> Option<f64> {
    let scale = (squares_x * squares_y).sqrt();
    (scale > 0.0).then(|| (products / scale).clamp(-1.0, 1.0))
}

pub(crate) fn dot(v: &[f64], w: &[f64]) -> f64 {
    v.iter().zip(w).map(|(v, w)| v * w).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        // d = (1, 1, 0, 0): rho = 1 - 6 * 2 / (4 * 15) = 0.8; t = 0.8 sqrt(2/0.36), p = 0.2.
        let got = spearman(&[1.0, 2.0, 3.0, 4.0], &[20.0, 10.0, 30.0, 40.0]).unwrap();
        assert!((got.rho - 0.8).abs() < 1e-15 && (got.p.unwrap() - 0.2).abs() < 1e-14);
        let two = spearman(&[1.0, 2.0], &[5.0, 3.0]).unwrap();
        assert_eq!((two.rho, two.p), (-1.0, None));
        let three = spearman(&[1.0, 2.0, 3.0], &[1.0, 4.0, 9.0]).unwrap();
        assert_eq!((three.rho, three.p), (1.0, Some(0.0)));
        assert_eq!(spearman(&[1.0, 1.0, 1.0], &[1.0, 2.0, 3.0]), None);
        assert_eq!(spearman(&[1.0, f64::NAN, 1.0], &[1.0, 2.0, 3.0]), None);
    }
}
