//! AdamW as torch computes it: decoupled weight decay first, bias-corrected
//! moments, epsilon added after the square root.
use std::{collections::BTreeMap, path::Path};

use anyhow::{Context as _, Result, ensure};
use candle_core::Var;

use super::{
    Gradients, Precision,
    moments::{Moments, Step},
    safetensors::{Reader, Slot, write},
};

/// torch's names and defaults, but no weight decay.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWOptions {
    pub beta1: f64,
    pub beta2: f64,
    pub eps: f64,
    pub weight_decay: f64,
    /// The format in which both moments are kept; a step computes in f32.
    pub moments: Precision,
}

impl Default for AdamWOptions {
    fn default() -> AdamWOptions {
        AdamWOptions {
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            weight_decay: 0.0,
            moments: Precision::F32,
        }
    }
}

/// torch's names of the first and second moments.
const KINDS: [&str; 2] = ["exp_avg", "exp_avg_sq"];

/// The optimizer's state: how many steps were taken, and two moments per parameter.
pub struct AdamW {
    options: AdamWOptions,
    step: u64,
    moments: BTreeMap<String, Moments>,
}

impl AdamW {
    /// Zero moments for every parameter.
    pub fn new(parameters: &BTreeMap<String, Var>, options: AdamWOptions) -> Result<AdamW> {
        let zeros = |(name, var): (&String, &Var)| {
            Ok((name.clone(), Moments::zeros(var, options.moments)?))
        };
        Ok(AdamW {
            options,
            step: 0,
            moments: parameters.iter().map(zeros).collect::<Result<_>>()?,
        })
    }

    /// How many steps were taken.
    pub fn steps(&self) -> u64 {
        self.step
    }

    /// One step on all parameters, in place; graphs made before it are stale
    /// afterwards. Gradients are first multiplied by `scale` (see
    /// [`super::clip_coefficient`]; 1 for none).
    pub fn step(
        &mut self,
        parameters: &BTreeMap<String, Var>,
        gradients: &Gradients,
        learning_rate: f64,
        scale: f64,
    ) -> Result<()> {
        ensure!(
            learning_rate.is_finite() && scale.is_finite(),
            "a step of learning rate {learning_rate} and gradient scale {scale}"
        );
        ensure!(
            parameters.len() == self.moments.len(),
            "{} parameters for an optimizer of {}",
            parameters.len(),
            self.moments.len()
        );
        // all checked before any is changed: no half of a step
        for (name, var) in parameters {
            let moments = self.moments.get(name);
            let moments = moments.with_context(|| format!("no moments of `{name}`"))?;
            let gradient = gradients.get(name)?;
            ensure!(
                moments.shape() == var.dims() && gradient.dims() == var.dims(),
                "`{name}` is {:?}, its gradient {:?}, its moments {:?}",
                var.dims(),
                gradient.dims(),
                moments.shape()
            );
        }
        self.step += 1;
        let step = Step::new(&self.options, self.step, learning_rate, scale);
        for (name, moments) in &mut self.moments {
            let var = parameters.get(name);
            let var = var.with_context(|| format!("no parameter `{name}`"))?;
            moments
                .update(var, gradients.get(name)?, step)
                .with_context(|| format!("update `{name}`"))?;
        }
        Ok(())
    }

    /// Writes the state to a safetensors file; [`AdamW::load`] resumes bit for bit.
    pub fn save(&self, path: &Path) -> Result<()> {
        let mut slots = BTreeMap::new();
        for (name, moments) in &self.moments {
            for kind in KINDS {
                let (precision, shape) = (self.options.moments, moments.shape().to_vec());
                slots.insert(format!("{kind}.{name}"), Slot { precision, shape });
            }
        }
        let metadata = BTreeMap::from([("step".to_owned(), self.step.to_string())]);
        write(path, &metadata, &slots, |slot| {
            let (kind, name) = slot.split_once('.').context("a slot has no kind")?;
            let moments = self.moments.get(name);
            let moments = moments.with_context(|| format!("no moments of `{name}`"))?;
            moments.bytes(kind == KINDS[1])
        })
    }

