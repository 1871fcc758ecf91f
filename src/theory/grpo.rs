//! Scalar pieces of the GRPO objective (eq. 1): one action at a time.
//!
//! Owns ratio, clip and k3. The mean over actions, and anything with a
//! gradient, is in `rl`.

/// rho = pi(a) / pi_old(a) from log-probabilities in nats.
pub fn ratio(log_p: f64, log_p_old: f64) -> f64 {
    (log_p - log_p_old).exp()
}

/// min(rho A, clip(rho, 1 - epsilon_low, 1 + epsilon_high) A), to be maximised.
pub fn clipped_objective(rho: f64, advantage: f64, epsilon_low: f64, epsilon_high: f64) -> f64 {
    let clipped = rho.min(1.0 + epsilon_high).max(1.0 - epsilon_low);
    (rho * advantage).min(clipped * advantage)
}

/// Whether the clip cuts the gradient: A > 0 above the band or A < 0 below it.
pub fn is_clipped(rho: f64, advantage: f64, epsilon_low: f64, epsilon_high: f64) -> bool {
    (advantage > 0.0 && rho > 1.0 + epsilon_high) || (advantage < 0.0 && rho < 1.0 - epsilon_low)
}

/// k3 = exp(d) - d - 1 with d = log pi_ref - log pi: an estimator of
/// KL(pi || pi_ref) in nats, never negative.
pub fn k3(log_p: f64, log_p_ref: f64) -> f64 {
    let d = log_p_ref - log_p;
    if d.abs() < 1e-3 {
        // exp(d) - d - 1 cancels here; the next term is below d^6 / 720.
        return d * d / 2.0 * (1.0 + d / 3.0 * (1.0 + d / 4.0 * (1.0 + d / 5.0)));
    }
    d.exp_m1() - d
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clip_by_hand() {
        let objective = |rho, a| clipped_objective(rho, a, 0.2, 0.2);
        assert_eq!(objective(1.5, 2.0), 2.4);
        assert_eq!(objective(0.5, 2.0), 1.0);
        assert_eq!(objective(1.5, -2.0), -3.0);
        assert_eq!(objective(0.5, -2.0), -1.6);
        assert!(is_clipped(1.21, 1.0, 0.2, 0.2) && is_clipped(0.79, -1.0, 0.2, 0.2));
        assert!(!is_clipped(1.21, -1.0, 0.2, 0.2) && !is_clipped(1.21, 0.0, 0.2, 0.2));
        assert_eq!(ratio(-1.0, -1.0), 1.0);
    }

    #[test]
    fn k3_is_smooth_and_never_negative() {
        assert_eq!(k3(-2.0, -2.0), 0.0);
        assert!((k3(0.0, 1.0) - (1f64.exp() - 2.0)).abs() < 1e-15);
        for i in -2000..=2000 {
            let d = f64::from(i) * 1e-6;
            let got = k3(0.0, d);
            assert!(
                got >= 0.0 && (got - (d.exp_m1() - d)).abs() < 1e-18,
                "{d}: {got}"
            );
        }
    }
}
