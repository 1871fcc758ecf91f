//! The only door to randomness.
//!
//! A stream is a function of (seed, label, position) and of nothing else: not
//! of thread, batch, platform, stage name, axis or key. Two places that name
//! the same triple see the same draws; anything else is independent.
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A seed as written in a pipeline.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct Seed(pub u64);

impl Seed {
    /// The stream for `label` at a position, such as (update, prompt, sample).
    pub fn stream(self, label: &str, at: &[u64]) -> Stream {
        let mut hasher = blake3::Hasher::new_derive_key("vgh seed stream 1");
        hasher.update(&self.0.to_le_bytes());
        hasher.update(&(label.len() as u64).to_le_bytes());
        hasher.update(label.as_bytes());
        for index in at {
            hasher.update(&index.to_le_bytes());
        }
        Stream(ChaCha8Rng::from_seed(*hasher.finalize().as_bytes()))
    }
}

/// Draws from one stream. The maps from bits to numbers are written out here,
/// so that an update of a library cannot move a result.
pub struct Stream(ChaCha8Rng);

impl Stream {
    /// Uniform in [0, 1) with 53 random bits.
    pub fn uniform(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Uniform in 0..n, without bias (rejection). `n` must be positive.
    pub fn below(&mut self, n: usize) -> usize {
        assert!(n > 0, "a draw below {n}");
        let n = n as u64;
        let limit = u64::MAX - u64::MAX % n;
        loop {
            let bits = self.0.next_u64();
            if bits < limit {
                return (bits % n) as usize;
            }
        }
    }

    /// Standard normal (Box-Muller, one draw of two used).
    pub fn normal(&mut self) -> f64 {
        let u = 1.0 - self.uniform();
        let v = self.uniform();
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }

    /// An index drawn with the given probabilities (they sum to about 1).
    pub fn categorical(&mut self, probabilities: &[f64]) -> usize {
        let u = self.uniform();
        let mut sum = 0.0;
        let mut last = 0;
        for (i, &p) in probabilities.iter().enumerate() {
            if p > 0.0 {
                sum += p;
                last = i;
                if u < sum {
                    return i;
                }
            }
        }
        last
    }

    /// A random order of 0..n (Fisher-Yates).
    pub fn permutation(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        for i in (1..n).rev() {
            order.swap(i, self.below(i + 1));
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_a_function_of_seed_label_and_position() {
        let draw = |seed, label, at: &[u64]| Seed(seed).stream(label, at).uniform();
        assert_eq!(draw(0, "a", &[1, 2]), draw(0, "a", &[1, 2]));
        assert_ne!(draw(0, "a", &[1, 2]), draw(0, "a", &[2, 1]));
        assert_ne!(draw(0, "a", &[1]), draw(1, "a", &[1]));
        assert_ne!(draw(0, "a", &[1]), draw(0, "b", &[1]));
    }

    #[test]
    fn draws_stay_what_they_are() {
        let mut stream = Seed(7).stream("golden", &[3]);
        let got = (
            stream.below(1000),
            stream.below(1000),
            stream.permutation(5),
        );
        assert_eq!(got, (100, 342, vec![3, 1, 0, 2, 4]));
    }

    #[test]
    fn moments_are_right() {
        let mut stream = Seed(1).stream("moments", &[]);
        let n = 40_000;
        let (mut mean, mut square) = (0.0, 0.0);
        for _ in 0..n {
            let x = stream.normal();
            mean += x / f64::from(n);
            square += x * x / f64::from(n);
        }
        assert!(
            mean.abs() < 0.02 && (square - 1.0).abs() < 0.03,
            "{mean} {square}"
        );
    }

    #[test]
    fn a_categorical_never_draws_what_has_no_probability() {
        let mut stream = Seed(2).stream("categorical", &[]);
        let draws: Vec<usize> = (0..1000)
            .map(|_| stream.categorical(&[0.0, 0.25, 0.75, 0.0]))
            .collect();
        let ones = draws.iter().filter(|&&i| i == 1).count();
        assert!(
            draws.iter().all(|&i| i == 1 || i == 2) && (200..300).contains(&ones),
            "{ones}"
        );
    }
}
