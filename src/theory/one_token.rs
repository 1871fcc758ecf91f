//! The one-token label task: closed forms at one prompt (eq. 5, 9, 11, 12, 24
//! to 27), from one forward pass, without backward pass or sampling.
//!
//! Owns Sigma, IP, Lambda and S at one prompt and their mean over prompts;
//! the scores' norms come from `head`, m from `multiplier`.
//!
//! Symbols: G = dR/dh = p_y s(y); lambda_hat(a) = A(a) s(a), A detached;
//! E[lambda_hat given h] = m G. Reward r(a) = 1[a = y].
//!
//! In a one-token task no token follows, so the sampling gap (eq. 20) is 0.
use crate::theory::{Advantage, Group, Softmax, binomial, multiplier};

/// What the closed forms need to know of one prompt. The state may be the
/// post-norm or the pre-norm one and the vocabulary full or the labels: the
/// formulas are the same.
#[derive(Debug, Clone, PartialEq)]
pub struct OneToken {
    policy: Softmax,
    /// |s(a)|^2, all V actions.
    norm2: Vec<f64>,
    /// s(a).s(y), all V actions.
    dot_y: Vec<f64>,
}

/// The parts of the usable signal at one prompt, or their means over prompts.
///
/// Means are unweighted (E_q); a mean of `m` has no use of its own but tells
/// the scale.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SignalParts {
    /// Multiplier of E lambda_hat = m G (eq. 12).
    pub m: f64,
    /// Signal |G|^2 (eq. 26).
    pub sigma: f64,
    /// Transmitted signal E[lambda_hat].G = m |G|^2, the inner product of eq. 24.
    pub ip: f64,
    /// Lost signal, conditional: |G| |E lambda_hat - G| = |G|^2 |m - 1| (eq. 26).
    pub lambda_cond: f64,
    /// Lost signal, per sample: |G| E|lambda_hat - G| (sec. 6).
    pub lambda_ps: f64,
    /// sigma - lambda_cond (eq. 27).
    pub s_cond: f64,
    /// sigma - lambda_ps (eq. 27).
    pub s_ps: f64,
}

/// One case of the group around an action: its probability and the advantage
/// if the action is the label, and if it is not.
struct Case {
    weight: f64,
    hit: f64,
    miss: f64,
}

impl OneToken {
    /// From |s(a)|^2 and s(a).s(y) for all actions. Negative squared norms,
    /// which only rounding makes, count as 0; |s(y)|^2 is read from `norm2`.
    ///
    /// # Panics
    /// If the three lengths differ.
    pub fn new(policy: Softmax, mut norm2: Vec<f64>, dot_y: Vec<f64>) -> OneToken {
        let vocab = policy.p.len();
        assert_eq!(
            (norm2.len(), dot_y.len()),
            (vocab, vocab),
            "products over {vocab} actions"
        );
        for norm in &mut norm2 {
            *norm = norm.max(0.0);
        }
        OneToken {
            policy,
            norm2,
            dot_y,
        }
    }

    /// The policy at this prompt.
    pub fn policy(&self) -> &Softmax {
        &self.policy
    }

    /// |s(a)|^2 for all actions.
    pub fn norm2(&self) -> &[f64] {
        &self.norm2
    }

    /// s(a).s(y) for all actions.
    pub fn dot_y(&self) -> &[f64] {
        &self.dot_y
    }

    /// |s(y)|^2.
    pub fn norm2_s_y(&self) -> f64 {
        self.norm2[self.policy.y]
    }

    /// Sigma at this prompt: |G|^2 = p_y^2 |s(y)|^2 (eq. 26).
    pub fn sigma(&self) -> f64 {
        self.policy.p_y().powi(2) * self.norm2_s_y()
    }

    /// The parts under an advantage and a group size.
    pub fn signal(&self, advantage: Advantage, group: Group) -> SignalParts {
        let (p, q) = (self.policy.p_y(), self.policy.q_y);
        let cases: Vec<Case> = match group {
            Group::Inf => vec![Case {
                weight: 1.0,
                hit: advantage.of_action_infinite(1, p, q),
                miss: advantage.of_action_infinite(0, p, q),
            }],
            Group::N(n) => binomial(n.max(1) - 1, p, q)
                .into_iter()
                .zip(0..)
                .map(|(weight, j)| Case {
                    weight,
                    hit: advantage.of_action(1, j, n.max(1)),
                    miss: advantage.of_action(0, j, n.max(1)),
                })
                .collect(),
        };
        self.parts(multiplier(advantage, group, p, q), &cases)
    }

