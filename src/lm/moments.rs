//! One parameter's AdamW moments, and the update of one step.
//!
//! f32 parameters on the CPU are updated in place by one loop; all others by
//! candle's primitives on their own device, with the same formulas in f32.
//! Moments kept in bf16 lie in the host's memory wherever the parameter is: half
//! the bytes, and none on the device.
use std::cell::RefCell;

use anyhow::Result;
use candle_core::{CpuStorage, DType, Device, InplaceOp2, Layout, Tensor, Var};
use half::bf16;

use super::{AdamWOptions, Precision, ops::wide, safetensors::bytes_of};

/// One step's numbers.
#[derive(Clone, Copy)]
pub(super) struct Step {
    /// Counted from 1.
    number: u64,
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
            number: step,
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

/// Running means of the gradients (first) and of their squares (second).
pub(super) struct Moments {
    shape: Vec<usize>,
    place: Place,
}

enum Place {
    Host(Pair<f32>),
    Short(Pair<bf16>),
    Device { first: Tensor, second: Tensor },
}

struct Pair<T> {
    first: Vec<T>,
    second: Vec<T>,
}

impl Moments {
    pub(super) fn zeros(var: &Var, precision: Precision) -> Result<Moments> {
        let n = var.elem_count();
        let shape = var.dims().to_vec();
        let place = match (precision, on_host(var)) {
            (Precision::Bf16, _) => Place::Short(Pair {
                first: vec![bf16::ZERO; n],
                second: vec![bf16::ZERO; n],
            }),
            (Precision::F32, true) => Place::Host(Pair {
                first: vec![0.0; n],
                second: vec![0.0; n],
            }),
            (Precision::F32, false) => {
                let zeros = || Tensor::zeros(var.shape(), DType::F32, var.device());
                Place::Device {
                    first: zeros()?,
                    second: zeros()?,
                }
            }
        };
        Ok(Moments { shape, place })
    }

    /// Moments with these values, where `var` needs them.
    pub(super) fn new(
        var: &Var,
        precision: Precision,
        first: Vec<f32>,
        second: Vec<f32>,
    ) -> Result<Moments> {
        let place = match (precision, on_host(var)) {
            (Precision::Bf16, _) => {
                let short = |values: Vec<f32>| values.into_iter().map(bf16::from_f32).collect();
                Place::Short(Pair {
                    first: short(first),
                    second: short(second),
                })
            }
            (Precision::F32, true) => Place::Host(Pair { first, second }),
            (Precision::F32, false) => Place::Device {
                first: Tensor::from_vec(first, var.shape(), var.device())?,
                second: Tensor::from_vec(second, var.shape(), var.device())?,
            },
        };
        let shape = var.dims().to_vec();
        Ok(Moments { shape, place })
    }

    pub(super) fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The little-endian bytes of the first moments, or of the second ones, in
    /// the precision they are kept in.
    pub(super) fn bytes(&self, second: bool) -> Result<Vec<u8>> {
        Ok(match &self.place {
            Place::Host(pair) => pair
                .get(second)
                .iter()
                .flat_map(|x| x.to_le_bytes())
                .collect(),
            Place::Short(pair) => pair
                .get(second)
                .iter()
                .flat_map(|x| x.to_le_bytes())
                .collect(),
            Place::Device {
                first,
                second: other,
            } => bytes_of(if second { other } else { first })?,
        })
    }

