//! The GRPO objective (eq. 1) over a flat list of actions: value, statistics and
//! the exact derivative by each log-probability. No tensors; the chain rule from
//! log-probabilities to parameters is autograd's.
use anyhow::{Result, ensure};

use crate::theory::{clipped_objective, is_clipped, k3, ratio};

/// J = mean over actions of min(rho A, clip(rho, 1 - epsilon_low, 1 + epsilon_high) A) - beta k3,
/// rho = pi / pi_old, k3 = exp(d) - d - 1, d = log pi_ref - log pi. The loss is -J.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Objective {
    pub epsilon_low: f64,
    pub epsilon_high: f64,
    pub beta: f64,
}

/// The objective at one policy.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluated {
    /// -J, to be minimised.
    pub loss: f64,
    /// Mean of k3, in nats.
    pub k3_mean: f64,
    pub ratio_min: f64,
    pub ratio_max: f64,
    /// Share of actions whose gradient the clip cuts.
    pub clip_fraction: f64,
    /// Share of actions with rho outside the band, whatever the advantage.
    pub outside_fraction: f64,
    /// d loss / d log pi(a), one for each action.
    pub coefficients: Vec<f64>,
}

impl Objective {
    /// All slices have one entry per action; log-probabilities in nats. Every
    /// action counts in the mean, also where A = 0. With equal log-probabilities
    /// and A = 0 the coefficient is exactly 0.
    pub fn evaluate(
        &self,
        log_prob: &[f64],
        log_prob_old: &[f64],
        log_prob_reference: &[f64],
        advantages: &[f64],
    ) -> Result<Evaluated> {
        let count = log_prob.len();
        ensure!(
            count > 0
                && log_prob_old.len() == count
                && log_prob_reference.len() == count
                && advantages.len() == count,
            "{count} log-probabilities, {} old ones, {} of the reference, {} advantages",
            log_prob_old.len(),
            log_prob_reference.len(),
            advantages.len()
        );
        let weight = 1.0 / count as f64;
        let (low, high) = (self.epsilon_low, self.epsilon_high);
        let mut all = Evaluated {
            loss: 0.0,
            k3_mean: 0.0,
            ratio_min: f64::INFINITY,
            ratio_max: f64::NEG_INFINITY,
            clip_fraction: 0.0,
            outside_fraction: 0.0,
            coefficients: Vec::with_capacity(count),
        };
        let (mut clipped, mut outside) = (0usize, 0usize);
        for i in 0..count {
            let (new, reference, advantage) = (log_prob[i], log_prob_reference[i], advantages[i]);
            let rho = ratio(new, log_prob_old[i]);
            ensure!(
                rho.is_finite() && reference.is_finite() && advantage.is_finite(),
                "action {i}: probability ratio {rho}, reference log-probability {reference}, advantage {advantage}"
            );
            let divergence = k3(new, reference);
            let cut = is_clipped(rho, advantage, low, high);
            clipped += usize::from(cut);
            outside += usize::from(rho < 1.0 - low || rho > 1.0 + high);
            all.ratio_min = all.ratio_min.min(rho);
            all.ratio_max = all.ratio_max.max(rho);
            all.k3_mean += weight * divergence;
            let surrogate = clipped_objective(rho, advantage, low, high);
            all.loss -= weight * (surrogate - self.beta * divergence);
            // d(rho A) = rho A, and d(-k3) = exp(d) - 1
            let slope = if cut { 0.0 } else { rho * advantage };
            let pull = self.beta * (reference - new).exp_m1();
            all.coefficients.push(-weight * (slope + pull));
        }
        all.clip_fraction = clipped as f64 * weight;
        all.outside_fraction = outside as f64 * weight;
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor, Var};

    use super::*;
    use crate::seed::Seed;

    const OBJECTIVE: Objective = Objective {
        epsilon_low: 0.2,
        epsilon_high: 0.28,
        beta: 0.04,
    };

    fn draws(label: &str, scale: f64) -> Vec<f64> {
        let mut stream = Seed(1).stream(label, &[]);
        (0..60).map(|_| stream.normal() * scale).collect()
    }

    fn shifted(by: &str) -> Vec<f64> {
        let log_prob = draws("log-prob", 1.0);
        (log_prob.iter().zip(draws(by, 0.3)))
            .map(|(a, b)| a + b)
            .collect()
    }

