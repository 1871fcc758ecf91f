//! The learning rate of a step: linear warm-up, then a cosine to its least.
use std::f64::consts::PI;

/// A rate for every step from 1 to `decay_steps`, whatever step is the last.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schedule {
    pub(super) peak: f64,
    pub(super) warmup_steps: u64,
    pub(super) decay_steps: u64,
    pub(super) least: f64,
}

impl Schedule {
    /// The rate of step 1, 2, ..
    pub(super) fn learning_rate(&self, step: u64) -> f64 {
        if step <= self.warmup_steps {
            return self.peak * step as f64 / self.warmup_steps as f64;
        }
        let done =
            (step - self.warmup_steps) as f64 / (self.decay_steps - self.warmup_steps) as f64;
        self.least + (self.peak - self.least) * 0.5 * (1.0 + (PI * done).cos())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warm_up_peak_middle_and_end() {
        let schedule = Schedule {
            peak: 1.0,
            warmup_steps: 10,
            decay_steps: 110,
            least: 0.2,
        };
        for (step, rate) in [(1, 0.1), (10, 1.0), (60, 0.6), (110, 0.2)] {
            let got = schedule.learning_rate(step);
            assert!((got - rate).abs() < 1e-12, "{step}: {got}");
        }
        let none = Schedule {
            warmup_steps: 0,
            ..schedule
        };
        assert!(none.learning_rate(1) < 1.0 && none.learning_rate(1) > 0.99);
    }
}
