//! Rows of indices that every score of a table shares: resamples and orders.
//!
//! Two types, because a bootstrap row in a permutation test (or the reverse)
//! would be a silent error. Drawn rows are a function of (seed, sample size) and
//! of nothing else, so all scores, targets and learning rates meet the same rows;
//! fewer rows are a prefix of more.
use std::{fmt, marker::PhantomData};

use crate::seed::Seed;

/// Why given rows cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowsError {
    /// A row whose length is not the sample's.
    Length {
        row: usize,
        found: usize,
        expected: usize,
    },
    /// An index outside the sample.
    Index { row: usize, index: usize, n: usize },
    /// A permutation that names an index twice.
    Repeated { row: usize, index: usize },
}

impl fmt::Display for RowsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RowsError::Length {
                row,
                found,
                expected,
            } => {
                write!(
                    f,
                    "row {row} has {found} indices, the sample has {expected}"
                )
            }
            RowsError::Index { row, index, n } => {
                write!(f, "row {row} names index {index} of a sample of {n}")
            }
            RowsError::Repeated { row, index } => {
                write!(f, "row {row} names index {index} twice")
            }
        }
    }
}

impl std::error::Error for RowsError {}

/// B rows of n indices, of the sort `K`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows<K> {
    n: usize,
    count: usize,
    /// Row-major [count, n].
    indices: Vec<u32>,
    sort: PhantomData<K>,
}

/// Each index drawn anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resample {}

/// Each index once a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {}

/// Resamples with replacement: B rows of n indices.
pub type BootstrapRows = Rows<Resample>;

/// Orders without replacement: B permutations of 0..n.
pub type PermutationRows = Rows<Order>;

impl BootstrapRows {
    /// The number of rows of the tables.
    pub const COUNT: usize = 10_000;

    /// `count` rows of `n` indices, each uniform in 0..n.
    pub fn draw(n: usize, count: usize, seed: Seed) -> BootstrapRows {
        let mut stream = seed.stream("stats.bootstrap", &[n as u64]);
        let indices = (0..n * count).map(|_| stream.below(n) as u32).collect();
        Rows::of(n, count, indices)
    }

    /// Rows as given, for a sample of `n`.
    pub fn from_rows(n: usize, rows: &[Vec<usize>]) -> Result<BootstrapRows, RowsError> {
        Rows::checked(n, rows)
    }
}

impl PermutationRows {
    /// The number of rows of the tables, so that p is a multiple of 1/10,000.
    pub const COUNT: usize = 9_999;

    /// `count` uniform permutations of 0..n.
    pub fn draw(n: usize, count: usize, seed: Seed) -> PermutationRows {
        let mut stream = seed.stream("stats.permutation", &[n as u64]);
        let orders = (0..count).flat_map(|_| stream.permutation(n));
        Rows::of(n, count, orders.map(|index| index as u32).collect())
    }

    /// Rows as given, for a sample of `n`.
    pub fn from_rows(n: usize, rows: &[Vec<usize>]) -> Result<PermutationRows, RowsError> {
        let checked = Rows::checked(n, rows)?;
        for (row, indices) in rows.iter().enumerate() {
            let mut seen = vec![false; n];
            for &index in indices {
                if std::mem::replace(&mut seen[index], true) {
                    return Err(RowsError::Repeated { row, index });
                }
            }
        }
        Ok(checked)
    }
}

impl<K> Rows<K> {
    fn of(n: usize, count: usize, indices: Vec<u32>) -> Rows<K> {
        Rows {
            n,
            count,
            indices,
            sort: PhantomData,
        }
    }

    fn checked(n: usize, rows: &[Vec<usize>]) -> Result<Rows<K>, RowsError> {
        for (row, indices) in rows.iter().enumerate() {
            if indices.len() != n {
                return Err(RowsError::Length {
                    row,
                    found: indices.len(),
                    expected: n,
                });
            }
            if let Some(&index) = indices.iter().find(|&&index| index >= n) {
                return Err(RowsError::Index { row, index, n });
            }
        }
        let indices = rows.iter().flatten().map(|&index| index as u32).collect();
        Ok(Rows::of(n, rows.len(), indices))
    }

    /// Sample size.
    pub fn n(&self) -> usize {
        self.n
    }

    /// Number of rows B.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The rows; none for an empty sample, which has nothing to draw from.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u32]> {
        self.indices.chunks_exact(self.n.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fewer_rows_are_a_prefix_of_more() {
        let (few, many) = (
            BootstrapRows::draw(5, 3, Seed(4)),
            BootstrapRows::draw(5, 30, Seed(4)),
        );
        assert!(few.iter().eq(many.iter().take(3)));
        let (few, many) = (
            PermutationRows::draw(5, 3, Seed(4)),
            PermutationRows::draw(5, 30, Seed(4)),
        );
        assert!(few.iter().eq(many.iter().take(3)));
        assert_eq!((many.n(), many.count(), many.iter().count()), (5, 30, 30));
        assert_eq!(BootstrapRows::draw(0, 10, Seed(0)).iter().count(), 0);
    }

    #[test]
    fn drawn_permutations_are_permutations() {
        for row in PermutationRows::draw(7, 50, Seed(1)).iter() {
            let mut sorted = row.to_vec();
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2, 3, 4, 5, 6]);
        }
    }

    #[test]
    fn wrong_rows_are_named() {
        let error = BootstrapRows::from_rows(2, &[vec![0, 1], vec![0, 2]]).unwrap_err();
        assert_eq!(error.to_string(), "row 1 names index 2 of a sample of 2");
        let error = PermutationRows::from_rows(2, &[vec![1]]).unwrap_err();
        assert_eq!(error.to_string(), "row 0 has 1 indices, the sample has 2");
        let error = PermutationRows::from_rows(2, &[vec![1, 1]]).unwrap_err();
        assert_eq!(error.to_string(), "row 0 names index 1 twice");
        assert!(BootstrapRows::from_rows(2, &[vec![1, 1]]).is_ok());
    }
}
