//! The loops of causal attention, one head of one sequence at a time.
//!
//! Every product is written as C = A^T B with A [K, M] and B [K, N] both stored
//! row by row, in tiles of 8 x 8 that stay in registers. The probabilities are
//! kept transposed, P^T [S, T] (row s: key, column t: query), so that the softmax
//! runs over rows and its loops are vectors along t. Tiles that causality empties
//! are skipped; the rest of P^T is zero, never stale.
#![expect(
    clippy::inline_always,
    reason = "a kernel's parts must be compiled with the vector features of its caller"
)]
use std::ops::Range;

use super::{
    attention::Heads,
    real::{Real, wide},
    rope::Rotations,
};

/// The side of a tile.
const TILE: usize = 8;

/// Sizes of one application.
#[derive(Clone, Copy)]
pub(super) struct Plan {
    heads: Heads,
    batch: usize,
    /// T.
    time: usize,
    /// T rounded up to whole tiles.
    stride: usize,
    /// A head's columns rounded up to whole tiles.
    width: usize,
}

impl Plan {
    pub(super) fn new(heads: Heads, batch: usize, time: usize) -> Plan {
        Plan {
            heads,
            batch,
            time,
            stride: time.next_multiple_of(TILE),
            width: heads.dim.next_multiple_of(TILE),
        }
    }

    /// Elements of all P^T together: [B, query heads, stride, stride].
    pub(super) fn probabilities(&self) -> usize {
        self.batch * self.heads.queries * self.stride * self.stride
    }

    /// Where a query head's P^T starts and ends.
    #[inline(always)]
    fn probabilities_of(&self, b: usize, head: usize) -> Range<usize> {
        let size = self.stride * self.stride;
        let start = (b * self.heads.queries + head) * size;
        start..start + size
    }

    /// The start of one head's columns at (b, t) of a tensor with `heads` heads.
    #[inline(always)]
    fn at(&self, b: usize, t: usize, head: usize, heads: usize) -> usize {
        ((b * self.time + t) * heads + head) * self.heads.dim
    }

    #[inline(always)]
    fn group(&self, key_head: usize) -> Range<usize> {
        let size = self.heads.queries / self.heads.keys;
        key_head * size..(key_head + 1) * size
    }

    /// A zeroed [stride, width] or, transposed, [width, stride].
    #[inline(always)]
    fn scratch<T: Real>(&self) -> Vec<T> {
        vec![T::ZERO; self.stride * self.width]
    }
}

/// What the backward kernel reads: the inputs, P^T, and the output's gradient.
#[derive(Clone, Copy)]
pub(super) struct Reads<'a, T> {
    pub(super) q: &'a [T],
    pub(super) k: &'a [T],
    pub(super) v: &'a [T],
    pub(super) p: &'a [T],
    pub(super) grad: &'a [T],
}

/// The tile of A^T B at rows i.. and columns j.., summed over k.
#[inline(always)]
fn tile<T: Real>(
    (a, a_stride): (&[T], usize),
    (b, b_stride): (&[T], usize),
    (i, j): (usize, usize),
    k: Range<usize>,
) -> [[T; TILE]; TILE] {
    let mut sum = [[T::ZERO; TILE]; TILE];
    for k in k {
        let x = &a[k * a_stride + i..][..TILE];
        let y = &b[k * b_stride + j..][..TILE];
        for r in 0..TILE {
            for c in 0..TILE {
                sum[r][c] += x[r] * y[c];
            }
        }
    }
    sum
}

/// to[c, r] = from[r, c] for a square of whole tiles.
#[inline(always)]
fn transpose<T: Real>(from: &[T], to: &mut [T], stride: usize) {
    for i in (0..stride).step_by(TILE) {
        for j in (0..stride).step_by(TILE) {
            for r in 0..TILE {
                let row = &from[(i + r) * stride + j..][..TILE];
                for (c, &x) in row.iter().enumerate() {
                    to[(j + c) * stride + i + r] = x;
                }
            }
        }
    }
}

/// Column t of a [width, stride] scratch.
#[inline(always)]
fn put_column<T: Real>(columns: &mut [T], stride: usize, t: usize, values: &[T]) {
    for (row, &x) in columns.chunks_exact_mut(stride).zip(values) {
        row[t] = x;
    }
}

