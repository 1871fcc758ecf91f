//! The line through the origin, gain = kappa score (eq. 30).
//!
//! kappa = sum xy / sum x^2. Two R2 exist for such a line and differ much, so
//! both are given by name: centred compares with the mean of y, uncentred with 0.
//! Source: Kvalseth 1985, The American Statistician 39.
use crate::stats::sample::{finite, is_constant, paired};

/// A fitted proportion.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Kappa {
    /// In units of y per unit of x.
    pub kappa: f64,
    /// 1 - SSE / sum (y - mean)^2; may be negative. `None` where y is constant.
    pub r2_centred: Option<f64>,
    /// 1 - SSE / sum y^2. `None` where y is 0 throughout.
    pub r2_uncentred: Option<f64>,
    /// Rows.
    pub n: usize,
}

/// The fit. `None` for no rows, unequal lengths, values that are not finite, or
/// x that is 0 throughout.
pub fn kappa(x: &[f64], y: &[f64]) -> Option<Kappa> {
    if !paired(x, y, 1) {
        return None;
    }
    let sum = |value: &dyn Fn(f64, f64) -> f64| -> f64 {
        x.iter().zip(y).map(|(&x, &y)| value(x, y)).sum()
    };
    let kappa = finite(sum(&|x, y| x * y) / sum(&|x, _| x * x))?;
    let sse = sum(&|x, y| (y - kappa * x).powi(2));
    let mean = sum(&|_, y| y) / y.len() as f64;
    let centred = sum(&|_, y| (y - mean).powi(2));
    Some(Kappa {
        kappa,
        r2_centred: if is_constant(y) {
            None
        } else {
            finite(1.0 - sse / centred)
        },
        r2_uncentred: finite(1.0 - sse / sum(&|_, y| y * y)),
        n: y.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        // kappa = (2 + 2) / (1 + 4) = 0.8; errors 1.2 and -0.6: SSE = 1.8.
        let fit = kappa(&[1.0, 2.0], &[2.0, 1.0]).unwrap();
        assert!((fit.kappa - 0.8).abs() < 1e-15);
        assert!((fit.r2_centred.unwrap() - (1.0 - 1.8 / 0.5)).abs() < 1e-14);
        assert!((fit.r2_uncentred.unwrap() - (1.0 - 1.8 / 5.0)).abs() < 1e-14);
        assert_eq!(kappa(&[0.0, 0.0], &[1.0, 2.0]), None);
        assert_eq!(kappa(&[], &[]), None);
        let flat = kappa(&[1.0, 2.0], &[0.0, 0.0]).unwrap();
        assert_eq!(
            (flat.kappa, flat.r2_centred, flat.r2_uncentred),
            (0.0, None, None)
        );
    }
}
