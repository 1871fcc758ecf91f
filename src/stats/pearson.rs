//! Pearson's correlation, r = sum dx dy / sqrt(sum dx^2 sum dy^2).
//!
//! Source: Pearson 1895. Assumption: pairs are one sample; nothing is tested
//! here.
use crate::stats::sample::{finite, is_constant, mean_of, paired};

/// r in [-1, 1]. `None` for fewer than two pairs, unequal lengths, values that
/// are not finite, or constant input.
pub fn pearson(x: &[f64], y: &[f64]) -> Option<f64> {
    if !paired(x, y, 2) || is_constant(x) || is_constant(y) {
        return None;
    }
    let (dx, dy) = (scaled_deviations(x)?, scaled_deviations(y)?);
    let dot = |v: &[f64], w: &[f64]| v.iter().zip(w).map(|(v, w)| v * w).sum::<f64>();
    let r = dot(&dx, &dy) / (dot(&dx, &dx) * dot(&dy, &dy)).sqrt();
    Some(finite(r)?.clamp(-1.0, 1.0))
}

/// Deviations from the mean, the largest being 1, so that no square over- or
/// underflows.
fn scaled_deviations(x: &[f64]) -> Option<Vec<f64>> {
    let mean = finite(mean_of(x))?;
    let largest = finite(x.iter().map(|x| (x - mean).abs()).fold(0.0, f64::max))?;
    Some(x.iter().map(|x| (x - mean) / largest).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        assert_eq!(pearson(&[1.0, 2.0, 3.0], &[2.0, 4.0, 6.0]), Some(1.0));
        // dx = (-1, 0, 1), dy = (0, -1, 1): 1/2.
        assert!((pearson(&[1.0, 2.0, 3.0], &[2.0, 1.0, 3.0]).unwrap() - 0.5).abs() < 1e-15);
        assert_eq!(pearson(&[1.0, 1.0], &[1.0, 2.0]), None);
        let tiny = pearson(&[1e-300, 2e-300, 3e-300], &[1e300, 2e300, 3e300]);
        assert!((tiny.unwrap() - 1.0).abs() < 1e-15);
    }
}