/// P^T out of K^T and Q^T (both [width, stride], scaled), for the first T keys.
#[inline(always)]
fn softmax<T: Real>(plan: &Plan, k_columns: &[T], q_columns: &[T], p: &mut [T], rows: &mut [T]) {
    let (time, stride) = (plan.time, plan.stride);
    let (top, total) = rows.split_at_mut(stride);
    for s in (0..stride).step_by(TILE) {
        for t in (s..stride).step_by(TILE) {
            let sum = tile(
                (k_columns, stride),
                (q_columns, stride),
                (s, t),
                0..plan.heads.dim,
            );
            for (r, sum) in sum.iter().enumerate() {
                p[(s + r) * stride + t..][..TILE].copy_from_slice(sum);
            }
        }
    }
    top.copy_from_slice(&p[..stride]);
    for s in 1..time {
        for (top, &x) in top[s..].iter_mut().zip(&p[s * stride + s..]) {
            *top = if x > *top { x } else { *top };
        }
    }
    total.fill(T::ZERO);
    for s in 0..stride {
        let first = s / TILE * TILE;
        let row = &mut p[s * stride + first..(s + 1) * stride];
        let masked = if s < time { s - first } else { row.len() };
        for (x, &top) in row.iter_mut().zip(&top[first..]) {
            *x = (*x - top).exp();
        }
        row[..masked].fill(T::ZERO);
        for (total, &x) in total[first..].iter_mut().zip(row.iter()) {
            *total += x;
        }
    }
    for total in total.iter_mut() {
        *total = T::ONE / *total;
    }
    for s in 0..time {
        for (x, &norm) in p[s * stride..][..stride].iter_mut().zip(total.iter()) {
            *x *= norm;
        }
    }
}

wide! {
    /// Writes the output, [B, T, query heads, dim], and every P^T.
    pub(super) fn attend<T: Real>(plan: Plan, rotations: &Rotations<T>, q: &[T], k: &[T], v: &[T], p: &mut [T], out: &mut [T]) {
        let Plan { heads: Heads { queries, keys, dim }, batch, time, stride, width } = plan;
        let scale = T::ONE / T::from_f64(dim as f64).sqrt();
        let (mut k_columns, mut q_columns, mut v_rows) = (plan.scratch(), plan.scratch(), plan.scratch());
        let mut row = vec![T::ZERO; dim];
        let mut rows = vec![T::ZERO; 2 * stride];
        for (b, key_head) in (0..batch).flat_map(|b| (0..keys).map(move |head| (b, head))) {
            for t in 0..time {
                let at = plan.at(b, t, key_head, keys);
                rotations.rotate(t, T::ONE, &k[at..][..dim], &mut row);
                put_column(&mut k_columns, stride, t, &row);
                v_rows[t * width..][..dim].copy_from_slice(&v[at..][..dim]);
            }
            for head in plan.group(key_head) {
                for t in 0..time {
                    rotations.rotate(t, scale, &q[plan.at(b, t, head, queries)..][..dim], &mut row);
                    put_column(&mut q_columns, stride, t, &row);
                }
                let p = &mut p[plan.probabilities_of(b, head)];
                softmax(&plan, &k_columns, &q_columns, p, &mut rows);
                for t in (0..time).step_by(TILE) {
                    for d in (0..dim).step_by(TILE) {
                        let sum = tile((p, stride), (&v_rows, width), (t, d), 0..time.min(t + TILE));
                        let n = TILE.min(dim - d);
                        for (r, sum) in sum.iter().enumerate().take(time - t) {
                            out[plan.at(b, t + r, head, queries) + d..][..n].copy_from_slice(&sum[..n]);
                        }
                    }
                }
            }
        }
    }
}

/// Scratch of one backward pass: what one query head needs, and sums over a group.
struct Backward<T> {
    /// V^T and the output gradient's transpose, [width, stride].
    v_columns: Vec<T>,
    g_columns: Vec<T>,
    /// Rotated K and Q and the output's gradient, [stride, width].
    k_rows: Vec<T>,
    q_rows: Vec<T>,
    g_rows: Vec<T>,
    /// dS^T, dS and P, [stride, stride].
    scores: Vec<T>,
    scores_across: Vec<T>,
    p_across: Vec<T>,
    /// sum_s P dP for each t.
    mean: Vec<T>,
    /// Gradients of rotated K and of V, [stride, width], over the group.
    k_grad: Vec<T>,
    v_grad: Vec<T>,
}

impl<T: Real> Backward<T> {
    #[inline(always)]
    fn new(plan: &Plan) -> Backward<T> {
        let square = || vec![T::ZERO; plan.stride * plan.stride];
        Backward {
            v_columns: plan.scratch(),
            g_columns: plan.scratch(),
            k_rows: plan.scratch(),
            q_rows: plan.scratch(),
            g_rows: plan.scratch(),
            scores: square(),
            scores_across: square(),
            p_across: square(),
            mean: vec![T::ZERO; plan.stride],
            k_grad: plan.scratch(),
            v_grad: plan.scratch(),
        }
    }

