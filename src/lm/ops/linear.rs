//! y = x W^T without bias, for weights stored as [out, in].
//!
//! One node of the graph instead of candle's transpose and product, whose
//! backward would add transposed gradients element by element.
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, backend::BackendStorage};

use super::real::fused;

/// `x` [.., in] times the transpose of `weight` [out, in]: [.., out].
pub fn linear(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    if fused(x) {
        return x.contiguous()?.apply_op2(weight, Linear);
    }
    let (out, width) = weight.dims2()?;
    let mut shape = x.dims().to_vec();
    let rows = shape.iter().product::<usize>() / width.max(1);
    *shape.last_mut().unwrap_or(&mut 0) = out;
    x.reshape((rows, width))?
        .matmul(&weight.t()?)?
        .reshape(shape)
}

struct Linear;

/// x W^T on storages; `shape` is x's.
pub(super) fn product(
    x: &CpuStorage,
    x_layout: &Layout,
    w: &CpuStorage,
    w_layout: &Layout,
) -> Result<(CpuStorage, Shape)> {
    let (out, width) = w_layout.shape().dims2()?;
    let mut dims = x_layout.dims().to_vec();
    match dims.last_mut() {
        Some(last) if *last == width => *last = out,
        _ => candle_core::bail!(
            "linear: {:?} by the transpose of {:?}",
            x_layout.shape(),
            w_layout.shape()
        ),
    }
    let rows = x_layout.shape().elem_count() / width;
    let flat = Layout::contiguous_with_offset((rows, width), x_layout.start_offset());
    let transposed = w_layout.transpose(0, 1)?;
    let y = x.matmul(w, (1, rows, out, width), &flat, &transposed)?;
    Ok((y, dims.into()))
}

impl CustomOp2 for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        w: &CpuStorage,
        w_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        product(x, x_layout, w, w_layout)
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        backward(x, w, &by_rows(w, grad)?)
    }
}

/// The gradient of a product with `w`, a row for each of its rows.
pub(super) fn by_rows(w: &Tensor, grad: &Tensor) -> Result<Tensor> {
    let (out, _) = w.dims2()?;
    grad.contiguous()?.reshape(((), out))
}

/// The gradients by `x` and `w` of their product, where they are wanted; `grad`
/// is that of [`by_rows`].
pub(super) fn backward(
    x: &Tensor,
    w: &Tensor,
    grad: &Tensor,
) -> Result<(Option<Tensor>, Option<Tensor>)> {
    let (_, width) = w.dims2()?;
    let by_x = || grad.matmul(&w.detach())?.reshape(x.shape());
    let by_w = || grad.t()?.matmul(&x.detach().reshape(((), width))?);
    Ok((
        x.track_op().then(by_x).transpose()?,
        w.track_op().then(by_w).transpose()?,
    ))
}
