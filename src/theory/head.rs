//! From head products to scores: |s(a)|^2 and s(a).s(y) for all V actions.
//!
//! Owns the expansion for the post-norm and the pre-norm state. Never touches
//! a tensor: products with the head come in as numbers.
//!
//! Symbols: w_a row a of the head W [V, d]; w_bar = W^T p; s(a) = w_a - w_bar
//! (eq. 2); h the state after the final norm; u the residual before it;
//! h = g o u * rho with rho = 1/sqrt(mean(u^2) + eps).
//!
//! A layer norm h = g o c * rho + b, c = u - mean(u), is the same with c for u,
//! the rows of W diag(g) less their means, and z - W b for the logits z: J is
//! then followed by a projection on what has no mean, and c has none already.
use crate::theory::{OneToken, Softmax};

/// Products of the head with itself at one prompt; V entries per vector.
#[derive(Debug, Clone, PartialEq)]
pub struct HeadProducts {
    /// |w_a|^2.
    pub norm2_w: Vec<f64>,
    /// w_a . w_bar.
    pub w_dot_bar: Vec<f64>,
    /// w_a . s(y). Taking W s(y) in place of W w_y costs the same and loses
    /// nothing where w_bar is nearly w_y.
    pub w_dot_s_y: Vec<f64>,
    /// |w_bar|^2.
    pub norm2_bar: f64,
    /// |s(y)|^2 of s(y) = W^T (e_y - p) with slot y of e_y - p taken as q_y;
    /// the expanded form would lose it near saturation.
    pub norm2_s_y: f64,
}

impl HeadProducts {
    /// The products in f64 from the head's rows `w`, row-major [V, d]: O(V d).
    /// For the `labels` vocabulary pass the labels' rows only; for the pre-norm
    /// state pass the rows of W diag(g).
    ///
    /// # Panics
    /// If `w` does not hold V rows of `d`.
    pub fn from_rows(w: &[f64], d: usize, policy: &Softmax) -> HeadProducts {
        let vocab = policy.p.len();
        assert_eq!(w.len(), vocab * d, "head of {vocab} rows of {d}");
        let row = |a: usize| &w[a * d..(a + 1) * d];
        let (mut bar, mut s_y) = (vec![0.0; d], vec![0.0; d]);
        for (b, &p) in policy.p.iter().enumerate() {
            for i in 0..d {
                bar[i] += p * row(b)[i];
                s_y[i] += p * (row(policy.y)[i] - row(b)[i]);
            }
        }
        let all = |v: &[f64]| (0..vocab).map(|a| dot(row(a), v)).collect();
        HeadProducts {
            norm2_w: (0..vocab).map(|a| dot(row(a), row(a))).collect(),
            w_dot_bar: all(&bar),
            w_dot_s_y: all(&s_y),
            norm2_bar: dot(&bar, &bar),
            norm2_s_y: dot(&s_y, &s_y),
        }
    }

    /// |s(a)|^2 = |w_a|^2 - 2 w_a.w_bar + |w_bar|^2, clamped at 0; slot y exact.
    fn norm2(&self, y: usize) -> Vec<f64> {
        let pairs = self.norm2_w.iter().zip(&self.w_dot_bar);
        let mut norm2: Vec<f64> = pairs
            .map(|(w2, wb)| (w2 - 2.0 * wb + self.norm2_bar).max(0.0))
            .collect();
        norm2[y] = self.norm2_s_y;
        norm2
    }

    /// s(a).s(y) = w_a.s(y) - sum_b p_b w_b.s(y); slot y exact.
    fn dot_y(&self, policy: &Softmax) -> Vec<f64> {
        let bar = dot(&policy.p, &self.w_dot_s_y);
        let mut dot_y: Vec<f64> = self.w_dot_s_y.iter().map(|w| w - bar).collect();
        dot_y[policy.y] = self.norm2_s_y;
        dot_y
    }
}

/// The final RMS norm at one state u: what its Jacobian needs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FinalNorm {
    /// 1 / sqrt(mean(u^2) + eps).
    pub rho: f64,
    /// mean(u^2) / (mean(u^2) + eps), nearly 1.
    pub t: f64,
    /// Width d of the state.
    pub d: usize,
}

impl FinalNorm {
    /// The norm at residual `u`.
    pub fn at(u: &[f64], eps: f64) -> FinalNorm {
        let square = dot(u, u) / u.len() as f64;
        FinalNorm {
            rho: 1.0 / (square + eps).sqrt(),
            t: square / (square + eps),
            d: u.len(),
        }
    }

    /// (J^T v).(J^T w) = rho^2 ( (g o v).(g o w) - (2 - t) (h.v)(h.w) / d ), with
    /// J = dh/du and the three products given.
    pub fn pull_back(&self, gv_dot_gw: f64, h_dot_v: f64, h_dot_w: f64) -> f64 {
        let radial = (2.0 - self.t) * h_dot_v * h_dot_w / self.d as f64;
        self.rho * self.rho * (gv_dot_gw - radial)
    }
}

impl OneToken {
    /// The label task at the post-norm state h (eq. 13), from products with W.
    pub fn post_norm(policy: Softmax, head: &HeadProducts) -> OneToken {
        let (norm2, dot_y) = (head.norm2(policy.y), head.dot_y(&policy));
        OneToken::new(policy, norm2, dot_y)
    }

    /// The label task at the pre-norm residual u: scores J^T s(a). `head` holds
    /// products with W diag(g) and `z` the logits of the same vocabulary, as
    /// h.s(a) = z_a - sum_b p_b z_b.
    pub fn pre_norm(policy: Softmax, head: &HeadProducts, norm: FinalNorm, z: &[f64]) -> OneToken {
        let bar = dot(&policy.p, z);
        let mut h_dot_s: Vec<f64> = z.iter().map(|z| z - bar).collect();
        // Slot y as a sum of differences: it is small near saturation.
        h_dot_s[policy.y] = policy
            .p
            .iter()
            .zip(z)
            .map(|(p, z_b)| p * (z[policy.y] - z_b))
            .sum();
        let radial_y = h_dot_s[policy.y];
        let norm2 = head
            .norm2(policy.y)
            .iter()
            .zip(&h_dot_s)
            .map(|(&gs2, &hs)| norm.pull_back(gs2, hs, hs).max(0.0))
            .collect();
        let dot_y = head
            .dot_y(&policy)
            .iter()
            .zip(&h_dot_s)
            .map(|(&gs, &hs)| norm.pull_back(gs, hs, radial_y))
            .collect();
        OneToken::new(policy, norm2, dot_y)
    }
}

fn dot(v: &[f64], w: &[f64]) -> f64 {
    v.iter().zip(w).map(|(v, w)| v * w).sum()
}
