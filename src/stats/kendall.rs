//! Kendall's tau-b, the rank correlation that counts pairs of pairs.
//!
//! tau = (C - D) / sqrt((P - X)(P - Y)): C concordant and D discordant pairs, P
//! all pairs, X and Y those tied in x and in y. Source: Kendall 1945; the same as
//! `scipy.stats.kendalltau`. O(n^2), for samples of checkpoints.
use crate::stats::{sample::paired, spearman::correlation};

/// tau-b in [-1, 1]. `None` for fewer than two pairs, unequal lengths, values
/// that are not finite, or constant input.
pub fn kendall_tau_b(x: &[f64], y: &[f64]) -> Option<f64> {
    if !paired(x, y, 2) {
        return None;
    }
    let (mut balance, mut untied_x, mut untied_y) = (0.0, 0.0, 0.0);
    for j in 1..x.len() {
        for i in 0..j {
            let (side_x, side_y) = (side(x[i], x[j]), side(y[i], y[j]));
            balance += side_x * side_y;
            untied_x += side_x * side_x;
            untied_y += side_y * side_y;
        }
    }
    correlation(balance, untied_x, untied_y)
}

/// 1, 0 or -1 as `b` is above, equal to or below `a`.
fn side(a: f64, b: f64) -> f64 {
    f64::from(i8::from(b > a) - i8::from(b < a))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        // 5 concordant, 1 discordant of 6.
        let tau = kendall_tau_b(&[1.0, 2.0, 3.0, 4.0], &[2.0, 1.0, 3.0, 4.0]).unwrap();
        assert!((tau - 4.0 / 6.0).abs() < 1e-15);
        // One tie in x: C - D = 2, untied 2 of 3 and 3 of 3.
        let tau = kendall_tau_b(&[1.0, 1.0, 2.0], &[1.0, 2.0, 3.0]).unwrap();
        assert!((tau - 2.0 / 6f64.sqrt()).abs() < 1e-15);
        assert_eq!(kendall_tau_b(&[1.0, 1.0], &[1.0, 2.0]), None);
    }
}
