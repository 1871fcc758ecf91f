//! GELU, x Phi(x) with the normal distribution Phi, exact or by tanh.
use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, backend::BackendStorage};

use super::real::{Host, Real, elements, for_real, fused, wide};

/// Which formula stands for Phi.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gelu {
    /// Phi(x) = (1 + erf(x / sqrt 2)) / 2: transformers' `gelu`.
    Exact,
    /// Phi(x) ~ (1 + tanh u) / 2, u = sqrt(2/pi) (x + 0.044715 x^3): `gelu_new`.
    Tanh,
}

/// sqrt(2/pi), the slope of u at 0.
const SLOPE: f64 = FRAC_2_SQRT_PI * FRAC_1_SQRT_2;
const CUBIC: f64 = 0.044_715;

/// Elementwise, in the shape of `x`.
pub fn gelu(x: &Tensor, kind: Gelu) -> Result<Tensor> {
    if fused(x) {
        return x.contiguous()?.apply_op1(kind);
    }
    gelu_primitive(x, kind)
}

pub(super) fn gelu_primitive(x: &Tensor, kind: Gelu) -> Result<Tensor> {
    let curve = match kind {
        Gelu::Exact => (x * FRAC_1_SQRT_2)?.erf()?,
        Gelu::Tanh => ((x + (x.sqr()? * x)? * CUBIC)? * SLOPE)?.tanh()?,
    };
    x * ((curve + 1.0)? * 0.5)?
}

wide! {
    fn exact<T: Real>(x: &[T], out: &mut [T]) {
        let (half, root) = (T::from_f64(0.5), T::from_f64(FRAC_1_SQRT_2));
        for (out, &x) in out.iter_mut().zip(x) {
            *out = x * (half * (T::ONE + (x * root).erf()));
        }
    }
}

wide! {
    /// d x Phi(x) = Phi(x) + x phi(x), phi the normal density.
    fn exact_backward<T: Real>(x: &[T], grad: &[T], out: &mut [T]) {
        let (half, root) = (T::from_f64(0.5), T::from_f64(FRAC_1_SQRT_2));
        let density = T::from_f64(0.5 * SLOPE); // 1 / sqrt(2 pi)
        for ((out, &x), &g) in out.iter_mut().zip(x).zip(grad) {
            let phi = density * (T::ZERO - half * x * x).exp();
            *out = g * (half * (T::ONE + (x * root).erf()) + x * phi);
        }
    }
}

wide! {
    /// (1 + tanh u) / 2 is the sigmoid of 2 u.
    fn tanh<T: Real>(x: &[T], out: &mut [T]) {
        let (slope, cubic) = (T::from_f64(2.0 * SLOPE), T::from_f64(CUBIC));
        for (out, &x) in out.iter_mut().zip(x) {
            let twice = slope * (x + cubic * x * x * x);
            *out = x / (T::ONE + (T::ZERO - twice).exp());
        }
    }
}

wide! {
    /// d x s(2u) = s + x s (1 - s) 2 u', s the sigmoid.
    fn tanh_backward<T: Real>(x: &[T], grad: &[T], out: &mut [T]) {
        let (slope, cubic) = (T::from_f64(2.0 * SLOPE), T::from_f64(CUBIC));
        let triple = T::from_f64(3.0 * CUBIC);
        for ((out, &x), &g) in out.iter_mut().zip(x).zip(grad) {
            let twice = slope * (x + cubic * x * x * x);
            let s = T::ONE / (T::ONE + (T::ZERO - twice).exp());
            *out = g * (s + x * s * (T::ONE - s) * (slope * (T::ONE + triple * x * x)));
        }
    }
}

fn forward<T: Real>(kind: Gelu, x: &CpuStorage, layout: &Layout) -> Result<CpuStorage> {
    let x = elements::<T>(x, layout)?;
    let mut out = vec![T::ZERO; x.len()];
    match kind {
        Gelu::Exact => exact(x, &mut out),
        Gelu::Tanh => tanh(x, &mut out),
    }
    Ok(T::to_cpu_storage_owned(out))
}

fn backward<T: Real>(kind: Gelu, x: &Tensor, grad: &Tensor) -> Result<Tensor> {
    let grad = grad.contiguous()?;
    let (x_host, grad_host) = (Host::of(x), Host::of(&grad));
    let (values, grads) = (x_host.elements::<T>()?, grad_host.elements::<T>()?);
    let mut out = vec![T::ZERO; values.len()];
    match kind {
        Gelu::Exact => exact_backward(values, grads, &mut out),
        Gelu::Tanh => tanh_backward(values, grads, &mut out),
    }
    Tensor::from_vec(out, x.shape(), x.device())
}

impl CustomOp1 for Gelu {
    fn name(&self) -> &'static str {
        "gelu"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let out = for_real!(x.dtype(), forward(*self, x, layout))?;
        Ok((out, layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        for_real!(x.dtype(), backward(*self, x, grad)).map(Some)
    }
}
