//! Causal self-attention over rotated queries and keys, with grouped key heads.
//!
//! Positions are 0..T in every row of the batch. Rows are right-padded, and no
//! position sees a later one, so padding needs no mask: only positions that
//! nobody reads see it.
use std::sync::OnceLock;

use candle_core::{
    CpuStorage, CustomOp3, D, DType, Layout, Result, Shape, Tensor, backend::BackendStorage,
};

use super::{
    attention_kernel::{Plan, Reads, attend, attend_backward},
    log_prob::log_softmax,
    real::{Host, Real, elements, for_real, fused},
    rope::{Rope, Rotations},
};

/// How many heads the projections hold, each of `dim` columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heads {
    pub queries: usize,
    /// Divides `queries`; query head h attends to key head h / (queries / keys).
    pub keys: usize,
    pub dim: usize,
}

/// softmax(rotated q k^T / sqrt(dim), causal) v.
///
/// `q` [B, T, queries * dim], `k` and `v` [B, T, keys * dim] (before rotation),
/// result [B, T, queries * dim]. `rope` must cover T positions.
pub fn attention(q: &Tensor, k: &Tensor, v: &Tensor, heads: Heads, rope: &Rope) -> Result<Tensor> {
    let (batch, time, q_width) = q.dims3()?;
    let kv_shape = [batch, time, heads.keys * heads.dim];
    let fits = q_width == heads.queries * heads.dim
        && k.dims() == kv_shape
        && v.dims() == kv_shape
        && heads.keys > 0
        && heads.queries.is_multiple_of(heads.keys)
        && rope.positions() == time
        && rope.head_dim() == heads.dim;
    if !fits {
        candle_core::bail!(
            "attention: q {:?}, k {:?}, v {:?} for {heads:?} and {} positions",
            q.shape(),
            k.shape(),
            v.shape(),
            rope.positions()
        );
    }
    if !fused(q) {
        return attention_primitive(q, k, v, heads, rope);
    }
    let op = Attention {
        plan: Plan::new(heads, batch, time),
        rotations: match q.dtype() {
            DType::F64 => Table::F64(rope.rounded()),
            _ => Table::F32(rope.rounded()),
        },
        probabilities: OnceLock::new(),
    };
    q.contiguous()?
        .apply_op3(&k.contiguous()?, &v.contiguous()?, op)
}

pub(super) fn attention_primitive(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    heads: Heads,
    rope: &Rope,
) -> Result<Tensor> {
    let (batch, time, q_width) = q.dims3()?;
    let group = heads.queries / heads.keys;
    // [B, T, n * dim] -> [B, n, T, dim]
    let split = |x: &Tensor, n: usize| {
        x.reshape((batch, time, n, heads.dim))?
            .transpose(1, 2)?
            .contiguous()
    };
    // [B, keys, T, dim] -> [B, queries, T, dim]
    let repeat = |x: Tensor| {
        x.unsqueeze(2)?
            .broadcast_as((batch, heads.keys, group, time, heads.dim))?
            .reshape((batch, heads.queries, time, heads.dim))
    };
    let q = rope.rotate_primitive(&split(q, heads.queries)?)?;
    let k = repeat(rope.rotate_primitive(&split(k, heads.keys)?)?)?;
    let v = repeat(split(v, heads.keys)?)?;
    let mask: Vec<f32> = (0..time)
        .flat_map(|t| (0..time).map(move |s| if s > t { f32::NEG_INFINITY } else { 0.0 }))
        .collect();
    let mask = Tensor::from_vec(mask, (time, time), q.device())?.to_dtype(q.dtype())?;
    let scores = (q.matmul(&k.transpose(D::Minus2, D::Minus1)?)? / (heads.dim as f64).sqrt())?;
    let probabilities = log_softmax(&scores.broadcast_add(&mask)?)?.exp()?;
    probabilities
        .matmul(&v)?
        .transpose(1, 2)?
        .reshape((batch, time, q_width))
}

enum Table {
    F32(Rotations<f32>),
    F64(Rotations<f64>),
}

/// What a kernel dtype must know to find its own table.
trait Tabled: Real {
    fn of(table: &Table) -> Option<&Rotations<Self>>;
}

impl Tabled for f32 {
    fn of(table: &Table) -> Option<&Rotations<f32>> {
        match table {
            Table::F32(rotations) => Some(rotations),
            Table::F64(_) => None,
        }
    }
}

impl Tabled for f64 {
    fn of(table: &Table) -> Option<&Rotations<f64>> {
        match table {
            Table::F64(rotations) => Some(rotations),
            Table::F32(_) => None,
        }
    }
}

/// Keeps the probabilities of its one application for the backward pass.
struct Attention {
    plan: Plan,
    rotations: Table,
    probabilities: OnceLock<CpuStorage>,
}

fn forward<T: Tabled>(
    op: &Attention,
    q: (&CpuStorage, &Layout),
    k: (&CpuStorage, &Layout),
    v: (&CpuStorage, &Layout),
) -> Result<(CpuStorage, Shape)> {
    let Some(rotations) = T::of(&op.rotations) else {
        candle_core::bail!("attention: queries and keys of another dtype");
    };
    let q_elements = elements::<T>(q.0, q.1)?;
    let mut out = vec![T::ZERO; q_elements.len()];
    let mut p = vec![T::ZERO; op.plan.probabilities()];
    attend(
        op.plan,
        rotations,
        q_elements,
        elements::<T>(k.0, k.1)?,
        elements::<T>(v.0, v.1)?,
        &mut p,
        &mut out,
    );
    op.probabilities.get_or_init(|| T::to_cpu_storage_owned(p));
    Ok((T::to_cpu_storage_owned(out), q.1.shape().clone()))
}

fn backward<T: Tabled>(
    op: &Attention,
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    grad: &Tensor,
) -> Result<[Tensor; 3]> {
    let (Some(rotations), Some(p)) = (T::of(&op.rotations), op.probabilities.get()) else {
        candle_core::bail!("attention: backward without a forward pass");
    };
    let grad = grad.contiguous()?;
    let hosts = [Host::of(q), Host::of(k), Host::of(v), Host::of(&grad)];
    let reads = Reads {
        q: hosts[0].elements::<T>()?,
        k: hosts[1].elements::<T>()?,
        v: hosts[2].elements::<T>()?,
        p: p.as_slice::<T>()?,
        grad: hosts[3].elements::<T>()?,
    };
    let mut q_grad = vec![T::ZERO; reads.q.len()];
    let mut k_grad = vec![T::ZERO; reads.k.len()];
    let mut v_grad = vec![T::ZERO; reads.v.len()];
    attend_backward(
        op.plan,
        rotations,
        reads,
        &mut q_grad,
        &mut k_grad,
        &mut v_grad,
    );
    Ok([
        Tensor::from_vec(q_grad, q.shape(), q.device())?,
        Tensor::from_vec(k_grad, k.shape(), k.device())?,
        Tensor::from_vec(v_grad, v.shape(), v.device())?,
    ])
}

impl CustomOp3 for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(
        &self,
        q: &CpuStorage,
        q_layout: &Layout,
        k: &CpuStorage,
        k_layout: &Layout,
        v: &CpuStorage,
        v_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        for_real!(
            q.dtype(),
            forward(self, (q, q_layout), (k, k_layout), (v, v_layout))
        )
    }

    fn bwd(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [q_grad, k_grad, v_grad] = for_real!(q.dtype(), backward(self, q, k, v, grad))?;
        Ok((Some(q_grad), Some(k_grad), Some(v_grad)))
    }
}
