//! The ground under the fused kernels: f32 and f64 behind one trait, slices of
//! CPU tensors, and a macro that compiles a kernel for wide vectors.
//!
//! Kernels never use fused multiply-add and sum in a fixed number of lanes, so
//! the width of the machine's vectors does not change a result.
#![expect(
    clippy::inline_always,
    reason = "a kernel's parts must be compiled with the vector features of its caller"
)]
use candle_core::{
    CpuStorage, DType, Device, Layout, Result, Storage, StorageRef, Tensor, WithDType, bail,
};

/// The sums of a kernel run in this many independent lanes.
const LANES: usize = 16;

/// A float that the fused kernels are written for.
pub(in crate::lm) trait Real: WithDType {
    const ZERO: Self;
    const ONE: Self;
    fn exp(self) -> Self;
    fn ln(self) -> Self;
    fn sqrt(self) -> Self;
    /// The error function, 2/sqrt(pi) times the integral of exp(-t^2) from 0.
    fn erf(self) -> Self;
}

impl Real for f32 {
    const ZERO: f32 = 0.0;
    const ONE: f32 = 1.0;

    /// Cephes' polynomial without branches, so that loops over it become
    /// vectors; within 2 units in the last place on [-87, 88], clamped outside,
    /// NaN for NaN.
    #[inline(always)]
    fn exp(self) -> f32 {
        /// Adding it rounds to an integer, which then stands in the low bits.
        const ROUND: f32 = 12_582_912.0;
        const LN2_HIGH: f32 = 0.693_359_4;
        const LN2_LOW: f32 = -2.121_944_4e-4;
        let x = if self < -87.0 { -87.0 } else { self };
        let x = if x > 88.0 { 88.0 } else { x };
        let shifted = x * std::f32::consts::LOG2_E + ROUND;
        let n = shifted - ROUND;
        let r = (x - n * LN2_HIGH) - n * LN2_LOW;
        let mut p = 1.987_569_1e-4;
        p = p * r + 1.398_199_9e-3;
        p = p * r + 8.333_452e-3;
        p = p * r + 4.166_579_6e-2;
        p = p * r + 1.666_666_5e-1;
        p = p * r + 5e-1;
        let mantissa = p * (r * r) + r + 1.0;
        let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(1f32.to_bits()));
        mantissa * power
    }

    #[inline(always)]
    fn ln(self) -> f32 {
        f32::ln(self)
    }

    #[inline(always)]
    fn sqrt(self) -> f32 {
        f32::sqrt(self)
    }

    /// x P(x^2) / Q(x^2) without branches, fitted to erf(x) / x by iterated least
    /// squares on [0, 4] (relative 2.6e-8), beyond which erf is 1 in f32; within
    /// 3 units in the last place.
    #[inline(always)]
    fn erf(self) -> f32 {
        let x = if self < -4.0 { -4.0 } else { self };
        let x = if x > 4.0 { 4.0 } else { x };
        let s = x * x;
        let mut p = 1.988_962_8e-6;
        p = p * s + 2.840_922e-4;
        p = p * s + 3.865_223_4e-3;
        p = p * s + 5.304_480_3e-2;
        p = p * s + 1.931_321_9e-1;
        p = p * s + std::f32::consts::FRAC_2_SQRT_PI;
        let mut q = 3.741_824_2e-5;
        q = q * s + 1.181_071e-3;
        q = q * s + 1.517_071_9e-2;
        q = q * s + 1.151_772_9e-1;
        q = q * s + 5.044_915_7e-1;
        q = q * s + 1.0;
        x * p / q
    }
}

impl Real for f64 {
    const ZERO: f64 = 0.0;
    const ONE: f64 = 1.0;

    #[inline(always)]
    fn exp(self) -> f64 {
        f64::exp(self)
    }

    #[inline(always)]
    fn ln(self) -> f64 {
        f64::ln(self)
    }

    #[inline(always)]
    fn sqrt(self) -> f64 {
        f64::sqrt(self)
    }

    #[inline(always)]
    fn erf(self) -> f64 {
        candle_core::cpu::erf::erf_f64(self)
    }
}

/// Whether the fused kernels serve this tensor; else the primitives do.
pub(super) fn fused(x: &Tensor) -> bool {
    matches!(x.device(), Device::Cpu) && matches!(x.dtype(), DType::F32 | DType::F64)
}

/// Calls a function generic over [`Real`] for the dtype at hand.
macro_rules! for_real {
    ($dtype:expr, $function:ident($($arg:expr),* $(,)?)) => {
        match $dtype {
            candle_core::DType::F32 => $function::<f32>($($arg),*),
            candle_core::DType::F64 => $function::<f64>($($arg),*),
            other => Err(candle_core::Error::UnsupportedDTypeForOp(other, stringify!($function)).bt()),
        }
    };
}
pub(super) use for_real;

