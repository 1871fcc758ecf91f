//! Gradients by name: a missing one is an error, never a zero.
use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use candle_core::{DType, Tensor, Var, backprop::GradStore};

/// The gradient by `var`, or an error that names it.
pub fn gradient_of(store: &GradStore, name: &str, var: &Var) -> Result<Tensor> {
    store
        .get(var.as_tensor())
        .cloned()
        .with_context(|| format!("no gradient reached `{name}`"))
}

/// One gradient for each parameter, in the order of their names.
pub struct Gradients(BTreeMap<String, Tensor>);

impl Gradients {
    /// The gradients of `loss` (a scalar) by all parameters.
    pub fn of(loss: &Tensor, parameters: &BTreeMap<String, Var>) -> Result<Gradients> {
        ensure!(
            loss.elem_count() == 1,
            "a loss of shape {:?} is not a number",
            loss.shape()
        );
        Gradients::take(&loss.backward()?, parameters)
    }

    /// All parameters' gradients out of one backward pass.
    pub fn take(store: &GradStore, parameters: &BTreeMap<String, Var>) -> Result<Gradients> {
        let get = |(name, var): (&String, &Var)| {
            let gradient = gradient_of(store, name, var)?;
            ensure!(
                gradient.shape() == var.shape(),
                "the gradient of `{name}` is {:?}, not {:?}",
                gradient.shape(),
                var.shape()
            );
            Ok((name.clone(), gradient.contiguous()?))
        };
        parameters
            .iter()
            .map(get)
            .collect::<Result<_>>()
            .map(Gradients)
    }

    #[cfg(test)]
    pub(super) fn given<const N: usize>(gradients: [(&str, Tensor); N]) -> Gradients {
        let named = gradients.map(|(name, gradient)| (name.to_owned(), gradient));
        Gradients(BTreeMap::from(named))
    }

    pub fn get(&self, name: &str) -> Result<&Tensor> {
        let found = self.0.get(name);
        found.with_context(|| format!("no gradient of `{name}`"))
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.0
            .iter()
            .map(|(name, gradient)| (name.as_str(), gradient))
    }

    /// The Euclidean norm over all tensors, in f64, in the order of names. An
    /// error that names the first tensor whose norm is not finite.
    pub fn global_norm(&self) -> Result<f64> {
        let mut total = 0.0;
        for (name, gradient) in &self.0 {
            let flat = gradient.flatten_all()?;
            let square = match flat.dtype() {
                DType::F64 => sum_of_squares(&flat.to_vec1::<f64>()?, |x| x),
                DType::F32 => sum_of_squares(&flat.to_vec1::<f32>()?, f64::from),
                _ => sum_of_squares(&flat.to_dtype(DType::F32)?.to_vec1::<f32>()?, f64::from),
            };
            ensure!(
                square.is_finite(),
                "the gradient of `{name}` is not finite (sum of squares {square})"
            );
            total += square;
        }
        Ok(total.sqrt())
    }
}

/// torch's rule: the factor that brings a gradient of this norm to at most `max`.
pub fn clip_coefficient(norm: f64, max: f64) -> f64 {
    (max / (norm + 1e-6)).min(1.0)
}

/// In eight lanes, so that the additions need not wait for each other.
fn sum_of_squares<T: Copy>(values: &[T], widen: impl Fn(T) -> f64) -> f64 {
    let mut lanes = [0.0; 8];
    let (chunks, rest) = values.as_chunks::<8>();
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane += widen(x) * widen(x);
        }
    }
    for (lane, &x) in lanes.iter_mut().zip(rest) {
        *lane += widen(x) * widen(x);
    }
    lanes.iter().sum()
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn a_missing_gradient_is_named() {
        let x = Var::new(&[1f32, 2.0], &Device::Cpu).unwrap();
        let y = Var::new(&[1f32], &Device::Cpu).unwrap();
        let parameters = BTreeMap::from([("x".to_owned(), x.clone()), ("y".to_owned(), y)]);
        let loss = x.sqr().unwrap().sum_all().unwrap();
        let fault = Gradients::of(&loss, &parameters).err().unwrap();
        assert_eq!(fault.to_string(), "no gradient reached `y`");
        let fault = Gradients::of(&x, &parameters).err().unwrap();
        assert_eq!(fault.to_string(), "a loss of shape [2] is not a number");
    }

    #[test]
    fn the_norm_covers_all_tensors_and_names_what_is_not_finite() {
        let x = Var::new(&[3f32; 9], &Device::Cpu).unwrap();
        let y = Var::new(&[4f32], &Device::Cpu).unwrap();
        let parameters = BTreeMap::from([("x".to_owned(), x.clone()), ("y".to_owned(), y.clone())]);
        let loss =
            (x.sqr().unwrap().sum_all().unwrap() + y.sqr().unwrap().sum_all().unwrap()).unwrap();
        let gradients = Gradients::of(&(loss * 0.5).unwrap(), &parameters).unwrap();
        assert_eq!(gradients.global_norm().unwrap(), 97f64.sqrt());
        let fault = Gradients(BTreeMap::from([(
            "z".to_owned(),
            Tensor::new(&[f32::NAN], &Device::Cpu).unwrap(),
        )]));
        let text = fault.global_norm().unwrap_err().to_string();
        assert_eq!(
            text,
            "the gradient of `z` is not finite (sum of squares NaN)"
        );
    }

    #[test]
    fn torch_clips_with_a_small_number_in_the_denominator() {
        assert_eq!(clip_coefficient(0.5, 1.0), 1.0);
        assert_eq!(clip_coefficient(2.0, 1.0), 1.0 / 2.000_001);
        assert!(clip_coefficient(1.0, 1.0) < 1.0);
    }
}
