//! Average ranks: ties share the mean of the places that they take.
//!
//! Source: Kendall and Gibbons, Rank Correlation Methods, ch. 3; the same as
//! `scipy.stats.rankdata(method="average")`. Assumption: none beyond finite
//! values. -0 and 0 are equal.
use crate::stats::sample::all_finite;

/// Ranks from 1 to n. `None` if a value is NaN or infinite; empty for empty.
pub fn ranks(x: &[f64]) -> Option<Vec<f64>> {
    let levels = Levels::new(x)?;
    let mut counts = vec![0u32; levels.count];
    for &level in &levels.of {
        counts[level as usize] += 1;
    }
    let mut rank = vec![0.0; levels.count];
    average_ranks(&counts, &mut rank);
    Some(
        levels
            .of
            .iter()
            .map(|&level| rank[level as usize])
            .collect(),
    )
}

/// Which of the distinct values, in increasing order, each observation has.
pub(crate) struct Levels {
    /// Per observation: its level.
    pub(crate) of: Vec<u32>,
    /// How many distinct values there are.
    pub(crate) count: usize,
}

impl Levels {
    /// `None` if a value is NaN or infinite.
    pub(crate) fn new(x: &[f64]) -> Option<Levels> {
        if !all_finite(x) {
            return None;
        }
        let mut order: Vec<usize> = (0..x.len()).collect();
        order.sort_unstable_by(|&i, &j| x[i].total_cmp(&x[j]));
        let mut of = vec![0; x.len()];
        let mut count = 0;
        for (place, &i) in order.iter().enumerate() {
            if place == 0 || x[i] != x[order[place - 1]] {
                count += 1;
            }
            of[i] = count - 1;
        }
        Some(Levels {
            of,
            count: count as usize,
        })
    }
}

/// The average rank of each level from how many observations have it; levels
/// that nobody has keep what they had.
pub(crate) fn average_ranks(counts: &[u32], rank: &mut [f64]) {
    let mut before = 0;
    for (&count, rank) in counts.iter().zip(rank) {
        if count > 0 {
            *rank = f64::from(before) + f64::from(count + 1) / 2.0;
            before += count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        assert_eq!(ranks(&[3.0, 1.0, 2.0]).unwrap(), [3.0, 1.0, 2.0]);
        assert_eq!(
            ranks(&[1.0, 5.0, 1.0, 5.0, 5.0]).unwrap(),
            [1.5, 4.0, 1.5, 4.0, 4.0]
        );
        assert_eq!(ranks(&[0.0, -0.0]).unwrap(), [1.5, 1.5]);
        assert_eq!(ranks(&[]).unwrap(), [0.0; 0]);
        assert_eq!(ranks(&[1.0, f64::NAN]), None);
        assert_eq!(ranks(&[f64::INFINITY]), None);
    }
}