/// Defines a kernel that is compiled for AVX-512, for AVX2 and for the
/// baseline, and picks among them when called. The bits are the same.
macro_rules! wide {
    ($(#[$meta:meta])* $vis:vis fn $name:ident $(<$T:ident : $bound:ident>)? ($($arg:ident : $ty:ty),* $(,)?) $body:block) => {
        $(#[$meta])*
        $vis fn $name $(<$T: $bound>)? ($($arg: $ty),*) {
            #[inline(always)]
            fn body $(<$T: $bound>)? ($($arg: $ty),*) $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx2")]
                fn avx512 $(<$T: $bound>)? ($($arg: $ty),*) {
                    body($($arg),*);
                }
                #[target_feature(enable = "avx2")]
                fn avx2 $(<$T: $bound>)? ($($arg: $ty),*) {
                    body($($arg),*);
                }
                if is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512vl")
                {
                    // SAFETY: the features were detected just above.
                    return unsafe { avx512($($arg),*) };
                }
                if is_x86_feature_detected!("avx2") {
                    // SAFETY: the feature was detected just above.
                    return unsafe { avx2($($arg),*) };
                }
            }
            body($($arg),*);
        }
    };
}
pub(in crate::lm) use wide;

/// The elements of a contiguous storage.
pub(super) fn elements<'a, T: WithDType>(
    storage: &'a CpuStorage,
    layout: &Layout,
) -> Result<&'a [T]> {
    let all = storage.as_slice::<T>()?;
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&all[start..end]),
        None => bail!("a fused kernel got a tensor that is not contiguous: {layout:?}"),
    }
}

/// A CPU tensor held for reading.
pub(super) struct Host<'a> {
    storage: StorageRef<'a>,
    layout: &'a Layout,
}

impl<'a> Host<'a> {
    pub(super) fn of(tensor: &'a Tensor) -> Host<'a> {
        let (storage, layout) = tensor.storage_and_layout();
        Host { storage, layout }
    }

    pub(super) fn elements<T: WithDType>(&self) -> Result<&[T]> {
        match &*self.storage {
            Storage::Cpu(storage) => elements(storage, self.layout),
            _ => bail!("a fused kernel got a tensor that is not on the CPU"),
        }
    }
}

/// sum_i a_i b_i, in lanes.
#[inline(always)]
pub(super) fn dot<T: Real>(a: &[T], b: &[T]) -> T {
    let mut lanes = [T::ZERO; LANES];
    let (a_chunks, a_rest) = a.as_chunks::<LANES>();
    let (b_chunks, b_rest) = b.as_chunks::<LANES>();
    for (x, y) in a_chunks.iter().zip(b_chunks) {
        for i in 0..LANES {
            lanes[i] += x[i] * y[i];
        }
    }
    for (lane, (&x, &y)) in lanes.iter_mut().zip(a_rest.iter().zip(b_rest)) {
        *lane += x * y;
    }
    fold(lanes)
}

/// sum_i a_i, in lanes.
#[inline(always)]
pub(super) fn sum<T: Real>(a: &[T]) -> T {
    let mut lanes = [T::ZERO; LANES];
    let (chunks, rest) = a.as_chunks::<LANES>();
    for chunk in chunks {
        for i in 0..LANES {
            lanes[i] += chunk[i];
        }
    }
    for (lane, &x) in lanes.iter_mut().zip(rest) {
        *lane += x;
    }
    fold(lanes)
}

/// The largest element; NaN only where the first is NaN.
#[inline(always)]
pub(super) fn max<T: Real>(a: &[T]) -> T {
    let mut lanes = [a[0]; LANES];
    let (chunks, rest) = a.as_chunks::<LANES>();
    for x in chunks {
        for i in 0..LANES {
            lanes[i] = if x[i] > lanes[i] { x[i] } else { lanes[i] };
        }
    }
    for (lane, &x) in lanes.iter_mut().zip(rest) {
        *lane = if x > *lane { x } else { *lane };
    }
    let mut best = lanes[0];
    for x in lanes {
        best = if x > best { x } else { best };
    }
    best
}

#[inline(always)]
fn fold<T: Real>(mut lanes: [T; LANES]) -> T {
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            let other = lanes[i + width];
            lanes[i] += other;
        }
        width /= 2;
    }
    lanes[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_right_to_two_units_in_the_last_place() {
        let mut worst = 0f64;
        for i in -870_000..=880_000 {
            let x = i as f32 * 1e-4;
            let exact = f64::from(x).exp();
            let relative = (f64::from(Real::exp(x)) - exact).abs() / exact;
            worst = worst.max(relative);
        }
        assert!(worst < 2.0 * f64::from(f32::EPSILON), "{worst:e}");
        assert!(Real::exp(f32::NAN).is_nan());
        assert!(Real::exp(f32::NEG_INFINITY) < 1e-37);
        assert_eq!(Real::exp(0f32), 1.0);
    }

    #[test]
    fn the_error_function_is_right_to_three_units_in_the_last_place() {
        let mut worst = 0f64;
        for i in 1..=600_000 {
            let x = i as f32 * 1e-5;
            let exact = Real::erf(f64::from(x));
            worst = worst.max((f64::from(Real::erf(x)) - exact).abs() / exact);
            assert_eq!(Real::erf(-x), -Real::erf(x));
        }
        assert!(worst < 3.0 * f64::from(f32::EPSILON), "{worst:e}");
        assert!(Real::erf(f32::NAN).is_nan());
        assert_eq!(Real::erf(0f32), 0.0);
    }

    #[test]
    fn sums_take_every_element() {
        for n in [0, 1, 15, 16, 17, 40] {
            let a: Vec<f64> = (0..n).map(f64::from).collect();
            assert_eq!(dot(&a, &a), a.iter().map(|x| x * x).sum::<f64>());
            assert_eq!(sum(&a), a.iter().sum::<f64>());
        }
        assert_eq!(max(&[1f32, -2.0, 5.0, 4.0]), 5.0);
    }
}
