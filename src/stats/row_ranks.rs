//! One variable's ranks in every row, worked out once and shared.
//!
//! A table of scores against targets asks for the same ranks many times: build
//! a `RowRanks` per variable and row set, then each correlation costs one dot
//! product. No row sorts: the order of the sample is known, and the ranks of a
//! resample follow from how often each level was drawn.
use crate::stats::{
    ranks::{Levels, average_ranks},
    rows::{BootstrapRows, PermutationRows},
    spearman::{centred_ranks, correlation, dot},
};

/// Centred average ranks of one variable within each bootstrap row.
#[derive(Debug, Clone, PartialEq)]
pub struct RowRanks {
    n: usize,
    /// Row-major [B, n].
    values: Vec<f64>,
    /// Per row: sum of squares, 0 where the row is constant.
    squares: Vec<f64>,
}

impl RowRanks {
    /// Ranks of `x` resampled by each row. `None` if the length is not the rows'
    /// or a value is not finite.
    pub fn of_bootstrap(x: &[f64], rows: &BootstrapRows) -> Option<RowRanks> {
        if x.len() != rows.n() {
            return None;
        }
        let levels = Levels::new(x)?;
        let middle = f64::midpoint(x.len() as f64, 1.0);
        let mut counts = vec![0u32; levels.count];
        let mut rank = vec![0.0; levels.count];
        let mut values = Vec::with_capacity(rows.count() * x.len());
        let mut squares = Vec::with_capacity(rows.count());
        for row in rows.iter() {
            counts.fill(0);
            for &index in row {
                counts[levels.of[index as usize] as usize] += 1;
            }
            average_ranks(&counts, &mut rank);
            let start = values.len();
            values.extend(
                row.iter()
                    .map(|&i| rank[levels.of[i as usize] as usize] - middle),
            );
            squares.push(dot(&values[start..], &values[start..]));
        }
        Some(RowRanks {
            n: x.len(),
            values,
            squares,
        })
    }

    /// Ranks of `x` reordered by each row; undefined as `of_bootstrap` is.
    pub fn of_permutations(x: &[f64], rows: &PermutationRows) -> Option<RowRanks> {
        if x.len() != rows.n() {
            return None;
        }
        let ranks = centred_ranks(x)?;
        let values = rows
            .iter()
            .flatten()
            .map(|&index| ranks.values[index as usize])
            .collect();
        Some(RowRanks {
            n: x.len(),
            values,
            squares: vec![ranks.squares; rows.iter().count()],
        })
    }

    /// Spearman with another variable on the same rows, row by row; `None` for
    /// rows in which either is constant. Stops with the shorter of the two.
    pub fn correlations<'a>(
        &'a self,
        other: &'a RowRanks,
    ) -> impl Iterator<Item = Option<f64>> + 'a {
        let pairs = self.rows().zip(other.rows());
        pairs.map(|((v, squares_v), (w, squares_w))| correlation(dot(v, w), squares_v, squares_w))
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = (&[f64], f64)> {
        self.values
            .chunks_exact(self.n.max(1))
            .zip(self.squares.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{seed::Seed, stats::spearman::spearman};

    #[test]
    fn shared_ranks_give_what_each_resample_gives() {
        let x = [1.0, 1.0, 2.0, 5.0, -3.0, 2.0, 7.0];
        let y = [0.5, 0.1, 0.1, 0.9, 0.2, 0.3, 0.1];
        let rows = BootstrapRows::draw(7, 300, Seed(0));
        let (ranks_x, ranks_y) = (
            RowRanks::of_bootstrap(&x, &rows).unwrap(),
            RowRanks::of_bootstrap(&y, &rows).unwrap(),
        );
        for (row, got) in rows.iter().zip(ranks_x.correlations(&ranks_y)) {
            let take = |v: &[f64]| row.iter().map(|&i| v[i as usize]).collect::<Vec<_>>();
            let want = spearman(&take(&x), &take(&y)).map(|spearman| spearman.rho);
            assert_eq!(got, want, "{row:?}");
        }
    }

    #[test]
    fn a_wrong_length_or_nan_has_no_ranks() {
        let rows = BootstrapRows::draw(2, 5, Seed(0));
        assert_eq!(RowRanks::of_bootstrap(&[1.0], &rows), None);
        assert_eq!(RowRanks::of_bootstrap(&[1.0, f64::NAN], &rows), None);
    }
}
