//! The multiplier m of E[lambda_hat given h] = m G (eq. 11 and 12).
//!
//! Owns the expectation over a group's other actions. With A(r) the expected
//! advantage of an action of reward r, sum_a p_a s(a) = 0 gives
//! E lambda_hat = p_y A(1) s(y) - p_y A(0) s(y), so m = A(1) - A(0): a
//! difference of a nonnegative and a nonpositive sum, exact at both ends,
//! where E[f(1-f)/(s_k+xi)] / (p(1-p)) would divide 0 by 0.
use crate::theory::{Advantage, Group};

/// The law Bin(n, p) as n + 1 probabilities, with p and q = 1 - p given apart.
///
/// Built from the mode outwards by ratios and normalised, so that no
/// factorial overflows and small tails keep their relative accuracy.
pub fn binomial(n: u32, p: f64, q: f64) -> Vec<f64> {
    let n = n as usize;
    let mode = (((n + 1) as f64 * p) as usize).min(n);
    let mut law = vec![0.0; n + 1];
    law[mode] = 1.0;
    for j in mode..n {
        law[j + 1] = law[j] * ((n - j) as f64 / (j + 1) as f64) * (p / q);
    }
    for j in (0..mode).rev() {
        law[j] = law[j + 1] * ((j + 1) as f64 / (n - j) as f64) * (q / p);
    }
    let sum: f64 = law.iter().sum();
    for probability in &mut law {
        *probability /= sum;
    }
    law
}

/// m for an advantage and a group, with p = p_y and q = 1 - p_y.
///
/// Infinite group: 1/(sigma + xi) with sigma = sqrt(p q) when the standard
/// deviation divides, otherwise 1. Group n: (n-1)/n for `mean-only`; 1 for
/// `rloo` and `none`; a binomial sum for the others. A group of one has m = 0,
/// except under `none`.
pub fn multiplier(advantage: Advantage, group: Group, p: f64, q: f64) -> f64 {
    match (advantage, group) {
        (Advantage::None, _) | (Advantage::Rloo | Advantage::MeanOnly, Group::Inf) => 1.0,
        (_, Group::N(0 | 1)) => 0.0,
        (Advantage::Rloo, Group::N(_)) => 1.0,
        (Advantage::MeanOnly, Group::N(n)) => f64::from(n - 1) / f64::from(n),
        (_, Group::Inf) => 1.0 / ((p * q).sqrt() + advantage.xi()),
        (_, Group::N(n)) => binomial(n - 1, p, q)
            .iter()
            .zip(0..)
            .map(|(weight, j)| {
                weight * (advantage.of_action(1, j, n) - advantage.of_action(0, j, n))
            })
            .sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_binomial_law_by_hand() {
        assert_eq!(binomial(0, 0.3, 0.7), [1.0]);
        for (got, want) in binomial(3, 0.25, 0.75).iter().zip([27.0, 27.0, 9.0, 1.0]) {
            assert!((got - want / 64.0).abs() < 1e-15, "{got} {want}");
        }
        assert_eq!(binomial(4, 0.0, 1.0), [1.0, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(binomial(4, 1.0, 0.0), [0.0, 0.0, 0.0, 0.0, 1.0]);
        let big = binomial(5000, 0.3, 0.7);
        let mean: f64 = big.iter().enumerate().map(|(k, w)| k as f64 * w).sum();
        assert!((mean - 1500.0).abs() < 1e-8, "{mean}");
        // Tails keep their relative accuracy: P(1) = n p (1-p)^(n-1).
        let tail = binomial(8, 1e-200, 1.0)[1];
        assert!((tail / 8e-200 - 1.0).abs() < 1e-14, "{tail}");
    }

    #[test]
    fn m_agrees_with_the_printed_binomial_form() {
        for advantage in [Advantage::GroupNorm, Advantage::GroupNormPop] {
            for n in [2u32, 3, 5, 8, 16, 64] {
                for p in [0.01, 0.2, 0.5, 0.9] {
                    let freedom = if advantage == Advantage::GroupNorm {
                        n - 1
                    } else {
                        n
                    };
                    let scale = (f64::from(n) / f64::from(freedom)).sqrt();
                    let printed: f64 = binomial(n, p, 1.0 - p)
                        .iter()
                        .enumerate()
                        .map(|(k, weight)| {
                            let f = k as f64 / f64::from(n);
                            let variance = f * (1.0 - f);
                            weight * variance / (variance.sqrt() * scale + advantage.xi())
                        })
                        .sum::<f64>()
                        / (p * (1.0 - p));
                    let m = multiplier(advantage, Group::N(n), p, 1.0 - p);
                    assert!(
                        (m / printed - 1.0).abs() < 1e-12,
                        "{advantage} {n} {p}: {m} {printed}"
                    );
                }
            }
        }
    }

    #[test]
    fn m_is_finite_and_has_its_limit_at_both_ends() {
        for advantage in Advantage::ALL {
            for group in [Group::Inf, Group::N(1), Group::N(2), Group::N(8)] {
                for (p, q) in [(0.0, 1.0), (1e-300, 1.0), (1.0, 1e-300), (1.0, 0.0)] {
                    let m = multiplier(advantage, group, p, q);
                    assert!(m.is_finite() && m >= 0.0, "{advantage} {group} {p}: {m}");
                }
            }
        }
        // One success or one failure in 8: A = (7/8)/(sqrt(1/8) + xi), and A(0) = 0 almost surely.
        let limit = 0.875 / (0.125f64.sqrt() + 1e-4);
        for (p, q) in [(1e-12, 1.0 - 1e-12), (1.0 - 1e-12, 1e-12)] {
            let m = multiplier(Advantage::GroupNorm, Group::N(8), p, q);
            assert!((m / limit - 1.0).abs() < 1e-10, "{m} {limit}");
        }
    }

    #[test]
    fn m_crosses_two_where_the_algebra_says() {
        // (n, edge for the sample deviation, edge for the population deviation), xi -> 0 to 3 digits.
        for (n, sample, population) in [(6, 0.0245, 0.152), (8, 0.183, 0.269), (16, 0.316, 0.367)] {
            for (advantage, edge) in [
                (Advantage::GroupNorm, sample),
                (Advantage::GroupNormPop, population),
            ] {
                let m = |p: f64| multiplier(advantage, Group::N(n), p, 1.0 - p);
                let (out, inside) = (m(edge - 1e-3), m(edge + 1e-3));
                assert!(
                    out > 2.0 && inside < 2.0,
                    "{advantage} {n} {edge}: {out} {inside}"
                );
                assert!((m(edge + 1e-3) - m(1.0 - edge - 1e-3)).abs() < 1e-12);
            }
        }
        for n in 2..=5 {
            for i in 0..=1000 {
                let p = f64::from(i) / 1000.0;
                for advantage in [Advantage::GroupNorm, Advantage::GroupNormPop] {
                    let m = multiplier(advantage, Group::N(n), p, 1.0 - p);
                    assert!(m < 2.0, "{advantage} {n} {p}: {m}");
                }
            }
        }
    }
}
