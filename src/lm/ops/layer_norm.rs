//! Layer norm with scale and shift:
//! norm(x) = w * (x - mean(x)) / sqrt(var(x) + eps) + b over the last dimension,
//! var the mean of squares, computed in f32 or wider whatever the dtype.
use candle_core::{
    CpuStorage, CustomOp3, D, DType, Layout, Result, Shape, Tensor, backend::BackendStorage,
};

use super::real::{Host, Real, dot, elements, for_real, fused, sum, wide};

/// `x` [.., W] normed, scaled by `weight` and shifted by `bias`, `[W]` each.
pub fn layer_norm(x: &Tensor, weight: &Tensor, bias: &Tensor, eps: f64) -> Result<Tensor> {
    if fused(x) {
        return x.contiguous()?.apply_op3(weight, bias, LayerNorm { eps });
    }
    layer_norm_primitive(x, weight, bias, eps)
}

pub(super) fn layer_norm_primitive(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    eps: f64,
) -> Result<Tensor> {
    let dtype = match x.dtype() {
        DType::F16 | DType::BF16 => DType::F32,
        dtype => dtype,
    };
    let wide = x.to_dtype(dtype)?;
    let centered = wide.broadcast_sub(&wide.mean_keepdim(D::Minus1)?)?;
    let deviation = (centered.sqr()?.mean_keepdim(D::Minus1)? + eps)?.sqrt()?;
    centered
        .broadcast_div(&deviation)?
        .broadcast_mul(&weight.to_dtype(dtype)?)?
        .broadcast_add(&bias.to_dtype(dtype)?)?
        .to_dtype(x.dtype())
}

struct LayerNorm {
    eps: f64,
}

wide! {
    fn normed<T: Real>(x: &[T], w: &[T], b: &[T], eps: T, out: &mut [T]) {
        let n = w.len();
        let width = T::from_f64(n as f64);
        for (x, out) in x.chunks_exact(n).zip(out.chunks_exact_mut(n)) {
            let mean = sum(x) / width;
            for (out, &x) in out.iter_mut().zip(x) {
                *out = x - mean;
            }
            let scale = T::ONE / (dot(out, out) / width + eps).sqrt();
            for ((out, &w), &b) in out.iter_mut().zip(w).zip(b) {
                *out = w * (*out * scale) + b;
            }
        }
    }
}

/// Gradients by x (every element written), by w and by b (added to).
struct Writes<'a, T> {
    x: &'a mut [T],
    w: &'a mut [T],
    b: &'a mut [T],
}

wide! {
    /// With n the normed row before scale and shift:
    /// dx = (g w - mean(g w) - n mean(g w n)) / sqrt(var + eps), dw = g n, db = g.
    fn normed_backward<T: Real>(x: &[T], w: &[T], eps: T, grad: &[T], out: Writes<'_, T>) {
        let size = w.len();
        let width = T::from_f64(size as f64);
        let mut row = vec![T::ZERO; size];
        let rows = x.chunks_exact(size).zip(grad.chunks_exact(size));
        for ((x, g), dx) in rows.zip(out.x.chunks_exact_mut(size)) {
            let mean = sum(x) / width;
            for (n, &x) in row.iter_mut().zip(x) {
                *n = x - mean;
            }
            let scale = T::ONE / (dot(&row, &row) / width + eps).sqrt();
            for (n, (dx, (&g, &w))) in row.iter_mut().zip(dx.iter_mut().zip(g.iter().zip(w))) {
                *n *= scale;
                *dx = g * w;
            }
            let (shift, radial) = (sum(dx) / width, dot(dx, &row) / width);
            for (dx, &n) in dx.iter_mut().zip(&row) {
                *dx = scale * (*dx - shift - n * radial);
            }
            for ((dw, db), (&n, &g)) in out.w.iter_mut().zip(out.b.iter_mut()).zip(row.iter().zip(g)) {
                *dw += g * n;
                *db += g;
            }
        }
    }
}

fn forward<T: Real>(
    (x, x_layout): (&CpuStorage, &Layout),
    (w, w_layout): (&CpuStorage, &Layout),
    (b, b_layout): (&CpuStorage, &Layout),
    eps: f64,
) -> Result<(CpuStorage, Shape)> {
    let (w, b) = (elements::<T>(w, w_layout)?, elements::<T>(b, b_layout)?);
    if x_layout.dims().last() != Some(&w.len()) || w.is_empty() || b.len() != w.len() {
        candle_core::bail!(
            "layer norm of {:?} by {} weights and {} biases",
            x_layout.shape(),
            w.len(),
            b.len()
        );
    }
    let x = elements::<T>(x, x_layout)?;
    let mut out = vec![T::ZERO; x.len()];
    normed(x, w, b, T::from_f64(eps), &mut out);
    Ok((T::to_cpu_storage_owned(out), x_layout.shape().clone()))
}

fn backward<T: Real>(x: &Tensor, w: &Tensor, eps: f64, grad: &Tensor) -> Result<[Tensor; 3]> {
    let grad = grad.contiguous()?;
    let (x_host, w_host, grad_host) = (Host::of(x), Host::of(w), Host::of(&grad));
    let (x_slice, w_slice) = (x_host.elements::<T>()?, w_host.elements::<T>()?);
    let mut x_grad = vec![T::ZERO; x_slice.len()];
    let (mut w_grad, mut b_grad) = (vec![T::ZERO; w_slice.len()], vec![T::ZERO; w_slice.len()]);
    let out = Writes {
        x: &mut x_grad,
        w: &mut w_grad,
        b: &mut b_grad,
    };
    let eps = T::from_f64(eps);
    normed_backward(x_slice, w_slice, eps, grad_host.elements::<T>()?, out);
    Ok([
        Tensor::from_vec(x_grad, x.shape(), x.device())?,
        Tensor::from_vec(w_grad, w.shape(), w.device())?,
        Tensor::from_vec(b_grad, w.shape(), w.device())?,
    ])
}

impl CustomOp3 for LayerNorm {
    fn name(&self) -> &'static str {
        "layer-norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        w: &CpuStorage,
        w_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        for_real!(
            x.dtype(),
            forward((x, x_layout), (w, w_layout), (b, b_layout), self.eps)
        )
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        b: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [x_grad, w_grad, b_grad] = for_real!(x.dtype(), backward(x, w, self.eps, grad))?;
        Ok((
            Some(x_grad),
            w.track_op().then_some(w_grad),
            b.track_op().then_some(b_grad),
        ))
    }
}
