//! Ranges, `{ from = 25, to = 400, by = 25 }`, to numbers. Both ends belong to
//! a range.
use std::ops::Range;

use toml::{Spanned, de::DeTable};

use crate::{
    artifact::Scalar,
    diagnostic::{Diagnostic, Faults},
    pipeline::{
        limits,
        node::{Entry, describe, entries, scalar},
    },
};

const KEYS: [&str; 3] = ["from", "to", "by"];

/// The values of the axis that `entry` gives as a range, or none after a
/// fault.
pub(super) fn scalars(
    entry: &Entry<'_>,
    table: &DeTable<'_>,
    faults: &mut Faults,
) -> Option<Vec<Scalar>> {
    let (numbers, refused) = numbers(entry, table);
    let by = table.get("by").map_or(entry.value.span(), Spanned::span);
    let read = match numbers.as_slice() {
        [from, to, by] if refused.is_empty() => values(from, to, by),
        _ => {
            faults.extend(refused);
            return None;
        }
    };
    read.map_err(|step| faults.push(told(step, entry, by))).ok()
}

/// From, to and by, and what is wrong with the table.
fn numbers(entry: &Entry<'_>, table: &DeTable<'_>) -> (Vec<Scalar>, Vec<Diagnostic>) {
    let mut refused: Vec<Diagnostic> = entries(table.clone())
        .iter()
        .filter(|field| !KEYS.contains(&field.key.get_ref().as_str()))
        .map(|field| {
            Diagnostic::new(format!("unknown key `{}` of a range", field.key))
                .at(field.key.span())
                .label("keys: from, to, by")
                .nearest(field.key.get_ref(), KEYS)
        })
        .collect();
    let mut numbers = Vec::new();
    for key in KEYS {
        let Some(node) = table.get(key) else {
            refused.push(
                Diagnostic::new(format!("the range `{}` has no `{key}`", entry.key))
                    .at(entry.value.span())
                    .help("a range has from, to and by; both ends belong to it"),
            );
            continue;
        };
        match scalar(node) {
            Ok(number @ (Scalar::Int(_) | Scalar::Float(_))) => numbers.push(number),
            Ok(_) => refused.push(
                Diagnostic::new(format!(
                    "`{key}` is a number, not {}",
                    describe(node.get_ref())
                ))
                .at(node.span()),
            ),
            Err(fault) => refused.push(fault),
        }
    }
    (numbers, refused)
}

fn values(from: &Scalar, to: &Scalar, by: &Scalar) -> Result<Vec<Scalar>, Step> {
    match (from, to, by) {
        (Scalar::Int(from), Scalar::Int(to), Scalar::Int(by)) => integers(*from, *to, *by),
        (from, to, by) => {
            let number = |scalar: &Scalar| scalar.as_f64().unwrap_or(f64::NAN);
            floats(number(from), number(to), number(by))
        }
    }
}

fn told(step: Step, entry: &Entry<'_>, by: Range<usize>) -> Diagnostic {
    match step {
        Step::Zero => Diagnostic::new("`by` is 0: the range never ends").at(by),
        Step::Away => Diagnostic::new("`by` leads away from `to`")
            .at(by)
            .help("change its sign, or exchange `from` and `to`"),
        Step::Many(count) => limits::axis(entry, count),
    }
}

/// Why a range gives no values.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Step {
    Zero,
    Away,
    Many(f64),
}

fn integers(from: i64, to: i64, by: i64) -> Result<Vec<Scalar>, Step> {
    let (first, last, step) = (i128::from(from), i128::from(to), i128::from(by));
    let distance = last - first;
    if step == 0 {
        return Err(Step::Zero);
    }
    if distance.signum() * step.signum() < 0 {
        return Err(Step::Away);
    }
    let count = distance / step + 1;
    if count > limits::INSTANCES as i128 {
        return Err(Step::Many(count as f64));
    }
    Ok((0..count)
        .map(|i| Scalar::Int((first + i * step) as i64))
        .collect())
}

/// `from + i by`, each rounded to the decimals that the text has, so that
/// 0.1, 0.2, 0.3 are the numbers that a list of them would hold.
fn floats(from: f64, to: f64, by: f64) -> Result<Vec<Scalar>, Step> {
    if by == 0.0 {
        return Err(Step::Zero);
    }
    let steps = (to - from) / by;
    if steps < 0.0 {
        return Err(Step::Away);
    }
    // A billionth of a step, so that rounding does not lose the last value.
    let count = (steps + 1e-9).floor() + 1.0;
    if count.is_nan() || count > limits::INSTANCES as f64 {
        return Err(Step::Many(count));
    }
    let decimals = |x: f64| {
        x.to_string()
            .split_once('.')
            .map_or(0, |(_, part)| part.len())
    };
    let decimals = decimals(from).max(decimals(by));
    Ok((0..count as u64)
        .map(|i| {
            let value = from + i as f64 * by;
            let rounded = format!("{value:.decimals$}").parse().unwrap_or(value);
            // No negative zero: it would be a second name of the same place.
            Scalar::Float(rounded + 0.0)
        })
        .collect())
}
#[cfg(test)]
mod tests {
    use super::*;

    fn shown(values: Result<Vec<Scalar>, Step>) -> String {
        let values: Vec<String> = values.unwrap().iter().map(ToString::to_string).collect();
        values.join(" ")
    }

    #[test]
    fn ranges_hold_both_ends_and_clean_numbers() {
        assert_eq!(shown(integers(25, 100, 25)), "25 50 75 100");
        assert_eq!(shown(integers(1, 10, 4)), "1 5 9");
        assert_eq!(shown(integers(3, 1, -1)), "3 2 1");
        assert_eq!(shown(integers(7, 7, 1)), "7");
        assert_eq!(
            shown(floats(0.0, 1.0, 0.1)),
            "0 0.1 0.2 0.3 0.4 0.5 0.6 0.7 0.8 0.9 1"
        );
        assert_eq!(shown(floats(1e-4, 3e-4, 1e-4)), "1e-4 2e-4 3e-4");
        assert_eq!(shown(floats(1.0, -0.5, -0.5)), "1 0.5 0 -0.5");
    }

    #[test]
    fn ranges_that_never_end_are_refused() {
        assert_eq!(integers(0, 1, 0), Err(Step::Zero));
        assert_eq!(integers(0, 1, -1), Err(Step::Away));
        assert_eq!(floats(0.0, 1.0, 0.0), Err(Step::Zero));
        assert_eq!(floats(0.0, 1.0, -0.1), Err(Step::Away));
        assert!(matches!(
            integers(i64::MIN, i64::MAX, 1),
            Err(Step::Many(_))
        ));
        assert!(matches!(floats(0.0, 1e300, 1e-300), Err(Step::Many(_))));
    }
}
