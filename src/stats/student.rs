//! Student's t: tail probability and quantile.
//!
//! Source: P(|T| > t) = I_{df/(df + t^2)}(df/2, 1/2), the regularised incomplete
//! beta function (Abramowitz and Stegun 26.7.1).
use statrs::function::beta::beta_reg;

/// Two-sided p-value of t with `df` degrees of freedom. `None` without degrees
/// of freedom or for a NaN.
pub(crate) fn two_sided(t: f64, df: f64) -> Option<f64> {
    if t.is_nan() || df.is_nan() || df <= 0.0 {
        return None;
    }
    // df / (df + t^2), also for an infinite t.
    let x = 1.0 / (1.0 + t * t / df);
    Some(if x >= 1.0 {
        1.0
    } else {
        beta_reg(df / 2.0, 0.5, x)
    })
}

/// The t that |T| exceeds with probability `alpha`, 0 < alpha < 1, by bisection
/// on the tail. `None` where `two_sided` is.
pub(crate) fn critical(alpha: f64, df: f64) -> Option<f64> {
    two_sided(0.0, df)?;
    let (mut low, mut high) = (0.0, 1.0);
    while two_sided(high, df)? > alpha {
        high *= 2.0;
    }
    loop {
        let middle = low + (high - low) / 2.0;
        if middle <= low || middle >= high {
            return Some(middle);
        }
        if two_sided(middle, df)? > alpha {
            low = middle;
        } else {
            high = middle;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn against_the_closed_forms() {
        // df = 1 is Cauchy: p = 1 - (2/pi) atan t. df = 2: p = 1 - t / sqrt(2 + t^2).
        for t in [0.0, 0.1, 1.0, 3.0, 12.0f64] {
            let cauchy = 1.0 - t.atan() * 2.0 / std::f64::consts::PI;
            assert!((two_sided(t, 1.0).unwrap() - cauchy).abs() < 1e-13, "{t}");
            let two = 1.0 - t / (2.0 + t * t).sqrt();
            assert!((two_sided(-t, 2.0).unwrap() - two).abs() < 1e-13, "{t}");
        }
        assert_eq!(two_sided(f64::INFINITY, 3.0), Some(0.0));
        assert_eq!(
            (two_sided(1.0, 0.0), two_sided(f64::NAN, 3.0)),
            (None, None)
        );
    }

    #[test]
    fn the_tabulated_quantiles() {
        // df = 2: t = sqrt(2) (1 - a) / sqrt(a (2 - a)) at a = 0.05; df = 7 from tables.
        let two = 2f64.sqrt() * 0.95 / (0.05f64 * 1.95).sqrt();
        assert!((critical(0.05, 2.0).unwrap() - two).abs() < 1e-11);
        assert!((critical(0.05, 7.0).unwrap() - 2.364_624_251_592_784_5).abs() < 1e-9);
        assert_eq!(critical(0.05, 0.0), None);
    }
}