    /// Reads a state that [`AdamW::save`] wrote for these parameters.
    pub fn load(
        path: &Path,
        parameters: &BTreeMap<String, Var>,
        options: AdamWOptions,
    ) -> Result<AdamW> {
        let mut reader = Reader::open(path, &path.display().to_string())?;
        let step = reader.metadata("step").and_then(|step| step.parse().ok());
        let step = step.with_context(|| format!("`{}` holds no step", path.display()))?;
        let mut moments = BTreeMap::new();
        for (name, var) in parameters {
            let mut read = |kind: &str| reader.read_f32(&format!("{kind}.{name}"), var.dims());
            let (first, second) = (read(KINDS[0])?, read(KINDS[1])?);
            let both = Moments::new(var, options.moments, first, second)?;
            moments.insert(name.clone(), both);
        }
        Ok(AdamW {
            options,
            step,
            moments,
        })
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};

    use super::*;

    const OPTIONS: AdamWOptions = AdamWOptions {
        beta1: 0.9,
        beta2: 0.99,
        eps: 1e-8,
        weight_decay: 0.1,
        moments: Precision::F32,
    };
    const SHORT: AdamWOptions = AdamWOptions {
        moments: Precision::Bf16,
        ..OPTIONS
    };

    fn parameters(values: &[f32]) -> BTreeMap<String, Var> {
        let var = Var::new(values, &Device::Cpu).unwrap();
        BTreeMap::from([("w".to_owned(), var)])
    }

    /// Gradients of sum(w^3) / 3, which are w^2.
    fn gradients(parameters: &BTreeMap<String, Var>) -> Gradients {
        let w = &parameters["w"];
        let cube = (w.sqr().unwrap() * w.as_tensor()).unwrap();
        let loss = (cube.sum_all().unwrap() / 3.0).unwrap();
        Gradients::of(&loss, parameters).unwrap()
    }

    fn values(parameters: &BTreeMap<String, Var>) -> Vec<f32> {
        parameters["w"].to_vec1().unwrap()
    }

    #[test]
    fn three_steps_by_hand() {
        let parameters = parameters(&[1.0, -2.0, 0.5]);
        let mut optimizer = AdamW::new(&parameters, OPTIONS).unwrap();
        let mut expected = [1.0f64, -2.0, 0.5].map(|w| (w, 0.0, 0.0));
        for t in 1..=3 {
            optimizer
                .step(&parameters, &gradients(&parameters), 0.05, 0.5)
                .unwrap();
            for (w, m, v) in &mut expected {
                let g = 0.5 * *w * *w;
                *w -= 0.05 * 0.1 * *w;
                *m = 0.9 * *m + 0.1 * g;
                *v = 0.99 * *v + 0.01 * g * g;
                let m_hat = *m / (1.0 - 0.9f64.powi(t));
                let v_hat = *v / (1.0 - 0.99f64.powi(t));
                *w -= 0.05 * m_hat / (v_hat.sqrt() + 1e-8);
            }
        }
        for (got, (expected, _, _)) in values(&parameters).iter().zip(expected) {
            assert!(
                (f64::from(*got) - expected).abs() < 1e-6,
                "{got} {expected}"
            );
        }
    }

    #[test]
    fn the_path_of_other_devices_and_dtypes_agrees() {
        let fused = parameters(&[1.0, -2.0, 0.5]);
        let var = Var::new(&[1f64, -2.0, 0.5], &Device::Cpu).unwrap();
        let other = BTreeMap::from([("w".to_owned(), var)]);
        let mut optimizers = [&fused, &other].map(|p| AdamW::new(p, OPTIONS).unwrap());
        for _ in 0..3 {
            let [a, b] = &mut optimizers;
            a.step(&fused, &gradients(&fused), 0.05, 1.0).unwrap();
            b.step(&other, &gradients(&other), 0.05, 1.0).unwrap();
        }
        let wide: Vec<f64> = other["w"].to_vec1().unwrap();
        for (a, b) in values(&fused).iter().zip(wide) {
            assert!((f64::from(*a) - b).abs() < 1e-6);
        }
    }

