//! Partial Spearman: the rank correlation of x and y with z held fixed.
//!
//! rho_xy.z = (rho_xy - rho_xz rho_yz) / sqrt((1 - rho_xz^2)(1 - rho_yz^2)), which
//! is Pearson's r of the residuals of the ranks regressed on [1, ranks of z].
//! Source: Kendall and Gibbons, ch. 8. Assumption: relations of ranks are linear.
use crate::stats::{
    sample::paired,
    spearman::{CentredRanks, centred_ranks, dot},
};

/// Share of a variable's rank variance below which z is said to explain it all.
const NOTHING_LEFT: f64 = 1e-12;

/// The partial correlation. `None` where x or y is monotone in z (nothing is
/// left of it), a variable is constant or not finite, lengths differ, or there
/// are fewer than three rows.
pub fn partial_spearman(x: &[f64], y: &[f64], z: &[f64]) -> Option<f64> {
    if !paired(x, y, 3) || !paired(x, z, 3) {
        return None;
    }
    let z = centred_ranks(z)?;
    if z.squares == 0.0 {
        return None;
    }
    let (x, y) = (
        residuals(&centred_ranks(x)?, &z)?,
        residuals(&centred_ranks(y)?, &z)?,
    );
    let scale = (dot(&x, &x) * dot(&y, &y)).sqrt();
    Some((dot(&x, &y) / scale).clamp(-1.0, 1.0))
}

fn residuals(x: &CentredRanks, z: &CentredRanks) -> Option<Vec<f64>> {
    let slope = dot(&x.values, &z.values) / z.squares;
    let left: Vec<f64> = x
        .values
        .iter()
        .zip(&z.values)
        .map(|(x, z)| x - slope * z)
        .collect();
    (dot(&left, &left) > NOTHING_LEFT * x.squares).then_some(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        // rho_xy = 0.8, rho_xz = 0.4, rho_yz = 0.
        let x = [1.0, 2.0, 3.0, 4.0];
        let y = [2.0, 1.0, 3.0, 4.0];
        let z = [3.0, 1.0, 2.0, 4.0];
        let rho = |a: &[f64], b: &[f64]| crate::stats::spearman(a, b).unwrap().rho;
        let (xy, xz, yz) = (rho(&x, &y), rho(&x, &z), rho(&y, &z));
        let want = (xy - xz * yz) / ((1.0 - xz * xz) * (1.0 - yz * yz)).sqrt();
        assert!((partial_spearman(&x, &y, &z).unwrap() - want).abs() < 1e-14);
    }

    #[test]
    fn what_z_explains_is_undefined() {
        let (x, y) = ([1.0, 2.0, 3.0, 4.0], [2.0, 1.0, 3.0, 4.0]);
        assert_eq!(partial_spearman(&x, &y, &[-1.0, -2.0, -3.0, -4.0]), None);
        assert_eq!(partial_spearman(&x, &y, &[1.0; 4]), None);
        assert_eq!(partial_spearman(&[1.0; 4], &y, &x), None);
        assert_eq!(partial_spearman(&x[..2], &y[..2], &y[..2]), None);
    }
}
