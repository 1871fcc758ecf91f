//! RMS norm, alone and on the output of a block before the residual is added.
//!
//! norm(x) = w * x / sqrt(mean(x^2) + eps) over the last dimension, computed in
//! f32 or wider whatever the dtype.
use candle_core::{
    CpuStorage, CustomOp2, CustomOp3, D, DType, Layout, Result, Shape, Tensor,
    backend::BackendStorage,
};

use super::real::{Host, Real, dot, elements, for_real, fused, wide};

/// `x` [.., W] normed and scaled by `weight`, `[W]`.
pub fn rms_norm(x: &Tensor, weight: &Tensor, eps: f64) -> Result<Tensor> {
    if fused(x) {
        return x.contiguous()?.apply_op2(weight, RmsNorm { eps });
    }
    rms_norm_primitive(x, weight, eps)
}

/// `residual` + norm(`x`), both [.., W].
pub fn residual_norm(residual: &Tensor, x: &Tensor, weight: &Tensor, eps: f64) -> Result<Tensor> {
    if fused(x) {
        let op = RmsNorm { eps };
        return residual
            .contiguous()?
            .apply_op3(&x.contiguous()?, weight, op);
    }
    residual + rms_norm_primitive(x, weight, eps)?
}

pub(super) fn rms_norm_primitive(x: &Tensor, weight: &Tensor, eps: f64) -> Result<Tensor> {
    let dtype = match x.dtype() {
        DType::F16 | DType::BF16 => DType::F32,
        dtype => dtype,
    };
    let wide = x.to_dtype(dtype)?;
    let rms = (wide.sqr()?.mean_keepdim(D::Minus1)? + eps)?.sqrt()?;
    wide.broadcast_div(&rms)?
        .broadcast_mul(&weight.to_dtype(dtype)?)?
        .to_dtype(x.dtype())
}

struct RmsNorm {
    eps: f64,
}

wide! {
    /// out += norm(x), row by row.
    fn add_normed<T: Real>(x: &[T], w: &[T], eps: T, out: &mut [T]) {
        let width = T::from_f64(w.len() as f64);
        for (x, out) in x.chunks_exact(w.len()).zip(out.chunks_exact_mut(w.len())) {
            let scale = T::ONE / (dot(x, x) / width + eps).sqrt();
            for ((out, &x), &w) in out.iter_mut().zip(x).zip(w) {
                *out += w * (x * scale);
            }
        }
    }
}

wide! {
    /// The gradients by x (every element written) and by w (added to).
    fn norm_backward<T: Real>(x: &[T], w: &[T], eps: T, grad: &[T], x_grad: &mut [T], w_grad: &mut [T]) {
        let n = w.len();
        let width = T::from_f64(n as f64);
        for ((x, g), dx) in x.chunks_exact(n).zip(grad.chunks_exact(n)).zip(x_grad.chunks_exact_mut(n)) {
            let scale = T::ONE / (dot(x, x) / width + eps).sqrt();
            for ((dx, &g), &w) in dx.iter_mut().zip(g).zip(w) {
                *dx = g * w;
            }
            let mean = dot(dx, x) * scale / width;
            for (((dx, dw), &x), &g) in dx.iter_mut().zip(w_grad.iter_mut()).zip(x).zip(g) {
                let normed = x * scale;
                *dw += g * normed;
                *dx = scale * (*dx - normed * mean);
            }
        }
    }
}

fn forward<T: Real>(
    residual: Option<(&CpuStorage, &Layout)>,
    (x, x_layout): (&CpuStorage, &Layout),
    (w, w_layout): (&CpuStorage, &Layout),
    eps: f64,
) -> Result<(CpuStorage, Shape)> {
    let (x, w) = (elements::<T>(x, x_layout)?, elements::<T>(w, w_layout)?);
    if x_layout.dims().last() != Some(&w.len()) || w.is_empty() {
        candle_core::bail!("norm of {:?} by {} weights", x_layout.shape(), w.len());
    }
    let mut out = match residual {
        None => vec![T::ZERO; x.len()],
        Some((residual, layout)) => elements::<T>(residual, layout)?.to_vec(),
    };
    if out.len() != x.len() {
        candle_core::bail!("a residual of {} for {:?}", out.len(), x_layout.shape());
    }
    add_normed(x, w, T::from_f64(eps), &mut out);
    Ok((T::to_cpu_storage_owned(out), x_layout.shape().clone()))
}

fn backward<T: Real>(x: &Tensor, w: &Tensor, eps: f64, grad: &Tensor) -> Result<(Tensor, Tensor)> {
    let grad = grad.contiguous()?;
    let (x_host, w_host, grad_host) = (Host::of(x), Host::of(w), Host::of(&grad));
    let x_slice = x_host.elements::<T>()?;
    let w_slice = w_host.elements::<T>()?;
    let mut x_grad = vec![T::ZERO; x_slice.len()];
    let mut w_grad = vec![T::ZERO; w_slice.len()];
    norm_backward(
        x_slice,
        w_slice,
        T::from_f64(eps),
        grad_host.elements::<T>()?,
        &mut x_grad,
        &mut w_grad,
    );
    Ok((
        Tensor::from_vec(x_grad, x.shape(), x.device())?,
        Tensor::from_vec(w_grad, w.shape(), w.device())?,
    ))
}

impl CustomOp2 for RmsNorm {
    fn name(&self) -> &'static str {
        "rms-norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        w: &CpuStorage,
        w_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        for_real!(
            x.dtype(),
            forward(None, (x, x_layout), (w, w_layout), self.eps)
        )
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (x_grad, w_grad) = for_real!(x.dtype(), backward(x, w, self.eps, grad))?;
        Ok((Some(x_grad), w.track_op().then_some(w_grad)))
    }
}

impl CustomOp3 for RmsNorm {
    fn name(&self) -> &'static str {
        "residual-norm"
    }

    fn cpu_fwd(
        &self,
        residual: &CpuStorage,
        residual_layout: &Layout,
        x: &CpuStorage,
        x_layout: &Layout,
        w: &CpuStorage,
        w_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let residual = Some((residual, residual_layout));
        for_real!(
            x.dtype(),
            forward(residual, (x, x_layout), (w, w_layout), self.eps)
        )
    }

    fn bwd(
        &self,
        residual: &Tensor,
        x: &Tensor,
        w: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (x_grad, w_grad) = for_real!(x.dtype(), backward(x, w, self.eps, grad))?;
        Ok((
            residual.track_op().then(|| grad.clone()),
            Some(x_grad),
            w.track_op().then_some(w_grad),
        ))
    }
}