    /// One step of `var`, in place.
    pub(super) fn update(&mut self, var: &Var, gradient: &Tensor, step: Step) -> Result<()> {
        match &mut self.place {
            Place::Host(pair) => {
                let gradient = gradient.to_dtype(DType::F32)?.contiguous()?;
                Ok(var.inplace_op2(&gradient, &Update::of(pair, step))?)
            }
            Place::Short(pair) => {
                let gradient = gradient.to_device(&Device::Cpu)?.to_dtype(DType::F32)?;
                let gradient = gradient.contiguous()?;
                let update = Update::of(pair, step);
                if on_host(var) {
                    return Ok(var.inplace_op2(&gradient, &update)?);
                }
                let values = var.detach().to_device(&Device::Cpu)?;
                let values = values.to_dtype(DType::F32)?.contiguous()?;
                values.inplace_op2(&gradient, &update)?;
                Ok(var.set(&values.to_dtype(var.dtype())?.to_device(var.device())?)?)
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

impl<T> Pair<T> {
    fn get(&self, second: bool) -> &[T] {
        if second { &self.second } else { &self.first }
    }
}

/// Whether the loops below can change it where it is.
fn on_host(var: &Var) -> bool {
    matches!(var.device(), Device::Cpu) && var.dtype() == DType::F32
}

/// The format in which a moment is kept between steps.
trait Kept: Copy + Send + Sync {
    fn step(values: &mut [f32], gradient: &[f32], moments: [&mut [Self]; 2], step: Step);
}

impl Kept for f32 {
    fn step(values: &mut [f32], gradient: &[f32], [first, second]: [&mut [f32]; 2], step: Step) {
        adamw(values, gradient, first, second, step);
    }
}

impl Kept for bf16 {
    fn step(values: &mut [f32], gradient: &[f32], [first, second]: [&mut [bf16]; 2], step: Step) {
        adamw_short(values, gradient, first, second, step);
    }
}

struct Update<'a, T> {
    moments: RefCell<&'a mut Pair<T>>,
    step: Step,
}

impl<T> Update<'_, T> {
    fn of(pair: &mut Pair<T>, step: Step) -> Update<'_, T> {
        Update {
            moments: RefCell::new(pair),
            step,
        }
    }
}

impl<T: Kept> InplaceOp2 for Update<'_, T> {
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
        let (values, gradient) = (&mut values[start..end], &gradient[from..to]);
        let Pair { first, second } = &mut **self.moments.borrow_mut();
        T::step(values, gradient, [first, second], self.step);
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

wide! {
    fn adamw_short(values: &mut [f32], gradient: &[f32], first: &mut [bf16], second: &mut [bf16], step: Step) {
        let n = values.len();
        let (gradient, first, second) = (&gradient[..n], &mut first[..n], &mut second[..n]);
        let (scale, decay, rate) = (step.scale as f32, step.decay as f32, step.rate as f32);
        let (take1, keep2, take2) = ((1.0 - step.beta1) as f32, step.beta2 as f32, (1.0 - step.beta2) as f32);
        let (bias2_sqrt, eps) = (step.bias2_sqrt as f32, step.eps as f32);
        let salt = (step.number as u32).wrapping_mul(0x85eb_ca77);
        for i in 0..n {
            let g = gradient[i] * scale;
            let m = widened(first[i]);
            let m = m + take1 * (g - m);
            let v = widened(second[i]) * keep2 + take2 * g * g;
            let denominator = v.sqrt() / bias2_sqrt + eps;
            let bits = dither((i as u32).wrapping_mul(0x9e37_79b1) ^ salt);
            first[i] = rounded(m, bits);
            second[i] = rounded(v, bits >> 16);
            values[i] = values[i] * decay - rate * m / denominator;
        }
    }
}

#[inline]
fn widened(x: bf16) -> f32 {
    f32::from_bits(u32::from(x.to_bits()) << 16)
}

/// One of the two neighbours in bf16, the nearer one more often, so that the mean
/// is `x`. To the nearest, a second moment would stand still: a step changes it
/// by a thousandth, and neighbours are a hundredth apart.
#[inline]
fn rounded(x: f32, bits: u32) -> bf16 {
    bf16::from_bits((x.to_bits().wrapping_add(bits & 0xffff) >> 16) as u16)
}

/// Mixes the place of a value and the step's number: the same on every machine,
/// in a resumed run, and for any number of threads.
#[inline]
fn dither(mut x: u32) -> u32 {
    x = (x ^ (x >> 16)).wrapping_mul(0x7feb_352d);
    x = (x ^ (x >> 15)).wrapping_mul(0x846c_a68b);
    x ^ (x >> 16)
}
