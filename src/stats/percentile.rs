//! Percentiles by linear interpolation between order statistics.
//!
//! Source: Hyndman and Fan 1996, type 7; numpy's default.

/// The percentiles of `values` at each level in 0..=1, in the order asked.
/// `None` for no values, a NaN, or a level outside.
pub(crate) fn percentiles<const K: usize>(values: &[f64], levels: [f64; K]) -> Option<[f64; K]> {
    let defined = !values.is_empty() && !values.iter().any(|value| value.is_nan());
    if !defined || !levels.iter().all(|level| (0.0..=1.0).contains(level)) {
        return None;
    }
    // Selection, not sorting: a table asks for thousands of intervals.
    let mut values = values.to_vec();
    Some(levels.map(|level| {
        let place = level * (values.len() - 1) as f64;
        let below = place as usize;
        let (_, &mut low, rest) = values.select_nth_unstable_by(below, f64::total_cmp);
        let high = rest.iter().copied().reduce(f64::min).unwrap_or(low);
        low + (high - low) * (place - below as f64)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let got = percentiles(&[4.0, 1.0, 3.0, 2.0], [0.0, 0.25, 0.5, 1.0]);
        assert_eq!(got, Some([1.0, 1.75, 2.5, 4.0]));
        assert_eq!(percentiles(&[7.0], [0.025, 0.975]), Some([7.0, 7.0]));
        assert_eq!(percentiles(&[], [0.5]), None);
        assert_eq!(percentiles(&[1.0, f64::NAN], [0.5]), None);
        assert_eq!(percentiles(&[1.0], [1.5]), None);
    }
}
