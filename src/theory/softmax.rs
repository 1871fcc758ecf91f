//! The policy at one prompt: softmax over a vocabulary, with the label apart.
//!
//! Owns p, p_y and its complement. The complement is a sum over the other
//! slots, never 1 - p_y, which has no digits left near saturation.

/// p = softmax(z) (eq. 13) with the label's slot y and q_y = sum_{b != y} p_b.
///
/// The `labels` vocabulary is the same thing built from the restricted logits.
#[derive(Debug, Clone, PartialEq)]
pub struct Softmax {
    /// Probabilities, length V.
    pub p: Vec<f64>,
    /// The label's slot.
    pub y: usize,
    /// 1 - p_y, as a sum.
    pub q_y: f64,
}

impl Softmax {
    /// Softmax of logits `z` with label slot `y`. A NaN among the logits makes
    /// everything NaN.
    ///
    /// # Panics
    /// If `y` is not a slot of `z`.
    pub fn new(z: &[f64], y: usize) -> Softmax {
        assert!(y < z.len(), "label slot {y} of {}", z.len());
        let largest = z.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut p: Vec<f64> = z.iter().map(|z| (z - largest).exp()).collect();
        let others: f64 = p
            .iter()
            .enumerate()
            .filter(|&(b, _)| b != y)
            .map(|(_, e)| e)
            .sum();
        let total = others + p[y];
        for probability in &mut p {
            *probability /= total;
        }
        Softmax {
            p,
            y,
            q_y: others / total,
        }
    }

    /// p_y, the paper's R at this prompt.
    pub fn p_y(&self) -> f64 {
        self.p[self.y]
    }

    /// sigma = sqrt(p_y (1 - p_y)), the reward's standard deviation.
    pub fn sigma(&self) -> f64 {
        (self.p_y() * self.q_y).sqrt()
    }

    /// -sum_a p_a log p_a in nats; slots of probability 0 add nothing.
    pub fn entropy(&self) -> f64 {
        let log = |a: usize, p: f64| {
            // log p_y keeps its digits near 1 only through q_y.
            if a == self.y && p > 0.5 {
                (-self.q_y).ln_1p()
            } else {
                p.ln()
            }
        };
        let terms = self.p.iter().enumerate().filter(|&(_, &p)| p > 0.0);
        -terms.map(|(a, &p)| p * log(a, p)).sum::<f64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let softmax = Softmax::new(&[0.0, 3f64.ln(), 0.0], 1);
        assert!((softmax.p_y() - 0.6).abs() < 1e-15 && (softmax.q_y - 0.4).abs() < 1e-15);
        assert!((softmax.sigma() - 0.24f64.sqrt()).abs() < 1e-15);
        let uniform = Softmax::new(&[7.0; 5], 0);
        assert!((uniform.entropy() - 5f64.ln()).abs() < 1e-15);
    }

    #[test]
    fn the_complement_survives_saturation() {
        let softmax = Softmax::new(&[800.0, 0.0, 700.0], 0);
        assert_eq!(softmax.p_y(), 1.0);
        let tail = (-100f64).exp();
        assert!((softmax.q_y / tail - 1.0).abs() < 1e-12, "{}", softmax.q_y);
        // H = q - q log q + O(q^2)
        let entropy = tail * 101.0;
        assert!((softmax.entropy() / entropy - 1.0).abs() < 1e-12);
    }
}
