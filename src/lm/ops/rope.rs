//! Rotary position embedding, half-split: (x1, x2) -> (x1 cos - x2 sin, x2 cos + x1 sin)
//! where x1 and x2 are the halves of a head and the angle of pair i at position
//! t is t theta^(-2i/d). Angles are computed in f64. Where only the first columns
//! of a head are rotated, d is their number and the rest pass unchanged.
#![expect(
    clippy::inline_always,
    reason = "rotations must be compiled with the vector features of their caller"
)]
use candle_core::{D, DType, Device, Result, Tensor};

use super::real::Real;

/// Cosines and sines for positions 0..T: [T, d/2] each, row by row.
pub struct Rope {
    positions: usize,
    head_dim: usize,
    half: usize,
    cos: Vec<f64>,
    sin: Vec<f64>,
}

impl Rope {
    /// The table for `positions` positions and heads of `head_dim` (even).
    pub fn new(positions: usize, head_dim: usize, theta: f64) -> Rope {
        Rope::partial(positions, head_dim, head_dim, theta)
    }

    /// The same where only the first `rotated` columns (even) of a head turn.
    pub fn partial(positions: usize, head_dim: usize, rotated: usize, theta: f64) -> Rope {
        let half = rotated / 2;
        let frequencies: Vec<f64> = (0..half)
            .map(|i| theta.powf(-2.0 * i as f64 / rotated as f64))
            .collect();
        let angles = (0..positions).flat_map(|t| frequencies.iter().map(move |f| t as f64 * f));
        let (sin, cos) = angles.map(f64::sin_cos).unzip();
        Rope {
            positions,
            head_dim,
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
        self.head_dim
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
        let rest = self.head_dim - 2 * self.half;
        if rest == 0 {
            return Tensor::cat(&[y1, y2], D::Minus1);
        }
        let rest = x.narrow(D::Minus1, 2 * self.half, rest)?.contiguous()?;
        Tensor::cat(&[y1, y2, rest], D::Minus1)
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
        let (x, rest) = x.split_at(2 * self.half);
        let (out, out_rest) = out.split_at_mut(2 * self.half);
        for (out, &x) in out_rest.iter_mut().zip(rest) {
            *out = x * scale;
        }
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
        let (x, rest) = x.split_at(2 * self.half);
        let (out, out_rest) = out.split_at_mut(2 * self.half);
        for (out, &x) in out_rest.iter_mut().zip(rest) {
            *out = x * scale;
        }
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
