//! Log-probabilities of chosen tokens under a softmax.
use candle_core::{
    CpuStorage, CustomOp1, D, DType, Layout, Result, Shape, Tensor, backend::BackendStorage,
};

use super::real::{Host, Real, elements, for_real, fused, max, wide};

/// log p(id) = z_id - log sum_b exp z_b for every chosen id, in nats:
/// `logits` [N, V], `ids` [N, n] (u32), result [N, n]. The cross-entropy of
/// next tokens is n = 1; all actions of one prompt share a row.
pub fn log_prob(logits: &Tensor, ids: &Tensor) -> Result<Tensor> {
    let (rows, vocab) = logits.dims2()?;
    let (id_rows, per_row) = ids.dims2()?;
    if id_rows != rows || per_row == 0 {
        candle_core::bail!("log_prob: ids [{id_rows}, {per_row}] for logits [{rows}, {vocab}]");
    }
    if fused(logits) {
        let ids = ids.to_dtype(DType::U32)?.flatten_all()?.to_vec1::<u32>()?;
        if let Some(id) = ids.iter().find(|&&id| id as usize >= vocab) {
            candle_core::bail!("log_prob: token {id} of a vocabulary of {vocab}");
        }
        let op = LogProb { ids, per_row };
        return logits.contiguous()?.apply_op1(op);
    }
    log_softmax(logits)?.gather(&ids.contiguous()?, 1)
}

/// log softmax over the last dimension, out of differentiable primitives.
pub fn log_softmax(logits: &Tensor) -> Result<Tensor> {
    let max = logits.max_keepdim(D::Minus1)?.detach();
    let shifted = logits.broadcast_sub(&max)?;
    let log_sum = shifted.exp()?.sum_keepdim(D::Minus1)?.log()?;
    shifted.broadcast_sub(&log_sum)
}

struct LogProb {
    /// [N, n], row by row.
    ids: Vec<u32>,
    per_row: usize,
}

wide! {
    fn log_prob_rows<T: Real>(logits: &[T], ids: &[u32], per_row: usize, out: &mut [T]) {
        let rows = out.len() / per_row;
        let vocab = logits.len() / rows.max(1);
        for row in 0..rows {
            let z = &logits[row * vocab..][..vocab];
            let top = max(z);
            let mut lanes = [T::ZERO; 16];
            let (chunks, rest) = z.as_chunks::<16>();
            for chunk in chunks {
                for i in 0..16 {
                    lanes[i] += (chunk[i] - top).exp();
                }
            }
            for (lane, &z) in lanes.iter_mut().zip(rest) {
                *lane += (z - top).exp();
            }
            let mut total = T::ZERO;
            for lane in lanes {
                total += lane;
            }
            let log_sum = total.ln();
            for (out, &id) in out[row * per_row..].iter_mut().zip(&ids[row * per_row..][..per_row]) {
                *out = (z[id as usize] - top) - log_sum;
            }
        }
    }
}

wide! {
    /// d z_b = sum_j g_j (1[b = id_j] - p_b). The log-sum-exp is taken back from
    /// the first log-probability of the row.
    fn log_prob_backward<T: Real>(logits: &[T], ids: &[u32], per_row: usize, result: &[T], grad: &[T], out: &mut [T]) {
        let rows = result.len() / per_row;
        let vocab = logits.len() / rows.max(1);
        for row in 0..rows {
            let z = &logits[row * vocab..][..vocab];
            let out = &mut out[row * vocab..][..vocab];
            let ids = &ids[row * per_row..][..per_row];
            let grad = &grad[row * per_row..][..per_row];
            let log_sum = z[ids[0] as usize] - result[row * per_row];
            let mut total = T::ZERO;
            for &g in grad {
                total += g;
            }
            for (out, &z) in out.iter_mut().zip(z) {
                *out = T::ZERO - total * (z - log_sum).exp();
            }
            for (&id, &g) in ids.iter().zip(grad) {
                out[id as usize] += g;
            }
        }
    }
}

fn forward<T: Real>(
    logits: &CpuStorage,
    layout: &Layout,
    op: &LogProb,
) -> Result<(CpuStorage, Shape)> {
    let mut out = vec![T::ZERO; op.ids.len()];
    log_prob_rows(
        elements::<T>(logits, layout)?,
        &op.ids,
        op.per_row,
        &mut out,
    );
    let shape = (op.ids.len() / op.per_row, op.per_row).into();
    Ok((T::to_cpu_storage_owned(out), shape))
}

fn backward<T: Real>(
    logits: &Tensor,
    result: &Tensor,
    grad: &Tensor,
    op: &LogProb,
) -> Result<Tensor> {
    let grad = grad.contiguous()?;
    let (z, result, g) = (Host::of(logits), Host::of(result), Host::of(&grad));
    let mut out = vec![T::ZERO; logits.elem_count()];
    log_prob_backward(
        z.elements::<T>()?,
        &op.ids,
        op.per_row,
        result.elements::<T>()?,
        g.elements::<T>()?,
        &mut out,
    );
    Tensor::from_vec(out, logits.shape(), logits.device())
}

impl CustomOp1 for LogProb {
    fn name(&self) -> &'static str {
        "log-prob"
    }

    fn cpu_fwd(&self, logits: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        for_real!(logits.dtype(), forward(logits, layout, self))
    }

    fn bwd(&self, logits: &Tensor, result: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        for_real!(logits.dtype(), backward(logits, result, grad, self)).map(Some)
    }
}
