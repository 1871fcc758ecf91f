//! Least squares with one predictor, y = slope x + intercept, and its
//! leave-one-out errors.
//!
//! Source: Draper and Smith, Applied Regression Analysis, ch. 1. Assumption for
//! reading r2 and errors as more than description: independent rows.
use crate::stats::sample::{finite, is_constant, mean_of, paired};

/// A fitted line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ols {
    /// In units of y per unit of x.
    pub slope: f64,
    /// In units of y.
    pub intercept: f64,
    /// 1 - SSE / sum (y - mean)^2. `None` where y is constant.
    pub r2: Option<f64>,
    /// sqrt(SSE / n), in units of y.
    pub rmse: f64,
    /// Rows.
    pub n: usize,
}

impl Ols {
    /// The line at `x`.
    pub fn predict(&self, x: f64) -> f64 {
        self.slope * x + self.intercept
    }
}

/// The line. `None` for fewer than two rows, unequal lengths, values that are
/// not finite, or constant x.
pub fn ols(x: &[f64], y: &[f64]) -> Option<Ols> {
    if !paired(x, y, 2) || is_constant(x) {
        return None;
    }
    let (mean_x, mean_y) = (mean_of(x), mean_of(y));
    let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
    for (x, y) in x.iter().zip(y) {
        let (dx, dy) = (x - mean_x, y - mean_y);
        xx += dx * dx;
        xy += dx * dy;
        yy += dy * dy;
    }
    let slope = finite(xy / xx)?;
    let intercept = finite(mean_y - slope * mean_x)?;
    let residual = |(x, y): (&f64, &f64)| (y - mean_y) - slope * (x - mean_x);
    let sse: f64 = x.iter().zip(y).map(|pair| residual(pair).powi(2)).sum();
    let r2 = if is_constant(y) {
        None
    } else {
        finite(1.0 - sse / yy)
    };
    Some(Ols {
        slope,
        intercept,
        r2,
        rmse: finite((sse / x.len() as f64).sqrt())?,
        n: x.len(),
    })
}

/// Errors of predicting each row from the others.
#[derive(Debug, Clone, PartialEq)]
pub struct LeaveOneOut {
    /// y_i minus the prediction of the line without row i, in units of y.
    /// `None` where the others have a constant x.
    pub errors: Vec<Option<f64>>,
    /// Root of the mean square of the defined errors.
    pub rmse: f64,
    /// Mean absolute value of the defined errors.
    pub mae: f64,
    /// Rows without an error.
    pub undefined: usize,
}

/// Leave-one-out errors of the line. `None` where no row has one: fewer than
/// three rows, unequal lengths, values that are not finite, constant x.
pub fn leave_one_out(x: &[f64], y: &[f64]) -> Option<LeaveOneOut> {
    if !paired(x, y, 3) {
        return None;
    }
    let without = |values: &[f64], i: usize| [&values[..i], &values[i + 1..]].concat();
    let errors: Vec<Option<f64>> = (0..x.len())
        .map(|i| {
            let line = ols(&without(x, i), &without(y, i))?;
            finite(y[i] - line.predict(x[i]))
        })
        .collect();
    let defined: Vec<f64> = errors.iter().flatten().copied().collect();
    if defined.is_empty() {
        return None;
    }
    let squares: Vec<f64> = defined.iter().map(|error| error * error).collect();
    let sizes: Vec<f64> = defined.iter().map(|error| error.abs()).collect();
    Some(LeaveOneOut {
        rmse: finite(mean_of(&squares).sqrt())?,
        mae: finite(mean_of(&sizes))?,
        undefined: errors.len() - defined.len(),
        errors,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let line = ols(&[0.0, 1.0, 2.0], &[1.0, 3.0, 5.0]).unwrap();
        assert_eq!(
            (line.slope, line.intercept, line.r2, line.rmse),
            (2.0, 1.0, Some(1.0), 0.0)
        );
        let line = ols(&[-1.0, 0.0, 1.0], &[0.0, 3.0, 0.0]).unwrap();
        assert_eq!((line.slope, line.intercept, line.r2), (0.0, 1.0, Some(0.0)));
        assert!((line.rmse - 2f64.sqrt()).abs() < 1e-15);
        assert_eq!(ols(&[0.0, 1.0], &[4.0, 4.0]).unwrap().r2, None);
        assert_eq!(ols(&[1.0, 1.0], &[1.0, 2.0]), None);
    }

    #[test]
    fn leaving_out_the_only_other_x_is_undefined_and_counted() {
        let got = leave_one_out(&[1.0, 1.0, 2.0], &[0.0, 2.0, 5.0]).unwrap();
        // Without row 0 the line is 3x - 1, without row 1 it is 5x - 5.
        assert_eq!(got.errors, [Some(-2.0), Some(2.0), None]);
        assert_eq!((got.rmse, got.mae, got.undefined), (2.0, 2.0, 1));
        assert_eq!(leave_one_out(&[1.0, 1.0, 1.0], &[0.0, 2.0, 5.0]), None);
        assert_eq!(leave_one_out(&[1.0, 2.0], &[0.0, 2.0]), None);
    }
}
