//! The gated half of a SwiGLU block: silu(x G^T) * (x U^T).
use std::sync::OnceLock;

use candle_core::{
    CpuStorage, CustomOp3, Layout, Result, Shape, Storage, Tensor, backend::BackendStorage,
    op::BackpropOp,
};

use super::{
    linear::{linear, product},
    real::{Host, Real, elements, for_real, fused, wide},
};

/// silu(`x` G^T) * (`x` U^T): x [.., D], `gate` and `up` [M, D], result [.., M].
pub fn gated(x: &Tensor, gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    if fused(x) {
        return x.contiguous()?.apply_op3(gate, up, Gated::default());
    }
    linear(x, gate)?.silu()? * linear(x, up)?
}

/// Keeps the two projections of its one application for the backward pass.
#[derive(Default)]
struct Gated {
    projections: OnceLock<(Tensor, Tensor)>,
}

wide! {
    fn silu_times<T: Real>(gate: &[T], up: &[T], out: &mut [T]) {
        for ((out, &g), &u) in out.iter_mut().zip(gate).zip(up) {
            *out = g / (T::ONE + (T::ZERO - g).exp()) * u;
        }
    }
}

wide! {
    /// d silu(g) = s (1 + g (1 - s)), s the sigmoid of g.
    fn silu_times_backward<T: Real>(gate: &[T], up: &[T], grad: &[T], gate_grad: &mut [T], up_grad: &mut [T]) {
        let n = grad.len();
        let (gate, up, gate_grad, up_grad) = (&gate[..n], &up[..n], &mut gate_grad[..n], &mut up_grad[..n]);
        for i in 0..n {
            let g = gate[i];
            let s = T::ONE / (T::ONE + (T::ZERO - g).exp());
            gate_grad[i] = grad[i] * up[i] * (s * (T::ONE + g * (T::ONE - s)));
            up_grad[i] = grad[i] * (g * s);
        }
    }
}

fn multiply<T: Real>(gate: &CpuStorage, up: &CpuStorage, shape: &Shape) -> Result<CpuStorage> {
    let layout = Layout::contiguous(shape);
    let (gate, up) = (elements::<T>(gate, &layout)?, elements::<T>(up, &layout)?);
    let mut out = vec![T::ZERO; gate.len()];
    silu_times(gate, up, &mut out);
    Ok(T::to_cpu_storage_owned(out))
}

fn split<T: Real>(gate: &Tensor, up: &Tensor, grad: &Tensor) -> Result<(Tensor, Tensor)> {
    let (gate_host, up_host, grad_host) = (Host::of(gate), Host::of(up), Host::of(grad));
    let grad_slice = grad_host.elements::<T>()?;
    let mut gate_grad = vec![T::ZERO; grad_slice.len()];
    let mut up_grad = vec![T::ZERO; grad_slice.len()];
    silu_times_backward(
        gate_host.elements::<T>()?,
        up_host.elements::<T>()?,
        grad_slice,
        &mut gate_grad,
        &mut up_grad,
    );
    let width = gate.dims().last().copied().unwrap_or(1);
    let rows = grad_slice.len() / width.max(1);
    Ok((
        Tensor::from_vec(gate_grad, (rows, width), gate.device())?,
        Tensor::from_vec(up_grad, (rows, width), up.device())?,
    ))
}

impl CustomOp3 for Gated {
    fn name(&self) -> &'static str {
        "gated"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        gate: &CpuStorage,
        gate_layout: &Layout,
        up: &CpuStorage,
        up_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (gate, shape) = product(x, x_layout, gate, gate_layout)?;
        let (up, up_shape) = product(x, x_layout, up, up_layout)?;
        if shape != up_shape {
            candle_core::bail!("gated: {shape:?} and {up_shape:?}");
        }
        let out = for_real!(x.dtype(), multiply(&gate, &up, &shape))?;
        let keep = |storage| {
            Tensor::from_storage(
                Storage::Cpu(storage),
                shape.clone(),
                BackpropOp::none(),
                false,
            )
        };
        self.projections.get_or_init(|| (keep(gate), keep(up)));
        Ok((out, shape))
    }

    fn bwd(
        &self,
        x: &Tensor,
        gate: &Tensor,
        up: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let Some((gated, upped)) = self.projections.get() else {
            candle_core::bail!("gated: backward without a forward pass");
        };
        let grad = grad.contiguous()?;
        // [N, M] each, N the number of rows
        let (gate_grad, up_grad) = for_real!(x.dtype(), split(gated, upped, &grad))?;
        let x_flat = x.detach().reshape((gate_grad.dim(0)?, gate.dim(1)?))?;
        let by_x = || {
            let sum = (gate_grad.matmul(&gate.detach())? + up_grad.matmul(&up.detach())?)?;
            sum.reshape(x.shape())
        };
        let by_gate = || gate_grad.t()?.matmul(&x_flat);
        let by_up = || up_grad.t()?.matmul(&x_flat);
        Ok((
            x.track_op().then(by_x).transpose()?,
            gate.track_op().then(by_gate).transpose()?,
            up.track_op().then(by_up).transpose()?,
        ))
    }
}
