//! Permutation tests of Spearman's rho: one score, and the best of many.
//!
//! Two-sided, p = (1 + #{|rho_b| >= |rho| - 1e-12}) / (B + 1). Sources: Phipson
//! and Smyth 2010 (the 1 +); Westfall and Young 1993 (the maximum over scores,
//! which pays for having looked at all of them). The 1e-12 matters: permutations
//! reach exactly the same |rho|. Assumption: exchangeable rows; within one ladder
//! of checkpoints p is descriptive.
use crate::stats::{
    row_ranks::RowRanks,
    rows::PermutationRows,
    sample::paired,
    spearman::{CentredRanks, centred_ranks, correlation, dot},
};

/// Two |rho| closer than this are the same.
const TIE: f64 = 1e-12;

/// A permutation test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Permutation {
    /// rho as observed.
    pub rho: f64,
    /// Rows with |rho_b| >= |rho|.
    pub count: usize,
    /// B.
    pub rows: usize,
    /// (1 + count) / (B + 1).
    pub p: f64,
}

/// The test of rho(x, y), rows applied to y. `None` where rho is undefined, the
/// length is not the rows', or there is no row.
pub fn permutation_spearman(x: &[f64], y: &[f64], rows: &PermutationRows) -> Option<Permutation> {
    max_permutation(&[x], y, rows)?
        .scores
        .into_iter()
        .next()
        .flatten()
        .map(|score| score.single)
}

/// One score among many.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MaxPermutationScore {
    /// The score on its own.
    pub single: Permutation,
    /// Rows in which any score reaches this score's |rho|.
    pub count_max: usize,
    /// (1 + count_max) / (B + 1): p after the choice among all scores.
    pub p_max: f64,
}

/// Many scores against one target.
#[derive(Debug, Clone, PartialEq)]
pub struct MaxPermutation {
    /// Per score; `None` for a constant or undefined one, which takes no part in
    /// the maximum.
    pub scores: Vec<Option<MaxPermutationScore>>,
    /// The score of largest |rho|, the first of equals.
    pub best: Option<usize>,
    /// Scores that took no part.
    pub undefined: usize,
}

/// The max-|rho| test of many scores against `target`, the rows applied to the
/// target. `None` if the target is constant, not finite or not of the rows'
/// length, or there is no row.
pub fn max_permutation(
    scores: &[&[f64]],
    target: &[f64],
    rows: &PermutationRows,
) -> Option<MaxPermutation> {
    let permuted = RowRanks::of_permutations(target, rows)?;
    let observed = centred_ranks(target)?;
    if observed.squares == 0.0 || permuted.rows().next().is_none() {
        return None;
    }
    let ranked: Vec<Option<(CentredRanks, f64)>> = scores
        .iter()
        .map(|score| {
            let ranks = paired(score, target, 2)
                .then(|| centred_ranks(score))
                .flatten()?;
            let rho = ranks.correlation(&observed)?;
            Some((ranks, rho))
        })
        .collect();
    let mut counts = vec![(0, 0); ranked.len()];
    let mut sizes = vec![0.0; ranked.len()];
    for (order, squares) in permuted.rows() {
        let mut largest: f64 = 0.0;
        for (size, score) in sizes.iter_mut().zip(&ranked) {
            let Some((ranks, _)) = score else { continue };
            let rho = correlation(dot(&ranks.values, order), ranks.squares, squares);
            *size = rho.map_or(0.0, f64::abs);
            largest = largest.max(*size);
        }
        for ((counts, size), score) in counts.iter_mut().zip(&sizes).zip(&ranked) {
            let Some((_, rho)) = score else { continue };
            counts.0 += usize::from(*size >= rho.abs() - TIE);
            counts.1 += usize::from(largest >= rho.abs() - TIE);
        }
    }
    Some(conclude(&ranked, &counts, rows.count()))
}