    /// dS^T = P^T * (dP^T - sum_s P dP), dP^T = V G^T; and the transposes.
    #[inline(always)]
    fn score_gradients(&mut self, plan: &Plan, p: &[T]) {
        let stride = plan.stride;
        for s in (0..stride).step_by(TILE) {
            for t in (s..stride).step_by(TILE) {
                let (v, g) = ((&*self.v_columns, stride), (&*self.g_columns, stride));
                for (r, sum) in tile(v, g, (s, t), 0..plan.heads.dim).iter().enumerate() {
                    self.scores[(s + r) * stride + t..][..TILE].copy_from_slice(sum);
                }
            }
        }
        self.mean.fill(T::ZERO);
        let rows = |s: usize| s * stride + s / TILE * TILE..(s + 1) * stride;
        for s in 0..stride {
            let mean = &mut self.mean[s / TILE * TILE..];
            for ((mean, &x), &p) in mean.iter_mut().zip(&self.scores[rows(s)]).zip(&p[rows(s)]) {
                *mean += x * p;
            }
        }
        for s in 0..stride {
            let mean = &self.mean[s / TILE * TILE..];
            for ((x, &p), &mean) in self.scores[rows(s)].iter_mut().zip(&p[rows(s)]).zip(mean) {
                *x = p * (*x - mean);
            }
        }
        transpose(&self.scores, &mut self.scores_across, stride);
        transpose(p, &mut self.p_across, stride);
    }

    /// Adds dS^T Q to the gradient of K and P^T G to that of V.
    #[inline(always)]
    fn add_key_gradients(&mut self, plan: &Plan) {
        let Plan {
            stride,
            width,
            time,
            ..
        } = *plan;
        for s in (0..time).step_by(TILE) {
            for d in (0..width).step_by(TILE) {
                for (a, b, out) in [
                    (&self.scores_across, &self.q_rows, &mut self.k_grad),
                    (&self.p_across, &self.g_rows, &mut self.v_grad),
                ] {
                    let sum = tile((a, stride), (b, width), (s, d), s..time);
                    for (r, sum) in sum.iter().enumerate() {
                        let out = &mut out[(s + r) * width + d..][..TILE];
                        for (out, &x) in out.iter_mut().zip(sum) {
                            *out += x;
                        }
                    }
                }
            }
        }
    }
}

wide! {
    /// dV = P^T G, dQ = dS K, dK = dS^T Q in rotated space, then rotated back.
    pub(super) fn attend_backward<T: Real>(plan: Plan, rotations: &Rotations<T>, reads: Reads<'_, T>, q_grad: &mut [T], k_grad: &mut [T], v_grad: &mut [T]) {
        let Plan { heads: Heads { queries, keys, dim }, batch, time, stride, width } = plan;
        let scale = T::ONE / T::from_f64(dim as f64).sqrt();
        let mut w = Backward::new(&plan);
        let mut dq_rows = vec![T::ZERO; TILE * width];
        for (b, key_head) in (0..batch).flat_map(|b| (0..keys).map(move |head| (b, head))) {
            for t in 0..time {
                let at = plan.at(b, t, key_head, keys);
                rotations.rotate(t, T::ONE, &reads.k[at..][..dim], &mut w.k_rows[t * width..][..dim]);
                put_column(&mut w.v_columns, stride, t, &reads.v[at..][..dim]);
            }
            w.k_grad.fill(T::ZERO);
            w.v_grad.fill(T::ZERO);
            for head in plan.group(key_head) {
                for t in 0..time {
                    let at = plan.at(b, t, head, queries);
                    rotations.rotate(t, scale, &reads.q[at..][..dim], &mut w.q_rows[t * width..][..dim]);
                    w.g_rows[t * width..][..dim].copy_from_slice(&reads.grad[at..][..dim]);
                    put_column(&mut w.g_columns, stride, t, &reads.grad[at..][..dim]);
                }
                w.score_gradients(&plan, &reads.p[plan.probabilities_of(b, head)]);
                w.add_key_gradients(&plan);
                for t in (0..time).step_by(TILE) {
                    for d in (0..width).step_by(TILE) {
                        let sum = tile((&w.scores, stride), (&w.k_rows, width), (t, d), 0..time.min(t + TILE));
                        for (r, sum) in sum.iter().enumerate() {
                            dq_rows[r * width + d..][..TILE].copy_from_slice(sum);
                        }
                    }
                    for r in 0..TILE.min(time - t) {
                        let at = plan.at(b, t + r, head, queries);
                        rotations.rotate_back(t + r, scale, &dq_rows[r * width..][..dim], &mut q_grad[at..][..dim]);
                    }
                }
            }
            for t in 0..time {
                let at = plan.at(b, t, key_head, keys);
                rotations.rotate_back(t, T::ONE, &w.k_grad[t * width..][..dim], &mut k_grad[at..][..dim]);
                v_grad[at..][..dim].copy_from_slice(&w.v_grad[t * width..][..dim]);
            }
        }
    }
}
