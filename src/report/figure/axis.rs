//! Axes: the range that data needs and the ticks in it, as a plotters coordinate.
//!
//! plotters' own ranges loop or panic on ranges that are empty, not finite or
//! far from zero, so the ticks are made here, where every input ends in a range
//! with a finite, positive span.
use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};

use crate::report::figure::style::printable;

/// Values beyond this are drawn at it: spans must stay finite.
const LARGEST: f64 = 1e300;
/// Values below this are drawn at it on a logarithmic axis.
const SMALLEST: f64 = 1e-300;

/// Characters of a category's name.
const LONGEST_NAME: usize = 30;

/// An axis with its title (with units) and labelled ticks.
#[derive(Debug, Clone)]
pub(super) struct Scale {
    pub(super) title: String,
    low: f64,
    high: f64,
    logarithmic: bool,
    ticks: Vec<(f64, String)>,
}

impl Scale {
    /// A linear axis over the finite values, with some air at both ends.
    pub(super) fn linear(title: &str, values: impl IntoIterator<Item = f64>) -> Self {
        let (low, high) = padded(span(values).unwrap_or((0.0, 1.0)), 0.06);
        Self::between(title, low, high, 6)
    }

    /// A linear axis that shows zero too.
    pub(super) fn from_zero(title: &str, values: impl IntoIterator<Item = f64>) -> Self {
        Self::linear(title, values.into_iter().chain([0.0]))
    }

    /// A linear axis with exactly these ends; `low` below `high`.
    pub(super) fn between(title: &str, low: f64, high: f64, ticks: usize) -> Self {
        Scale {
            title: title.to_owned(),
            low,
            high,
            logarithmic: false,
            ticks: linear_ticks(low, high, ticks),
        }
    }

    /// The axis of pretraining steps.
    pub(super) fn steps(steps: impl IntoIterator<Item = u64>, ticks: usize) -> Self {
        let values = steps.into_iter().map(|step| step as f64);
        let (low, high) = padded(span(values).unwrap_or((0.0, 1.0)), 0.035);
        Self::between("pretraining step (optimizer steps)", low, high, ticks)
    }

    /// A logarithmic axis over the positive finite values.
    pub(super) fn logarithmic(title: &str, values: impl IntoIterator<Item = f64>) -> Self {
        let exponents = values
            .into_iter()
            .filter(|value| *value > 0.0)
            .map(|value| value.clamp(SMALLEST, LARGEST).log10());
        let (low, high) = span(exponents).unwrap_or((0.0, 1.0));
        let air = ((high - low) * 0.05).max(0.1);
        let (low, high) = (low - air, high + air);
        let ticks = logarithmic_ticks(low, high);
        Scale {
            title: title.to_owned(),
            low,
            high,
            logarithmic: true,
            ticks,
        }
    }

    /// Named places, the first one on top when used as y.
    pub(super) fn categories(title: &str, names: &[String]) -> Self {
        Scale {
            title: title.to_owned(),
            low: names.len().max(1) as f64 - 0.5,
            high: -0.5,
            logarithmic: false,
            ticks: names
                .iter()
                .enumerate()
                .map(|(place, name)| (place as f64, short(name)))
                .collect(),
        }
    }

    /// Named places from left to right when used as x.
    pub(super) fn places(title: &str, names: &[String]) -> Self {
        let mut scale = Self::categories(title, names);
        (scale.low, scale.high) = (scale.high, scale.low);
        scale
    }

    /// The texts of the ticks.
    pub(super) fn labels(&self) -> impl Iterator<Item = &str> {
        self.ticks.iter().map(|(_, label)| label.as_str())
    }

    /// True where the axis can show the value.
    pub(super) fn shows(&self, value: f64) -> bool {
        value.is_finite() && (!self.logarithmic || value > 0.0)
    }

    /// Both ends in data units.
    pub(super) fn ends(&self) -> (f64, f64) {
        if self.logarithmic {
            (10f64.powf(self.low), 10f64.powf(self.high))
        } else {
            (self.low, self.high)
        }
    }

    /// Where the value stands between the ends, 0 to 1.
    fn fraction(&self, value: f64) -> f64 {
        let value = if self.logarithmic {
            value.clamp(SMALLEST, LARGEST).log10()
        } else {
            value.clamp(-LARGEST, LARGEST)
        };
        let fraction = (value - self.low) / (self.high - self.low);
        if fraction.is_finite() {
            fraction.clamp(0.0, 1.0)
        } else {
            0.0
        }
    }
}

impl Ranged for Scale {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let length = f64::from(limit.1 - limit.0);
        limit.0 + (length * self.fraction(*value)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if hint.weight().allow_light_points() {
            return Vec::new();
        }
        let place = |at: f64| if self.logarithmic { 10f64.powf(at) } else { at };
        self.ticks.iter().map(|(at, _)| place(*at)).collect()
    }

    fn range(&self) -> Range<f64> {
        let (low, high) = self.ends();
        low..high
    }
}

impl ValueFormatter<f64> for Scale {
    fn format_ext(&self, value: &f64) -> String {
        let at = if self.logarithmic {
            value.log10()
        } else {
            *value
        };
        let near = |tick: &&(f64, String)| (tick.0 - at).abs() <= 1e-9 * at.abs().max(1e-290);
        self.ticks
            .iter()
            .find(near)
            .map_or_else(String::new, |(_, label)| label.clone())
    }
}

/// A name that leaves room for the plot beside it.
fn short(name: &str) -> String {
    let name = printable(name);
    if name.chars().count() <= LONGEST_NAME {
        return name;
    }
    name.chars().take(LONGEST_NAME - 1).chain(['…']).collect()
}

