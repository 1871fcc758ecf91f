//! Sampled estimators at one prompt: a drawn group in place of the expectation.
//!
//! Owns the per-group numbers; drawing and averaging over groups belong to the
//! caller, who takes standard errors over groups. Over groups drawn from the
//! policy, `ip` and `lambda_ps` are unbiased for the exact finite-n forms.
//! `lambda_group` exists in sampled form only.
use crate::theory::OneToken;

/// A drawn group at one prompt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DrawnGroup<'a> {
    /// A_i, n values.
    pub advantages: &'a [f64],
    /// s(a_i).s(a_j), row-major n x n: the Gram of the drawn actions' scores.
    pub gram: &'a [f64],
    /// s(a_i).s(y), n values.
    pub dot_y: &'a [f64],
    /// p_y.
    pub p_y: f64,
    /// |s(y)|^2.
    pub norm2_s_y: f64,
}

/// What one group says of the signal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SampledParts {
    /// (mean_i lambda_hat_i).G, eq. 24 on the group mean.
    pub ip: f64,
    /// |G| mean_i |lambda_hat_i - G| (sec. 6).
    pub lambda_ps: f64,
    /// |G| |mean_i lambda_hat_i - G|.
    pub lambda_group: f64,
}

impl DrawnGroup<'_> {
    /// The estimators of this group. `None` for an empty group.
    ///
    /// # Panics
    /// If the lengths do not belong to one group.
    pub fn parts(&self) -> Option<SampledParts> {
        let n = self.advantages.len();
        assert_eq!(
            (self.dot_y.len(), self.gram.len()),
            (n, n * n),
            "products of {n} actions"
        );
        if n == 0 {
            return None;
        }
        let sigma = self.p_y * self.p_y * self.norm2_s_y;
        let size = n as f64;
        let (mut along, mut square, mut distance) = (0.0, 0.0, 0.0);
        for (i, (&advantage, &dot_y)) in self.advantages.iter().zip(self.dot_y).enumerate() {
            // lambda_hat_i . G
            let inner = advantage * self.p_y * dot_y;
            let row = &self.gram[i * n..(i + 1) * n];
            along += inner / size;
            square += advantage
                * row
                    .iter()
                    .zip(self.advantages)
                    .map(|(k, a)| k * a)
                    .sum::<f64>()
                / (size * size);
            let own = advantage * advantage * row[i] - 2.0 * inner + sigma;
            distance += own.max(0.0).sqrt() / size;
        }
        let gap = (square - 2.0 * along + sigma).max(0.0).sqrt();
        Some(SampledParts {
            ip: along,
            lambda_ps: sigma.sqrt() * distance,
            lambda_group: sigma.sqrt() * gap,
        })
    }
}

impl OneToken {
    /// The estimators of a group of `actions` with their `advantages` and the
    /// Gram of their scores. `None` for an empty group.
    ///
    /// # Panics
    /// If an action is outside the vocabulary or the lengths differ.
    pub fn sampled(
        &self,
        actions: &[usize],
        advantages: &[f64],
        gram: &[f64],
    ) -> Option<SampledParts> {
        let dot_y: Vec<f64> = actions.iter().map(|&a| self.dot_y()[a]).collect();
        DrawnGroup {
            advantages,
            gram,
            dot_y: &dot_y,
            p_y: self.policy().p_y(),
            norm2_s_y: self.norm2_s_y(),
        }
        .parts()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        // Scalars: s(y) = 1, s(other) = -1, p = 1/2, G = 1/2; advantages 1 and -1.
        let group = DrawnGroup {
            advantages: &[1.0, -1.0],
            gram: &[1.0, -1.0, -1.0, 1.0],
            dot_y: &[1.0, -1.0],
            p_y: 0.5,
            norm2_s_y: 1.0,
        };
        let want = SampledParts {
            ip: 0.5,
            lambda_ps: 0.25,
            lambda_group: 0.25,
        };
        assert_eq!(group.parts(), Some(want));
        let empty = DrawnGroup {
            advantages: &[],
            gram: &[],
            dot_y: &[],
            ..group
        };
        assert_eq!(empty.parts(), None);
    }
}
