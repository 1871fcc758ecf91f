//! Headroom: what exponential tilting of the reward could still gain (eq. 28).
//!
//! Owns both readings. Per prompt (default): the reward is the indicator, a
//! Bernoulli variable of mean p. Pooled (sec. 6): the reward is R = p_y and the
//! expectation runs over prompts; a reward R = p_y within one prompt has no
//! spread, so its per-prompt headroom would be identically 0.
//!
//! Units: reward. alpha is the inverse temperature of the tilt; alpha = 0 is
//! the limit 0.

/// Below this |alpha| the cumulant series is exact to rounding.
const SERIES_ALPHA: f64 = 1e-4;

/// From here on e^alpha is not computed.
const HUGE_ALPHA: f64 = 700.0;

/// Beyond this alpha * spread the logarithm of the mean is shifted by its
/// largest term; below it expm1 keeps the small difference.
const SHIFT: f64 = 1.0;

/// H at one prompt: (1/alpha) log1p(p expm1(alpha)) - p, with p = p_y and
/// q = 1 - p_y given apart (eq. 28 with the indicator reward).
pub fn headroom_per_prompt(p: f64, q: f64, alpha: f64) -> f64 {
    if alpha.abs() < SERIES_ALPHA {
        // Cumulants 2, 3 and 4 of a Bernoulli variable.
        let variance = p * q;
        let fourth = variance * (1.0 - 6.0 * variance);
        return alpha / 2.0 * variance
            + alpha * alpha / 6.0 * variance * (q - p)
            + alpha.powi(3) / 24.0 * fourth;
    }
    if p >= q {
        // = q + (1/alpha) log(p e^0 + q e^-alpha) from the side of success.
        if alpha > 0.0 {
            return q + (q * (-alpha).exp_m1()).ln_1p() / alpha;
        }
        return q + log_sum_exp(p.ln(), q.ln() - alpha) / alpha;
    }
    // p expm1(alpha); where e^alpha would overflow, through log p.
    let tilt = if alpha < HUGE_ALPHA {
        p * alpha.exp_m1()
    } else {
        (p.ln() + alpha).exp() - p
    };
    if tilt.is_finite() {
        tilt.ln_1p() / alpha - p
    } else {
        (p.ln() + alpha) / alpha - p
    }
}

/// Pooled headroom: (1/alpha) log mean_q e^(alpha p_y) - mean_q p_y over the
/// prompts' p_y. `None` without prompts.
pub fn headroom_pooled(p: &[f64], alpha: f64) -> Option<f64> {
    if p.is_empty() {
        return None;
    }
    let n = p.len() as f64;
    let mean = p.iter().sum::<f64>() / n;
    let spread = p.iter().map(|p| (p - mean).abs()).fold(0.0, f64::max);
    if alpha == 0.0 {
        return Some(0.0);
    }
    if (alpha * spread).abs() < SHIFT {
        // expm1(x) - x, the linear part being 0 over the prompts.
        let tilt: f64 = p
            .iter()
            .map(|p| alpha * (p - mean))
            .map(|x| x.exp_m1() - x)
            .sum();
        return Some((tilt / n).ln_1p() / alpha);
    }
    let largest = p
        .iter()
        .map(|p| alpha * (p - mean))
        .fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = p.iter().map(|p| (alpha * (p - mean) - largest).exp()).sum();
    Some((largest + (sum / n).ln()) / alpha)
}

fn log_sum_exp(a: f64, b: f64) -> f64 {
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    if low == f64::NEG_INFINITY {
        high
    } else {
        high + (low - high).exp().ln_1p()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        // p = 1/2, alpha = log 3: log(2)/log(3) - 1/2.
        let want = 2f64.ln() / 3f64.ln() - 0.5;
        assert!((headroom_per_prompt(0.5, 0.5, 3f64.ln()) - want).abs() < 1e-15);
        assert_eq!(headroom_pooled(&[], 1.0), None);
        assert_eq!(headroom_pooled(&[0.3, 0.3], 2.0), Some(0.0));
        // Two prompts at 0 and 1 are one fair coin.
        let pooled = headroom_pooled(&[0.0, 1.0], 3f64.ln()).unwrap();
        assert!((pooled - want).abs() < 1e-15, "{pooled}");
    }

    #[test]
    fn the_branches_meet_the_plain_form() {
        for p in [0.01, 0.3, 0.499, 0.5, 0.501, 0.9, 0.999] {
            for alpha in [
                -5.0, -1.0, -0.01, 0.01, 0.5, 0.999, 1.0, 1.001, 5.0, 50.0, 500.0f64,
            ] {
                let plain = (p * alpha.exp_m1()).ln_1p() / alpha - p;
                let got = headroom_per_prompt(p, 1.0 - p, alpha);
                assert!(
                    (got - plain).abs() < 1e-13 * (1.0 + 1.0 / alpha.abs()),
                    "{p} {alpha}: {got} {plain}"
                );
            }
        }
    }

    #[test]
    fn extremes_are_finite_and_small_differences_survive() {
        // Large alpha: the headroom tends to q - log(1/p)/alpha.
        let large = headroom_per_prompt(0.25, 0.75, 1e6);
        assert!(
            (large - (0.75 + 0.25f64.ln() / 1e6)).abs() < 1e-15,
            "{large}"
        );
        for alpha in [0.0, 1e-9, 1.0, 1e3, 1e6] {
            for (p, q) in [(0.0, 1.0), (1.0, 0.0)] {
                let got = headroom_per_prompt(p, q, alpha);
                assert!(got.abs() < 1e-15, "{p} {alpha}: {got}");
            }
        }
        // Small alpha: alpha p q / 2.
        let small = headroom_per_prompt(0.3, 0.7, 1e-7) / 1e-7;
        assert!((small - 0.105).abs() < 1e-8, "{small}");
        let pooled = headroom_pooled(&[0.2, 0.4], 1e-6).unwrap() / 1e-6;
        assert!((pooled - 0.005).abs() < 1e-10, "{pooled}");
        // Saturated: H = q (1 - (1 - e^-alpha)/alpha) to first order in q.
        let saturated = headroom_per_prompt(1.0, 1e-20, 1.0);
        assert!(
            (saturated / 1e-20 - (-1f64).exp()).abs() < 1e-12,
            "{saturated}"
        );
        // And at the other end p (expm1(alpha)/alpha - 1).
        let rare = headroom_per_prompt(1e-20, 1.0, 2.0);
        assert!(
            (rare / 1e-20 - (2f64.exp_m1() / 2.0 - 1.0)).abs() < 1e-12,
            "{rare}"
        );
    }

    #[test]
    fn headroom_grows_with_alpha_and_stays_below_what_is_left() {
        for p in [1e-6, 0.1, 0.5, 0.95] {
            let mut last = 0.0;
            for i in 1..2000 {
                let got = headroom_per_prompt(p, 1.0 - p, f64::from(i) * 0.01);
                assert!(got > last && got < 1.0 - p, "{p} {i}: {got} after {last}");
                last = got;
            }
        }
    }
}