    /// The parts when every action of this prompt has the same advantage
    /// `value` (reading `prob-batch`): E lambda_hat = 0, m = 0.
    pub fn signal_of_constant(&self, value: f64) -> SignalParts {
        self.parts(
            0.0,
            &[Case {
                weight: 1.0,
                hit: value,
                miss: value,
            }],
        )
    }

    fn parts(&self, m: f64, cases: &[Case]) -> SignalParts {
        let sigma = self.sigma();
        let lambda_cond = sigma * (m - 1.0).abs();
        let lambda_ps = sigma.sqrt() * self.expected_distance(cases);
        SignalParts {
            m,
            sigma,
            ip: m * sigma,
            lambda_cond,
            lambda_ps,
            s_cond: sigma - lambda_cond,
            s_ps: sigma - lambda_ps,
        }
    }

    /// E |A(a) s(a) - G| over the action and the group around it.
    fn expected_distance(&self, cases: &[Case]) -> f64 {
        let (y, p_y, sigma) = (self.policy.y, self.policy.p_y(), self.sigma());
        // A - p_y; near saturation through q_y, so that A = 1 keeps its digits.
        let excess = |hit: f64| {
            if p_y > 0.5 {
                (hit - 1.0) + self.policy.q_y
            } else {
                hit - p_y
            }
        };
        let hit: f64 = cases
            .iter()
            .map(|case| case.weight * excess(case.hit).abs())
            .sum();
        let mut miss = 0.0;
        for (a, &p) in self.policy.p.iter().enumerate() {
            if a == y || p == 0.0 {
                continue;
            }
            let (norm2, cross) = (self.norm2[a], 2.0 * p_y * self.dot_y[a]);
            let distance: f64 = cases
                .iter()
                .map(|case| {
                    let square = case.miss * (case.miss * norm2 - cross) + sigma;
                    case.weight * square.max(0.0).sqrt()
                })
                .sum();
            miss += p * distance;
        }
        p_y * hit * self.norm2_s_y().sqrt() + miss
    }
}

impl SignalParts {
    /// E_q: the unweighted mean over prompts. `None` without prompts.
    pub fn mean(prompts: &[SignalParts]) -> Option<SignalParts> {
        let mean = |part: fn(&SignalParts) -> f64| {
            prompts.iter().map(part).sum::<f64>() / prompts.len() as f64
        };
        (!prompts.is_empty()).then(|| SignalParts {
            m: mean(|parts| parts.m),
            sigma: mean(|parts| parts.sigma),
            ip: mean(|parts| parts.ip),
            lambda_cond: mean(|parts| parts.lambda_cond),
            lambda_ps: mean(|parts| parts.lambda_ps),
            s_cond: mean(|parts| parts.s_cond),
            s_ps: mean(|parts| parts.s_ps),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two actions and a scalar state, w = (1, -1): s(y) = 2 q, s(other) = -2 p.
    fn coin(p: f64) -> OneToken {
        let policy = Softmax::new(&[(p / (1.0 - p)).ln(), 0.0], 0);
        let q = 1.0 - p;
        OneToken::new(
            policy,
            vec![4.0 * q * q, 4.0 * p * p],
            vec![4.0 * q * q, -4.0 * p * q],
        )
    }

    #[test]
    fn a_coin_by_hand() {
        let parts = coin(0.5).signal(Advantage::MeanOnly, Group::Inf);
        // G = 1/2; lambda_hat = 1/2 for both actions: no loss at all.
        assert!((parts.sigma - 0.25).abs() < 1e-15 && parts.lambda_ps.abs() < 1e-15);
        let parts = coin(0.25).signal(Advantage::None, Group::Inf);
        // G = 3/8, lambda_hat = 3/2 with probability 1/4, else 0.
        let lambda_ps = 0.375 * (0.25 * 1.125 + 0.75 * 0.375);
        assert!((parts.lambda_ps - lambda_ps).abs() < 1e-15, "{parts:?}");
        assert!((parts.ip - 0.375 * 0.375).abs() < 1e-15 && parts.lambda_cond == 0.0);
    }

    #[test]
    fn the_ends_are_finite() {
        for z in [-800.0, 800.0] {
            let prompt = OneToken::new(Softmax::new(&[z, 0.0], 0), vec![1.0; 2], vec![1.0; 2]);
            for advantage in Advantage::ALL {
                for group in [Group::Inf, Group::N(0), Group::N(1), Group::N(8)] {
                    let parts = prompt.signal(advantage, group);
                    assert!(
                        parts.lambda_ps.is_finite() && parts.m.is_finite(),
                        "{parts:?}"
                    );
                }
            }
        }
        assert_eq!(SignalParts::mean(&[]), None);
    }
}
