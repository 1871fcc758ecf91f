//! y = x W^T + b, for weights stored as [out, in].
use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, backend::BackendStorage};

use super::{
    linear::{backward, by_rows, linear, product},
    real::{Real, elements, for_real, fused, wide},
};

/// `x` [.., in] times the transpose of `weight` [out, in], plus `bias` `[out]`.
pub fn affine(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    if fused(x) {
        return x
            .contiguous()?
            .apply_op3(weight, &bias.contiguous()?, Affine);
    }
    linear(x, weight)?.broadcast_add(bias)
}

struct Affine;

wide! {
    /// Adds the bias to every row.
    fn add_rows<T: Real>(bias: &[T], rows: &mut [T]) {
        for row in rows.chunks_exact_mut(bias.len()) {
            for (y, &b) in row.iter_mut().zip(bias) {
                *y += b;
            }
        }
    }
}

fn shifted<T: Real>(
    product: &CpuStorage,
    bias: &CpuStorage,
    layout: &Layout,
) -> Result<CpuStorage> {
    let mut rows = product.as_slice::<T>()?.to_vec();
    let bias = elements::<T>(bias, layout)?;
    if bias.is_empty() || !rows.len().is_multiple_of(bias.len()) {
        candle_core::bail!("affine: {} values by {} biases", rows.len(), bias.len());
    }
    add_rows(bias, &mut rows);
    Ok(T::to_cpu_storage_owned(rows))
}

impl CustomOp3 for Affine {
    fn name(&self) -> &'static str {
        "affine"
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
        let (y, shape) = product(x, x_layout, w, w_layout)?;
        if shape.dims().last() != Some(&b_layout.shape().elem_count()) {
            candle_core::bail!("affine: {shape:?} plus {:?}", b_layout.shape());
        }
        let y = for_real!(x.dtype(), shifted(&y, b, b_layout))?;
        Ok((y, shape))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        b: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let grad = by_rows(w, grad)?;
        let (by_x, by_w) = backward(x, w, &grad)?;
        let by_b = b.track_op().then(|| grad.sum(0)).transpose()?;
        Ok((by_x, by_w, by_b))
    }
}
