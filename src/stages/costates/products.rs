//! Products of the whole head with itself for all prompts at once, in f64.
//!
//! Two passes over W in slices of rows: W^T C for the mixtures w_bar and s(y),
//! then W M^T. No V x V matrix, no second copy of W.
use anyhow::{Result, ensure};
use candle_core::{DType, Device, Tensor};

use crate::theory::{HeadProducts, Softmax};

/// Rows of W in f64 at once.
const SLICE: usize = 8192;

/// The head W [V, D], or W diag(g) for the pre-norm state.
pub(super) struct Head<'a> {
    pub(super) w: &'a Tensor,
    /// g, the final norm's weight; `None` for the post-norm state.
    pub(super) g: Option<&'a [f64]>,
    /// Whether the final norm subtracts the mean, and so rows of W diag(g) lose theirs.
    pub(super) centred: bool,
}

impl Head<'_> {
    /// The products for each policy, with slot y of e_y - p taken as q_y.
    pub(super) fn products(&self, policies: &[Softmax]) -> Result<Vec<HeadProducts>> {
        let (v, d) = self.w.dims2()?;
        let n = policies.len();
        ensure!(
            policies.iter().all(|policy| policy.p.len() == v),
            "policies over another vocabulary than the head's {v}"
        );
        // M [2N, D]: w_bar of every prompt, then s(y) of every prompt
        let mut mixed = Tensor::zeros((2 * n, d), DType::F64, &Device::Cpu)?;
        let mut norm2_w = Vec::with_capacity(v);
        for start in (0..v).step_by(SLICE) {
            let rows = self.rows(start, SLICE.min(v - start))?;
            let weights = mixture(policies, start, rows.dim(0)?)?;
            mixed = (mixed + weights.matmul(&rows)?)?;
            norm2_w.extend(rows.sqr()?.sum(1)?.to_vec1::<f64>()?);
        }
        let mut dots: Vec<Vec<f64>> = vec![Vec::with_capacity(v); 2 * n];
        let columns = mixed.t()?.contiguous()?;
        for start in (0..v).step_by(SLICE) {
            let rows = self.rows(start, SLICE.min(v - start))?;
            let products = rows.matmul(&columns)?.t()?.to_vec2::<f64>()?; // [2N, slice]
            for (all, slice) in dots.iter_mut().zip(products) {
                all.extend(slice);
            }
        }
        let norm2 = mixed.sqr()?.sum(1)?.to_vec1::<f64>()?;
        let w_dot_s_y = dots.split_off(n);
        let pairs = dots.into_iter().zip(w_dot_s_y).enumerate();
        Ok(pairs
            .map(|(i, (w_dot_bar, w_dot_s_y))| HeadProducts {
                norm2_w: norm2_w.clone(),
                w_dot_bar,
                w_dot_s_y,
                norm2_bar: norm2[i],
                norm2_s_y: norm2[n + i],
            })
            .collect())
    }

    /// The rows of some actions, one after another, [k D].
    pub(super) fn rows_of(&self, actions: &[u32]) -> Result<Vec<f64>> {
        let places = Tensor::from_slice(actions, actions.len(), self.w.device())?;
        let rows = self.scaled(&self.w.index_select(&places, 0)?)?;
        Ok(rows.flatten_all()?.to_vec1()?)
    }

    /// W v for a vector v [D]: V values.
    pub(super) fn times(&self, v: &[f64]) -> Result<Vec<f64>> {
        let (rows, d) = self.w.dims2()?;
        let v = Tensor::from_slice(v, (d, 1), &Device::Cpu)?;
        let mut all = Vec::with_capacity(rows);
        for start in (0..rows).step_by(SLICE) {
            let slice = self.w.narrow(0, start, SLICE.min(rows - start))?;
            let slice = slice.to_device(&Device::Cpu)?.to_dtype(DType::F64)?;
            all.extend(slice.matmul(&v)?.flatten_all()?.to_vec1::<f64>()?);
        }
        Ok(all)
    }

    /// Rows `start` to `start + count` in f64 on the host.
    fn rows(&self, start: usize, count: usize) -> Result<Tensor> {
        self.scaled(&self.w.narrow(0, start, count)?)
    }

    fn scaled(&self, rows: &Tensor) -> Result<Tensor> {
        let rows = rows.to_device(&Device::Cpu)?.to_dtype(DType::F64)?;
        let Some(g) = self.g else {
            return Ok(rows);
        };
        let rows = rows.broadcast_mul(&Tensor::from_slice(g, g.len(), &Device::Cpu)?)?;
        if !self.centred {
            return Ok(rows);
        }
        Ok(rows.broadcast_sub(&rows.mean_keepdim(1)?)?)
    }
}

/// [2N, count]: p of every prompt over a slice of actions, then e_y - p.
fn mixture(policies: &[Softmax], start: usize, count: usize) -> Result<Tensor> {
    let slice = |policy: &Softmax| policy.p[start..start + count].to_vec();
    let mut weights: Vec<f64> = policies.iter().flat_map(slice).collect();
    for policy in policies {
        let difference = slice(policy).into_iter().zip(start..);
        weights.extend(difference.map(|(p, a)| if a == policy.y { policy.q_y } else { -p }));
    }
    Ok(Tensor::from_vec(
        weights,
        (2 * policies.len(), count),
        &Device::Cpu,
    )?)
}

#[cfg(test)]
mod tests {
    use crate::seed::Seed;

    use super::*;

    #[test]
    fn slices_agree_with_the_products_row_by_row() {
        let (v, d) = (SLICE + 5, 3);
        let mut stream = Seed(4).stream("head", &[]);
        let w: Vec<f64> = (0..v * d).map(|_| stream.normal()).collect();
        let g = [0.5, 1.0, -2.0];
        let policies: Vec<Softmax> = [0, SLICE + 2]
            .into_iter()
            .map(|y| {
                let mut z: Vec<f64> = (0..v).map(|_| stream.normal()).collect();
                z[y] += 30.0;
                Softmax::new(&z, y)
            })
            .collect();
        let tensor = Tensor::from_vec(w.clone(), (v, d), &Device::Cpu).unwrap();
        let head = Head {
            w: &tensor,
            g: Some(&g),
            centred: false,
        };
        let scaled: Vec<f64> = w.iter().enumerate().map(|(i, w)| w * g[i % d]).collect();
        assert_eq!(
            head.rows_of(&[2, 0]).unwrap(),
            [&scaled[2 * d..3 * d], &scaled[..d]].concat()
        );
        // sums of many terms of both signs: relative to the largest
        let assert_close = |a: &[f64], b: &[f64], tolerance: f64| {
            assert_eq!(a.len(), b.len());
            let largest = b.iter().fold(0.0f64, |largest, x| largest.max(x.abs()));
            let pairs = a.iter().zip(b);
            let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(worst <= tolerance * largest, "{worst} of {largest}");
        };
        for (got, policy) in head.products(&policies).unwrap().iter().zip(&policies) {
            let want = HeadProducts::from_rows(&scaled, d, policy);
            assert_close(&got.norm2_w, &want.norm2_w, 1e-13);
            assert_close(&got.w_dot_bar, &want.w_dot_bar, 1e-12);
            assert_close(&[got.norm2_bar], &[want.norm2_bar], 1e-12);
            // s(y) is tiny here, as near saturation
            assert!(want.norm2_s_y < 1e-6 * want.norm2_bar, "{want:?}");
            assert_close(&[got.norm2_s_y], &[want.norm2_s_y], 1e-9);
            assert_close(&got.w_dot_s_y, &want.w_dot_s_y, 1e-9);
        }
    }
}