/// Smallest and largest finite value, kept within drawable size.
fn span(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    values
        .into_iter()
        .filter(|value| value.is_finite())
        .map(|value| value.clamp(-LARGEST, LARGEST))
        .fold(None, |ends, value| match ends {
            None => Some((value, value)),
            Some((low, high)) => Some((value.min(low), value.max(high))),
        })
}

/// The span with air on both sides; a constant gets a span of its own size.
fn padded((low, high): (f64, f64), air: f64) -> (f64, f64) {
    let size = low.abs().max(high.abs());
    let length = high - low;
    let margin = if length <= size * 1e-9 {
        if size < 1e-290 { 1.0 } else { size * 0.5 }
    } else {
        length * air
    };
    (low - margin, high + margin)
}

/// At most about `count` ticks at multiples of 1, 2 or 5 times a power of ten.
fn linear_ticks(low: f64, high: f64, count: usize) -> Vec<(f64, String)> {
    let raw = (high - low) / count.max(1) as f64;
    let magnitude = 10f64.powf(raw.log10().floor());
    let stride = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * magnitude)
        .find(|stride| *stride >= raw * 0.999)
        .unwrap_or(raw);
    let (first, last) = ((low / stride).ceil(), (high / stride).floor());
    if !stride.is_normal() || !(0.0..=50.0).contains(&(last - first)) {
        return vec![
            (low, tick_label(low, high - low)),
            (high, tick_label(high, high - low)),
        ];
    }
    (0..=(last - first) as u32)
        .map(|index| (first + f64::from(index)) * stride)
        .map(|value| (value, tick_label(value, stride)))
        .collect()
}

/// A tick's text with as many decimals as the stride needs; thousands as `k`.
fn tick_label(value: f64, stride: f64) -> String {
    let text = if value == 0.0 {
        "0".to_owned()
    } else if !(1e-5..1e7).contains(&stride) || value.abs() >= 1e9 {
        format!("{value:.1e}")
    } else if stride >= 1e3 && value.abs() >= 1e3 && value % 1e3 == 0.0 {
        format!("{:.0}k", value / 1e3)
    } else {
        let decimals = (-stride.log10().floor()).clamp(0.0, 6.0) as usize;
        format!("{value:.decimals$}")
    };
    text.replacen('-', "−", 1).replace("e-", "e−")
}

/// Whole decades, about six of them; within two decades also 2 and 5 times them.
fn logarithmic_ticks(low: f64, high: f64) -> Vec<(f64, String)> {
    let stride = ((high - low) / 6.0).ceil().max(1.0);
    let factors: &[f64] = if high - low < 2.0 {
        &[1.0, 2.0, 5.0]
    } else {
        &[1.0]
    };
    let first = (low / stride).floor() * stride;
    let count = ((high - first) / stride).floor() as i32;
    (0..=count)
        .flat_map(|index| factors.iter().map(move |factor| (index, *factor)))
        .map(|(index, factor)| (first + f64::from(index) * stride, factor))
        .map(|(decade, factor)| (decade + factor.log10(), decade_label(decade, factor)))
        .filter(|(exponent, _)| (low..=high).contains(exponent))
        .collect()
}

fn decade_label(decade: f64, factor: f64) -> String {
    if (-3.0..4.0).contains(&decade) {
        let decimals = (-decade).max(0.0) as usize;
        format!("{:.decimals$}", factor * 10f64.powf(decade))
    } else {
        format!("{factor}e{decade}").replace('-', "−")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, proptest};

    fn labels(scale: &Scale) -> Vec<&str> {
        scale.labels().collect()
    }

    #[test]
    fn ticks_are_round() {
        let steps = Scale::steps([25, 400], 9);
        assert_eq!(
            labels(&steps),
            ["50", "100", "150", "200", "250", "300", "350", "400"]
        );
        let long = Scale::steps([50_000, 1_000_000], 6);
        assert_eq!(labels(&long), ["200k", "400k", "600k", "800k", "1000k"]);
        let gains = Scale::linear("gain", [-0.05, 0.31]);
        assert_eq!(labels(&gains), ["0", "0.1", "0.2", "0.3"]);
    }

    #[test]
    fn constant_and_empty_data_have_a_span() {
        assert_eq!(
            Scale::linear("", [0.2, 0.2]).ends(),
            (0.1, 0.300_000_000_000_000_04)
        );
        assert_eq!(Scale::linear("", [0.0]).ends(), (-1.0, 1.0));
        assert_eq!(Scale::linear("", [f64::NAN]).labels().next(), Some("0"));
        assert_eq!(
            labels(&Scale::logarithmic("", [1e-3, 5.0, -1.0, 0.0])),
            ["0.001", "0.01", "0.1", "1"]
        );
    }

    #[test]
    fn the_first_category_is_on_top() {
        let scale = Scale::categories("", &["a".to_owned(), "b".to_owned()]);
        assert!(scale.map(&0.0, (100, 0)) < scale.map(&1.0, (100, 0)));
        assert_eq!(scale.format_ext(&1.0), "b");
        let long = Scale::categories("", &["long\n".repeat(20)]);
        assert_eq!(long.labels().next(), Some("long long long long long long…"));
    }

    proptest! {
        #[test]
        fn any_values_give_a_finite_axis(values: Vec<f64>, at in any::<f64>()) {
            for scale in [
                Scale::linear("", values.clone()),
                Scale::from_zero("", values.clone()),
                Scale::logarithmic("", values.clone()),
            ] {
                let place = scale.map(&at, (0, 700));
                assert!((0..=700).contains(&place), "{place} of {scale:?}");
                assert!(scale.labels().count() <= 52, "{scale:?}");
                assert!((scale.high - scale.low).is_finite() && scale.high > scale.low, "{scale:?}");
            }
        }
    }
}
