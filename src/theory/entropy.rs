//! Entropy bounds on the sampling gap (eq. 21, proposition 2).
//!
//! Owns the constants and the bounds. Symbols: H entropy of softmax(z/tau) in
//! nats, V the vocabulary of that softmax, tau temperature, p_max its largest
//! probability; o the sampled token's one-hot, do/dz = (diag p - p p^T)/tau.
//!
//! The bound is one-sided, and its full constant multiplies norms of W, E and
//! dh/de: it is loose by factors of hundreds on small models. Never fit it.

/// kappa = sup (1 - p_max)/sqrt(H) = 3 / (4 sqrt(log 4)), reached by the
/// uniform law on 4 atoms.
pub const KAPPA: f64 = 0.636_991_350_216_014_3;

/// |diag p - p p^T| <= 0.60056 sqrt(H), found numerically.
pub const KAPPA_JACOBIAN: f64 = 0.60056;

/// C_V = kappa sqrt(log V), so that 1 - p_max <= C_V sqrt(H / log V) (eq. 21).
pub fn entropy_constant(vocab: usize) -> f64 {
    KAPPA * (vocab as f64).ln().sqrt()
}

/// 1 - p_max <= kappa sqrt(H).
pub fn tail_bound(entropy: f64) -> f64 {
    KAPPA * entropy.sqrt()
}

/// |do/dz| <= 2 (1 - p_max)/tau <= 2 kappa sqrt(H)/tau (proposition 2).
pub fn sampling_jacobian_bound(entropy: f64, tau: f64) -> f64 {
    2.0 * tail_bound(entropy) / tau
}

/// The sharper numeric bound 0.60056 sqrt(H)/tau on |do/dz|.
pub fn sampling_jacobian_bound_sharp(entropy: f64, tau: f64) -> f64 {
    KAPPA_JACOBIAN * entropy.sqrt() / tau
}

/// Bound on |M_t| (eq. 20 and 21): the sampling Jacobian's bound times the
/// spectral norms of W, of E and of dh_{t+1}/de_t.
pub fn missing_jacobian_bound(
    entropy: f64,
    tau: f64,
    norm_w: f64,
    norm_e: f64,
    norm_dh_de: f64,
) -> f64 {
    sampling_jacobian_bound(entropy, tau) * norm_w * norm_e * norm_dh_de
}

/// |diag p - p p^T|, exactly: the root of sum_i p_i^2/(p_i - x) = 1 between the
/// two largest probabilities (a rank-one change of a diagonal matrix
/// interlaces). 0 for fewer than two slots.
pub fn softmax_jacobian_norm(p: &[f64]) -> f64 {
    let (mut first, mut second) = (0.0, 0.0);
    for &p in p {
        if p > first {
            (first, second) = (p, first);
        } else if p > second {
            second = p;
        }
    }
    let (mut low, mut high) = (second, first);
    loop {
        let middle = low + (high - low) / 2.0;
        if middle <= low || middle >= high {
            return middle;
        }
        let secular: f64 = p.iter().map(|p| p * p / (p - middle)).sum();
        if secular < 1.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::theory::Softmax;

    #[test]
    fn kappa_is_its_formula_and_is_reached() {
        assert!((KAPPA - 3.0 / (4.0 * 4f64.ln().sqrt())).abs() < 1e-16);
        let uniform = Softmax::new(&[0.0; 4], 0);
        assert!((tail_bound(uniform.entropy()) - 0.75).abs() < 1e-15);
        assert!((entropy_constant(264) - 1.504_156_190_716_098_7).abs() < 1e-15);
    }

    #[test]
    fn the_jacobian_norm_by_hand() {
        // Uniform on n: eigenvalue 1/n; a coin: 2 p (1 - p).
        assert!((softmax_jacobian_norm(&[0.25; 4]) - 0.25).abs() < 1e-15);
        assert!((softmax_jacobian_norm(&[0.9, 0.1]) - 0.18).abs() < 1e-15);
        assert!((softmax_jacobian_norm(&[0.0, 1.0, 0.0])).abs() < 1e-15);
        assert_eq!(softmax_jacobian_norm(&[]), 0.0);
    }

    #[test]
    fn no_softmax_breaks_the_bounds() {
        for vocab in 2..40 {
            for i in 0..200 {
                // One atom against the rest, and a geometric law, over a grid of sharpness.
                let sharp = f64::from(i) * 0.05;
                let step: Vec<f64> = (0..vocab)
                    .map(|a| if a == 0 { sharp } else { 0.0 })
                    .collect();
                let slope: Vec<f64> = (0..vocab).map(|a| -sharp * f64::from(a)).collect();
                for z in [step, slope] {
                    let softmax = Softmax::new(&z, 0);
                    let (entropy, norm) = (softmax.entropy(), softmax_jacobian_norm(&softmax.p));
                    assert!(
                        softmax.q_y <= tail_bound(entropy) * (1.0 + 1e-12),
                        "{vocab} {sharp}"
                    );
                    let sharp_bound = sampling_jacobian_bound_sharp(entropy, 1.0);
                    assert!(
                        norm <= sharp_bound * (1.0 + 1e-4),
                        "{vocab} {sharp}: {norm}"
                    );
                    assert!(sharp_bound <= sampling_jacobian_bound(entropy, 1.0));
                }
            }
        }
    }
}
