//! Rotary position embedding, half-split: (x1, x2) -> (x1 cos - x2 sin, x2 cos + x1 sin)
//! where x1 and x2 are the halves of a head and the angle of pair i at position
//! t is t theta^(-2i/d). Angles are computed in f64.
#![expect(
    clippy::inline_always,
    reason = "rotations must be compiled with the vector features of their caller"
)]
use candle_core::{D, DType, Device, Result, Tensor};

use super::real::Real;

/// Cosines and sines for positions 0..T: [T, d/2] each, row by row.
pub struct Rope {
    positions: usize,
    half: usize,
    cos: Vec<f64>,
    sin: Vec<f64>,
}

impl Rope {
    /// The table for `positions` positions and heads of `head_dim` (even).
    pub fn new(positions: usize, head_dim: usize, theta: f64) -> Rope {
        let half = head_dim / 2;
        let frequencies: Vec<f64> = (0..half)
            .map(|i| theta.powf(-2.0 * i as f64 / head_dim as f64))
            .collect();
        let angles = (0..positions).flat_map(|t| frequencies.iter().map(move |f| t as f64 * f));
        let (sin, cos) = angles.map(f64::sin_cos).unzip();
        Rope {
            positions,
            half,
            cos,
            sin,
        }
    }

    /// The table in the kernels' dtype.
    pub(super) fn rounded<T: Real>(&self) -> Rotations<T> {
        let round = |values: &[f64]| values.iter().map(|&x| T::from_f64(x)).collect();
        Rotations {
            half: self.half,
            cos: round(&self.cos),
            sin: round(&self.sin),
        }
    }

    pub(super) fn positions(&self) -> usize {
        self.positions
    }

    pub(super) fn head_dim(&self) -> usize {
        2 * self.half
    }

    /// The same rotation out of primitives; `x` is [B, H, T, d].
    pub(super) fn rotate_primitive(&self, x: &Tensor) -> Result<Tensor> {
        let table = |values: &[f64], device: &Device, dtype: DType| {
            Tensor::from_slice(values, (self.positions, self.half), device)?.to_dtype(dtype)
        };
        let cos = table(&self.cos, x.device(), x.dtype())?;
        let sin = table(&self.sin, x.device(), x.dtype())?;
        let x1 = x.narrow(D::Minus1, 0, self.half)?;
        let x2 = x.narrow(D::Minus1, self.half, self.half)?;
        let y1 = (x1.broadcast_mul(&cos)? - x2.broadcast_mul(&sin)?)?;
        let y2 = (x2.broadcast_mul(&cos)? + x1.broadcast_mul(&sin)?)?;
        Tensor::cat(&[y1, y2], D::Minus1)
    }
}

/// A [`Rope`] rounded to one dtype.
pub(super) struct Rotations<T> {
    half: usize,
    cos: Vec<T>,
    sin: Vec<T>,
}

impl<T: Real> Rotations<T> {
    /// One head at position t, rotated and scaled.
    #[inline(always)]
    pub(super) fn rotate(&self, t: usize, scale: T, x: &[T], out: &mut [T]) {
        let (cos, sin) = self.at(t);
        let (x1, x2) = x.split_at(self.half);
        let (y1, y2) = out.split_at_mut(self.half);
        for i in 0..self.half {
            y1[i] = (x1[i] * cos[i] - x2[i] * sin[i]) * scale;
            y2[i] = (x2[i] * cos[i] + x1[i] * sin[i]) * scale;
        }
    }

    /// The transpose, which is the inverse: what the backward pass needs.
    #[inline(always)]
    pub(super) fn rotate_back(&self, t: usize, scale: T, x: &[T], out: &mut [T]) {
        let (cos, sin) = self.at(t);
        let (x1, x2) = x.split_at(self.half);
        let (y1, y2) = out.split_at_mut(self.half);
        for i in 0..self.half {
            y1[i] = (x1[i] * cos[i] + x2[i] * sin[i]) * scale;
            y2[i] = (x2[i] * cos[i] - x1[i] * sin[i]) * scale;
        }
    }

    #[inline(always)]
    fn at(&self, t: usize) -> (&[T], &[T]) {
        let row = t * self.half..(t + 1) * self.half;
        (&self.cos[row.clone()], &self.sin[row])
    }
}
