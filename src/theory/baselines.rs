//! Baselines that any score must beat: what p_y alone tells.
//!
//! Owns r_before, p(1-p) in both orders, the share of groups without variance
//! and the label mass. The entropy is `Softmax::entropy`. `None` means that
//! there was no prompt.

/// Unweighted mean over prompts (E_q); r_before is the mean of p_y.
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// E_q p (1 - p), from pairs (p, q = 1 - p).
pub fn p1mp(pairs: &[(f64, f64)]) -> Option<f64> {
    mean(&pairs.iter().map(|(p, q)| p * q).collect::<Vec<f64>>())
}

/// p (1 - p) of the mean p, from pairs (p, q = 1 - p).
pub fn p1mp_of_mean(pairs: &[(f64, f64)]) -> Option<f64> {
    let (p, q): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
    Some(mean(&p)? * mean(&q)?)
}

/// Probability that a group of `n` has equal rewards at one prompt, p^n + q^n:
/// such a group teaches nothing.
pub fn zero_var_share(p: f64, q: f64, n: u32) -> f64 {
    p.powf(f64::from(n)) + q.powf(f64::from(n))
}

/// Probability of the labels in the full softmax. Slots beyond the vocabulary
/// have none.
pub fn label_mass(p: &[f64], labels: &[usize]) -> f64 {
    labels.iter().filter_map(|&label| p.get(label)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let pairs = [(0.5, 0.5), (1.0, 0.0)];
        assert_eq!(p1mp(&pairs), Some(0.125));
        assert_eq!(p1mp_of_mean(&pairs), Some(0.1875));
        assert_eq!(zero_var_share(0.5, 0.5, 2), 0.5);
        assert_eq!(zero_var_share(0.0, 1.0, 8), 1.0);
        assert_eq!(label_mass(&[0.1, 0.2, 0.7], &[0, 2, 9]), 0.1 + 0.7);
        assert_eq!(
            (mean(&[]), p1mp(&[]), p1mp_of_mean(&[])),
            (None, None, None)
        );
    }
}