    #[test]
    fn a_saved_state_resumes_bit_for_bit() {
        for options in [OPTIONS, SHORT] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("adamw.safetensors");
            let straight = parameters(&[1.0, -2.0, 0.3]);
            let mut optimizer = AdamW::new(&straight, options).unwrap();
            let step = |optimizer: &mut AdamW, parameters: &BTreeMap<String, Var>| {
                let gradients = gradients(parameters);
                optimizer.step(parameters, &gradients, 0.05, 0.7).unwrap();
            };
            (0..3).for_each(|_| step(&mut optimizer, &straight));
            optimizer.save(&path).unwrap();
            let resumed = parameters(&values(&straight));
            let mut again = AdamW::load(&path, &resumed, options).unwrap();
            assert_eq!(again.steps(), 3);
            (0..4).for_each(|_| step(&mut optimizer, &straight));
            (0..4).for_each(|_| step(&mut again, &resumed));
            assert_eq!(values(&straight), values(&resumed));
        }
    }

    #[test]
    fn moments_in_bf16_keep_their_mean() {
        let constant = 0.37f32;
        let parameters = parameters(&vec![0.0; 4096]);
        let gradient = Tensor::full(constant, 4096, &Device::Cpu).unwrap();
        let gradients = Gradients::given([("w", gradient)]);
        let options = AdamWOptions {
            beta2: 0.999,
            ..SHORT
        };
        let mut optimizer = AdamW::new(&parameters, options).unwrap();
        for _ in 0..1000 {
            optimizer.step(&parameters, &gradients, 0.0, 1.0).unwrap();
        }
        let second = optimizer.moments["w"].bytes(true).unwrap();
        let (bits, _) = second.as_chunks::<2>();
        let value = |&bits: &[u8; 2]| half::bf16::from_le_bytes(bits).to_f64();
        let mean = bits.iter().map(value).sum::<f64>() / bits.len() as f64;
        // 1 - 0.999^1000 of the square; rounded to the nearest it would stand still far below
        let expected = (1.0 - 0.999f64.powi(1000)) * f64::from(constant).powi(2);
        assert!((mean / expected - 1.0).abs() < 0.01, "{mean} {expected}");
    }

    #[test]
    fn moments_in_bf16_serve_every_dtype_alike() {
        let fused = parameters(&[1.0, -2.0, 0.5]);
        let var = Var::new(&[1f64, -2.0, 0.5], &Device::Cpu).unwrap();
        let other = BTreeMap::from([("w".to_owned(), var)]);
        let mut optimizers = [&fused, &other].map(|p| AdamW::new(p, SHORT).unwrap());
        for _ in 0..3 {
            let [a, b] = &mut optimizers;
            let gradients = gradients(&fused);
            a.step(&fused, &gradients, 0.05, 1.0).unwrap();
            b.step(&other, &gradients, 0.05, 1.0).unwrap();
        }
        let wide: Vec<f64> = other["w"].to_vec1().unwrap();
        for (a, b) in values(&fused).iter().zip(wide) {
            assert!((f64::from(*a) - b).abs() < 1e-6);
        }
    }

    #[test]
    fn a_parameter_without_a_gradient_is_named_and_nothing_moves() {
        let mut both = parameters(&[1.0]);
        let gradients = gradients(&both);
        both.insert("v".to_owned(), Var::new(&[1f32], &Device::Cpu).unwrap());
        let mut optimizer = AdamW::new(&both, OPTIONS).unwrap();
        let fault = optimizer.step(&both, &gradients, 0.1, 1.0).unwrap_err();
        assert_eq!(fault.to_string(), "no gradient of `v`");
        assert_eq!((values(&both), optimizer.steps()), (vec![1.0], 0));
    }
}