fn conclude(
    ranked: &[Option<(CentredRanks, f64)>],
    counts: &[(usize, usize)],
    rows: usize,
) -> MaxPermutation {
    let p = |count: usize| (1 + count) as f64 / (1 + rows) as f64;
    let scores: Vec<Option<MaxPermutationScore>> = ranked
        .iter()
        .zip(counts)
        .map(|(score, &(count, count_max))| {
            let rho = score.as_ref()?.1;
            let single = Permutation {
                rho,
                count,
                rows,
                p: p(count),
            };
            Some(MaxPermutationScore {
                single,
                count_max,
                p_max: p(count_max),
            })
        })
        .collect();
    let mut best: Option<(usize, f64)> = None;
    for (j, score) in scores.iter().enumerate() {
        let Some(size) = score.map(|score| score.single.rho.abs()) else {
            continue;
        };
        if best.is_none_or(|(_, largest)| size > largest + TIE) {
            best = Some((j, size));
        }
    }
    MaxPermutation {
        undefined: scores.iter().filter(|score| score.is_none()).count(),
        best: best.map(|(j, _)| j),
        scores,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Seed;

    #[test]
    fn all_six_orders_by_hand() {
        let x = [1.0, 2.0, 3.0];
        let orders = [
            [0, 1, 2],
            [0, 2, 1],
            [1, 0, 2],
            [1, 2, 0],
            [2, 0, 1],
            [2, 1, 0],
        ];
        let rows = PermutationRows::from_rows(3, &orders.map(Vec::from)).unwrap();
        // |rho| is 1 for two orders and 1/2 for the other four.
        let perfect = permutation_spearman(&x, &x, &rows).unwrap();
        assert_eq!((perfect.rho, perfect.count, perfect.p), (1.0, 2, 3.0 / 7.0));
        let half = permutation_spearman(&x, &[2.0, 1.0, 3.0], &rows).unwrap();
        assert_eq!((half.rho, half.count, half.p), (0.5, 6, 1.0));
    }

    #[test]
    fn undefined_scores_take_no_part() {
        let rows = PermutationRows::draw(5, 99, Seed(0));
        let target = [1.0, 2.0, 3.0, 4.0, 5.0];
        let good = [1.0, 2.0, 3.0, 5.0, 4.0];
        let got = max_permutation(
            &[&[1.0; 5], &good, &[f64::NAN, 1.0, 2.0, 3.0, 4.0], &[1.0]],
            &target,
            &rows,
        )
        .unwrap();
        assert_eq!((got.best, got.undefined), (Some(1), 3));
        let score = got.scores[1].unwrap();
        assert_eq!(score.single.p, score.p_max);
        assert_eq!(
            permutation_spearman(&good, &target, &rows),
            Some(score.single)
        );
    }

    #[test]
    fn no_p_value_from_nothing() {
        let rows = PermutationRows::draw(3, 0, Seed(0));
        assert_eq!(
            permutation_spearman(&[1.0, 2.0, 3.0], &[1.0, 2.0, 3.0], &rows),
            None
        );
        let rows = PermutationRows::draw(1, 9, Seed(0));
        assert_eq!(permutation_spearman(&[1.0], &[1.0], &rows), None);
        let rows = PermutationRows::draw(3, 9, Seed(0));
        assert_eq!(
            permutation_spearman(&[1.0; 3], &[1.0, 2.0, 3.0], &rows),
            None
        );
        assert_eq!(
            permutation_spearman(&[1.0, 2.0, 3.0], &[1.0; 3], &rows),
            None
        );
    }

    #[test]
    fn the_level_holds_for_exchangeable_data_and_not_for_a_random_walk() {
        let rows = PermutationRows::draw(16, 199, Seed(0));
        let fires = |walk: bool| {
            (0..400)
                .filter(|&trial| {
                    let mut stream = Seed(5).stream("stats.test", &[trial]);
                    let mut series = || {
                        let mut level = 0.0;
                        let step = |_| {
                            let noise = stream.normal();
                            level = if walk { level + noise } else { noise };
                            level
                        };
                        (0..16).map(step).collect::<Vec<f64>>()
                    };
                    let (x, y) = (series(), series());
                    permutation_spearman(&x, &y, &rows).unwrap().p <= 0.05
                })
                .count()
        };
        // 5 % of 400 is 20; two random walks fire far more often: hence "descriptive".
        let (independent, walks) = (fires(false), fires(true));
        assert!((8..=34).contains(&independent), "{independent} of 400");
        assert!((110..=200).contains(&walks), "{walks} of 400");
    }
}