    /// The formulation of the paper out of candle's primitives.
    fn plain(new: &Var, old: &[f64], reference: &[f64], advantages: &[f64]) -> Tensor {
        let tensor = |values: &[f64]| Tensor::new(values, &Device::Cpu).unwrap();
        let advantages = tensor(advantages);
        let rho = (new.as_tensor() - tensor(old)).unwrap().exp().unwrap();
        let clipped = rho.clamp(0.8, 1.28).unwrap();
        let surrogate = (&rho * &advantages)
            .unwrap()
            .minimum(&(clipped * &advantages).unwrap())
            .unwrap();
        let d = (tensor(reference) - new.as_tensor()).unwrap();
        let k3 = ((d.exp().unwrap() - &d).unwrap() - 1.0).unwrap();
        let objective = (surrogate - (k3 * 0.04).unwrap()).unwrap();
        (objective.mean_all().unwrap() * -1.0).unwrap()
    }

    #[test]
    fn value_and_derivative_are_those_of_autograd() {
        let (new, old) = (draws("log-prob", 1.0), shifted("old"));
        let (reference, advantages) = (shifted("reference"), draws("advantage", 1.0));
        let got = OBJECTIVE
            .evaluate(&new, &old, &reference, &advantages)
            .unwrap();
        let var = Var::new(new.as_slice(), &Device::Cpu).unwrap();
        let loss = plain(&var, &old, &reference, &advantages);
        let value: f64 = loss.to_scalar().unwrap();
        assert!((got.loss - value).abs() < 1e-14, "{} {value}", got.loss);
        let store = loss.backward().unwrap();
        let gradient: Vec<f64> = store.get(&var).unwrap().to_vec1().unwrap();
        for (i, (a, b)) in got.coefficients.iter().zip(&gradient).enumerate() {
            assert!((a - b).abs() < 1e-15, "{i}: {a} {b}");
        }
        assert!(got.clip_fraction > 0.1 && got.clip_fraction < got.outside_fraction);
    }

    #[test]
    fn the_derivative_is_that_of_differences() {
        let (mut new, old) = (draws("log-prob", 1.0), shifted("old"));
        let (reference, advantages) = (shifted("reference"), draws("advantage", 1.0));
        let loss = |new: &[f64]| {
            OBJECTIVE
                .evaluate(new, &old, &reference, &advantages)
                .unwrap()
                .loss
        };
        let got = OBJECTIVE
            .evaluate(&new, &old, &reference, &advantages)
            .unwrap();
        for i in 0..new.len() {
            let at = new[i];
            new[i] = at + 1e-6;
            let above = loss(&new);
            new[i] = at - 1e-6;
            let slope = (above - loss(&new)) / 2e-6;
            new[i] = at;
            assert!((slope - got.coefficients[i]).abs() < 1e-9, "{i}: {slope}");
        }
    }

    #[test]
    fn a_group_without_variance_counts_in_the_mean_and_pulls_nothing() {
        let log_prob = [-1.0, -2.0, -0.5, -0.5];
        let got = OBJECTIVE
            .evaluate(&log_prob, &log_prob, &log_prob, &[2.0, -1.0, 0.0, 0.0])
            .unwrap();
        assert_eq!(got.coefficients, [-0.5, 0.25, 0.0, 0.0]);
        assert_eq!((got.loss, got.k3_mean), (-0.25, 0.0));
        assert_eq!((got.ratio_min, got.ratio_max), (1.0, 1.0));
        assert_eq!((got.clip_fraction, got.outside_fraction), (0.0, 0.0));
    }

    #[test]
    fn faults() {
        let fault = |new: &[f64], advantages: &[f64]| {
            let result = OBJECTIVE.evaluate(new, &[0.0], &[0.0], advantages);
            result.unwrap_err().to_string()
        };
        assert_eq!(
            fault(&[0.0, 0.0], &[1.0]),
            "2 log-probabilities, 1 old ones, 1 of the reference, 1 advantages"
        );
        assert_eq!(
            fault(&[f64::NAN], &[1.0]),
            "action 0: probability ratio NaN, reference log-probability 0, advantage 1"
        );
    }
}
