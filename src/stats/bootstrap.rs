//! Percentile bootstrap of Spearman's rho and of a difference of two.
//!
//! Source: Efron 1979; percentile intervals at 2.5 and 97.5 %. Assumption:
//! exchangeable rows. Within one ladder of checkpoints that does not hold and
//! the interval is descriptive. A resample in which a variable is constant has
//! no rho: it is dropped and counted, never set to 0.
use crate::stats::{percentile::percentiles, row_ranks::RowRanks, rows::BootstrapRows};

/// Levels of the 95 % percentile interval.
const LEVELS: [f64; 2] = [0.025, 0.975];

/// A percentile interval over the rows that had a value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// 2.5 % percentile. `None` where no row had a value.
    pub lo: Option<f64>,
    /// 97.5 % percentile. `None` where no row had a value.
    pub hi: Option<f64>,
    /// Rows with a value.
    pub kept: usize,
    /// Rows without one.
    pub dropped: usize,
}

impl Interval {
    fn of(values: impl Iterator<Item = Option<f64>>) -> Interval {
        let (mut kept, mut dropped) = (Vec::new(), 0);
        for value in values {
            match value {
                Some(value) => kept.push(value),
                None => dropped += 1,
            }
        }
        let bounds = percentiles(&kept, LEVELS);
        Interval {
            lo: bounds.map(|[lo, _]| lo),
            hi: bounds.map(|[_, hi]| hi),
            kept: kept.len(),
            dropped,
        }
    }

    /// Whether 0 lies outside: the condition for "beats" on a difference.
    pub fn excludes_zero(&self) -> bool {
        self.lo.is_some_and(|lo| lo > 0.0) || self.hi.is_some_and(|hi| hi < 0.0)
    }
}

/// Interval of rho(x, y). `None` if the lengths are not the rows' or a value is
/// not finite.
pub fn bootstrap_spearman(x: &[f64], y: &[f64], rows: &BootstrapRows) -> Option<Interval> {
    let (x, y) = (
        RowRanks::of_bootstrap(x, rows)?,
        RowRanks::of_bootstrap(y, rows)?,
    );
    Some(bootstrap_spearman_ranked(&x, &y))
}

/// The same from shared ranks, both of the same bootstrap rows.
pub fn bootstrap_spearman_ranked(x: &RowRanks, y: &RowRanks) -> Interval {
    Interval::of(x.correlations(y))
}

/// Interval of rho(score, target) - rho(baseline, target), paired by row: all
/// three are resampled together. A row in which any of the three is constant is
/// dropped. `None` as for `bootstrap_spearman`.
pub fn bootstrap_difference(
    score: &[f64],
    baseline: &[f64],
    target: &[f64],
    rows: &BootstrapRows,
) -> Option<Interval> {
    let ranks = |x| RowRanks::of_bootstrap(x, rows);
    Some(bootstrap_difference_ranked(
        &ranks(score)?,
        &ranks(baseline)?,
        &ranks(target)?,
    ))
}

/// The same from shared ranks, all of the same bootstrap rows.
pub fn bootstrap_difference_ranked(
    score: &RowRanks,
    baseline: &RowRanks,
    target: &RowRanks,
) -> Interval {
    Interval::of(differences(score, baseline, target))
}

/// The difference row by row; `None` for dropped rows.
pub(crate) fn differences<'a>(
    score: &'a RowRanks,
    baseline: &'a RowRanks,
    target: &'a RowRanks,
) -> impl Iterator<Item = Option<f64>> + 'a {
    let pairs = score
        .correlations(target)
        .zip(baseline.correlations(target));
    pairs.map(|(score, baseline)| Some(score? - baseline?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Seed;

    #[test]
    fn a_perfect_order_stays_perfect_and_constant_rows_are_counted() {
        let x = [1.0, 2.0, 3.0];
        let rows = BootstrapRows::from_rows(3, &[vec![0, 1, 2], vec![1, 1, 1], vec![0, 0, 2]]);
        let got = bootstrap_spearman(&x, &x, &rows.unwrap()).unwrap();
        assert_eq!(
            (got.lo, got.hi, got.kept, got.dropped),
            (Some(1.0), Some(1.0), 2, 1)
        );
        assert!(got.excludes_zero());
    }

    #[test]
    fn constant_input_drops_every_row() {
        let rows = BootstrapRows::draw(4, 100, Seed(0));
        let got = bootstrap_spearman(&[1.0; 4], &[1.0, 2.0, 3.0, 4.0], &rows).unwrap();
        assert_eq!(
            (got.lo, got.hi, got.kept, got.dropped),
            (None, None, 0, 100)
        );
        assert!(!got.excludes_zero());
    }

    #[test]
    fn a_score_does_not_beat_itself() {
        let (x, y) = ([1.0, 4.0, 2.0, 3.0, 9.0], [1.0, 2.0, 3.0, 4.0, 5.0]);
        let rows = BootstrapRows::draw(5, 500, Seed(3));
        let got = bootstrap_difference(&x, &x, &y, &rows).unwrap();
        assert_eq!(
            (got.lo, got.hi, got.excludes_zero()),
            (Some(0.0), Some(0.0), false)
        );
    }

    #[test]
    fn the_interval_covers_a_known_correlation_about_as_often_as_it_says() {
        // Independent pairs: rho = 0. The percentile interval at n = 16 covers a little below 95 %.
        let rows = BootstrapRows::draw(16, 400, Seed(0));
        let covered = (0..300)
            .filter(|&trial| {
                let mut stream = Seed(9).stream("stats.test", &[trial]);
                let mut sample = || (0..16).map(|_| stream.normal()).collect::<Vec<f64>>();
                let (x, y) = (sample(), sample());
                !bootstrap_spearman(&x, &y, &rows).unwrap().excludes_zero()
            })
            .count();
        assert!((255..=297).contains(&covered), "{covered} of 300");
    }
}
