//! One parameter's AdamW moments, and the update of one step.
//!
//! f32 parameters on the CPU are updated in place by one loop; all others by
//! candle's primitives on their own device, with the same formulas in f32.
use std::cell::RefCell;

use anyhow::Result;
use candle_core::{CpuStorage, DType, Device, InplaceOp2, Layout, Tensor, Var};

use super::{AdamWOptions, ops::wide};

/// One step's numbers.
#[derive(Clone, Copy)]
pub(super) struct Step {
    /// What gradients are multiplied by first.
    scale: f64,
    decay: f64,
    beta1: f64,
    beta2: f64,
    /// Learning rate over the first bias correction.
    rate: f64,
    /// Root of the second bias correction.
    bias2_sqrt: f64,
    eps: f64,
}

impl Step {
    /// Step number `step`, counted from 1.
    pub(super) fn new(options: &AdamWOptions, step: u64, learning_rate: f64, scale: f64) -> Step {
        let steps = step as f64;
        Step {
            scale,
            decay: 1.0 - learning_rate * options.weight_decay,
            beta1: options.beta1,
            beta2: options.beta2,
            rate: learning_rate / (1.0 - options.beta1.powf(steps)),
            bias2_sqrt: (1.0 - options.beta2.powf(steps)).sqrt(),
            eps: options.eps,
        }
    }
}

/// Running means of the gradients (first) and of their squares (second), in f32.
pub(super) struct Moments {
    shape: Vec<usize>,
    place: Place,
}

enum Place {
    Host { first: Vec<f32>, second: Vec<f32> },
    Device { first: Tensor, second: Tensor },
}

impl Moments {
    pub(super) fn zeros(var: &Var) -> Result<Moments> {
        let n = var.elem_count();
        Moments::new(var, vec![0.0; n], vec![0.0; n])
    }

    /// Moments with these values, where `var` needs them.
    pub(super) fn new(var: &Var, first: Vec<f32>, second: Vec<f32>) -> Result<Moments> {
        let host = matches!(var.device(), Device::Cpu) && var.dtype() == DType::F32;
        let place = if host {
            Place::Host { first, second }
        } else {
            Place::Device {
                first: Tensor::from_vec(first, var.shape(), var.device())?,
                second: Tensor::from_vec(second, var.shape(), var.device())?,
            }
        };
        let shape = var.dims().to_vec();
        Ok(Moments { shape, place })
    }

    pub(super) fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Both moments as tensors.
    pub(super) fn tensors(&self) -> Result<[Tensor; 2]> {
        Ok(match &self.place {
            Place::Host { first, second } => {
                let tensor =
                    |values| Tensor::from_slice(values, self.shape.as_slice(), &Device::Cpu);
                [tensor(first)?, tensor(second)?]
            }
            Place::Device { first, second } => [first.clone(), second.clone()],
        })
    }

    /// One step of `var`, in place.
    pub(super) fn update(&mut self, var: &Var, gradient: &Tensor, step: Step) -> Result<()> {
        match &mut self.place {
            Place::Host { first, second } => {
                let moments = RefCell::new((first.as_mut_slice(), second.as_mut_slice()));
                let gradient = gradient.to_dtype(DType::F32)?.contiguous()?;
                Ok(var.inplace_op2(&gradient, &Update { moments, step })?)
            }
            Place::Device { first, second } => {
                let value = var.detach().to_dtype(DType::F32)?;
                let g = (gradient.detach().to_dtype(DType::F32)? * step.scale)?;
                *first = (&*first + ((&g - &*first)? * (1.0 - step.beta1))?)?;
                *second = ((&*second * step.beta2)? + (g.sqr()? * (1.0 - step.beta2))?)?;
                let denominator = ((second.sqrt()? / step.bias2_sqrt)? + step.eps)?;
                let change = (&*first * step.rate)?.div(&denominator)?;
                let updated = ((value * step.decay)? - change)?;
                Ok(var.set(&updated.to_dtype(var.dtype())?)?)
            }
        }
    }
}

struct Update<'a> {
    moments: RefCell<(&'a mut [f32], &'a mut [f32])>,
    step: Step,
}

impl InplaceOp2 for Update<'_> {
    fn name(&self) -> &'static str {
        "adamw"
    }

    fn cpu_fwd(
        &self,
        parameter: &mut CpuStorage,
        layout: &Layout,
        gradient: &CpuStorage,
        gradient_layout: &Layout,
    ) -> candle_core::Result<()> {
        let (CpuStorage::F32(values), CpuStorage::F32(gradient)) = (parameter, gradient) else {
            candle_core::bail!("adamw: parameter or gradient is not f32");
        };
        let (Some((start, end)), Some((from, to))) = (
            layout.contiguous_offsets(),
            gradient_layout.contiguous_offsets(),
        ) else {
            candle_core::bail!("adamw: parameter or gradient is not contiguous");
        };
        let (first, second) = &mut *self.moments.borrow_mut();
        let (values, gradient) = (&mut values[start..end], &gradient[from..to]);
        adamw(values, gradient, first, second, self.step);
        Ok(())
    }
}

wide! {
    fn adamw(values: &mut [f32], gradient: &[f32], first: &mut [f32], second: &mut [f32], step: Step) {
        let n = values.len();
        let (gradient, first, second) = (&gradient[..n], &mut first[..n], &mut second[..n]);
        // rounded to f32 where torch rounds its scalars
        let (scale, decay, rate) = (step.scale as f32, step.decay as f32, step.rate as f32);
        let (take1, keep2, take2) = ((1.0 - step.beta1) as f32, step.beta2 as f32, (1.0 - step.beta2) as f32);
        let (bias2_sqrt, eps) = (step.bias2_sqrt as f32, step.eps as f32);
        for i in 0..n {
            let g = gradient[i] * scale;
            let m = first[i] + take1 * (g - first[i]);
            let v = second[i] * keep2 + take2 * g * g;
            let denominator = v.sqrt() / bias2_sqrt + eps;
            first[i] = m;
            second[i] = v;
            values[i] = values[i] * decay - rate * m / denominator;
        }
    }
}
