//! Axes: lists, ranges and records to sorted values.
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::{
    artifact::Scalar,
    diagnostic::{Diagnostic, Faults},
    pipeline::{
        limits,
        node::{Entry, Node, describe, entries, scalar, spelled},
    },
};

/// One axis, ready to be expanded along.
#[derive(Debug)]
pub(super) struct Axis<'t> {
    pub(super) name: Spanned<String>,
    /// Sorted by value, so that the order in the file changes no result.
    pub(super) values: Vec<AxisValue<'t>>,
    /// Positions in `values` in the order of the file.
    pub(super) written: Vec<usize>,
}

#[derive(Debug, Clone)]
pub(super) struct AxisValue<'t> {
    pub(super) scalar: Scalar,
    value: Spelling<'t>,
    /// The fields of a record.
    pub(super) record: Option<DeTable<'t>>,
    span: std::ops::Range<usize>,
}

#[derive(Debug, Clone)]
enum Spelling<'t> {
    Written(DeValue<'t>),
    /// A number that a range gave, as TOML.
    Computed(String),
}

impl AxisValue<'_> {
    /// The value as TOML.
    pub(super) fn value(&self) -> DeValue<'_> {
        match &self.value {
            Spelling::Written(value) => value.clone(),
            Spelling::Computed(text) => DeValue::parse(text)
                .expect("a spelled number is a TOML value")
                .into_inner(),
        }
    }
}

impl Axis<'_> {
    pub(super) fn scalars(&self) -> Vec<Scalar> {
        self.values
            .iter()
            .map(|value| value.scalar.clone())
            .collect()
    }
}

/// The values of one axis, or none after a fault.
pub(super) fn settle<'t>(entry: &Entry<'t>, faults: &mut Faults) -> Option<Axis<'t>> {
    let values = match entry.value.get_ref() {
        DeValue::Array(items) => list(items, faults),
        DeValue::Table(table) => range(entry, table, faults),
        other => {
            faults.push(
                Diagnostic::new(format!(
                    "an axis is a list or a range, not {}",
                    describe(other)
                ))
                .at(entry.value.span())
                .help(format!(
                    "write {0} = [...], or {0} = {{ from = 0, to = 9, by = 1 }}",
                    entry.key
                )),
            );
            None
        }
    }?;
    if values.is_empty() {
        faults.push(
            Diagnostic::new(format!("the axis `{}` is empty", entry.key))
                .at(entry.value.span())
                .help("give it at least one value: no stage over it would have an instance"),
        );
        return None;
    }
    if values.len() > limits::INSTANCES {
        faults.push(too_long(entry, values.len() as f64));
        return None;
    }
    sorted(entry, uniform(entry, values, faults)?, faults)
}

fn too_long(entry: &Entry<'_>, count: f64) -> Diagnostic {
    Diagnostic::new(format!("the axis `{}` has {count} values", entry.key))
        .at(entry.value.span())
        .label(format!("the limit is {}", limits::INSTANCES))
}

fn list<'t>(items: &[Node<'t>], faults: &mut Faults) -> Option<Vec<AxisValue<'t>>> {
    let records = items
        .iter()
        .filter(|item| item.get_ref().is_table())
        .count();
    let mut values = Vec::new();
    let mut sound = true;
    for item in items {
        let read = match item.get_ref() {
            DeValue::Table(table) if records == items.len() => record(item, table),
            DeValue::Table(_) => Err(Diagnostic::new("a record stands among plain values")
                .at(item.span())
                .help("make all of them records, each with a `name`")),
            _ => scalar(item).and_then(|scalar| {
                nameable(&scalar).map_err(|fault| fault.at(item.span()))?;
                Ok(AxisValue {
                    scalar,
                    value: Spelling::Written(item.get_ref().clone()),
                    record: None,
                    span: item.span(),
                })
            }),
        };
        match read {
            Ok(value) => values.push(value),
            Err(fault) => {
                sound = false;
                faults.push(fault);
            }
        }
    }
    sound.then_some(values)
}

fn record<'t>(item: &Node<'t>, table: &DeTable<'t>) -> Result<AxisValue<'t>, Diagnostic> {
    let Some(name) = table.get("name") else {
        return Err(Diagnostic::new("a record of an axis has no `name`")
            .at(item.span())
            .help("the name is its coordinate: add name = \"...\""));
    };
    match name.get_ref() {
        DeValue::String(text) => {
            let scalar = Scalar::Text(text.to_string());
            nameable(&scalar).map_err(|fault| fault.at(name.span()))?;
            Ok(AxisValue {
                scalar,
                value: Spelling::Written(name.get_ref().clone()),
                record: Some(table.clone()),
                span: name.span(),
            })
        }
        other => Err(Diagnostic::new(format!(
            "the `name` of a record is a string, not {}",
            describe(other)
        ))
        .at(name.span())),
    }
}

/// A selector must be able to name each value.
fn nameable(scalar: &Scalar) -> Result<(), Diagnostic> {
    match scalar {
        Scalar::Text(text)
            if text.is_empty()
                || text.trim() != text
                || text.contains([',', '{', '}'])
                || text.contains("..")
                || text.chars().any(char::is_control) =>
        {
            Err(
                Diagnostic::new(format!("\"{text}\" cannot be a value of an axis")).help(
                    "no selector could name it: leave out `,`, `..`, braces and blanks at its ends",
                ),
            )
        }
        _ => Ok(()),
    }
}

fn range<'t>(
    entry: &Entry<'t>,
    table: &DeTable<'t>,
    faults: &mut Faults,
) -> Option<Vec<AxisValue<'t>>> {
    const KEYS: [&str; 3] = ["from", "to", "by"];
    let mut sound = true;
    let mut refuse = |fault: Diagnostic| {
        sound = false;
        faults.push(fault);
    };
    for field in entries(table.clone()) {
        if !KEYS.contains(&field.key.get_ref().as_str()) {
            refuse(
                Diagnostic::new(format!("unknown key `{}` of a range", field.key))
                    .at(field.key.span())
                    .label("keys: from, to, by")
                    .nearest(field.key.get_ref(), KEYS),
            );
        }
    }
    let mut numbers = Vec::new();
    for key in KEYS {
        match table.get(key) {
            None => refuse(
                Diagnostic::new(format!("the range `{}` has no `{key}`", entry.key))
                    .at(entry.value.span())
                    .help("a range has from, to and by; both ends belong to it"),
            ),
            Some(node) => match scalar(node) {
                Ok(number @ (Scalar::Int(_) | Scalar::Float(_))) => numbers.push(number),
                Ok(_) => refuse(
                    Diagnostic::new(format!(
                        "`{key}` is a number, not {}",
                        describe(node.get_ref())
                    ))
                    .at(node.span()),
                ),
                Err(fault) => refuse(fault),
            },
        }
    }
    if !sound {
        return None;
    }
    let by = table.get("by").map_or(entry.value.span(), Spanned::span);
    let scalars = match numbers.as_slice() {
        [Scalar::Int(from), Scalar::Int(to), Scalar::Int(by)] => integers(*from, *to, *by),
        numbers => {
            let numbers: Vec<f64> = numbers.iter().filter_map(Scalar::as_f64).collect();
            floats(numbers[0], numbers[1], numbers[2])
        }
    };
    match scalars {
        Ok(scalars) => Some(
            scalars
                .into_iter()
                .map(|scalar| AxisValue {
                    value: Spelling::Computed(spelled(&scalar)),
                    scalar,
                    record: None,
                    span: entry.value.span(),
                })
                .collect(),
        ),
        Err(Step::Zero) => {
            faults.push(Diagnostic::new("`by` is 0: the range never ends").at(by));
            None
        }
        Err(Step::Away) => {
            faults.push(
                Diagnostic::new("`by` leads away from `to`")
                    .at(by)
                    .help("change its sign, or exchange `from` and `to`"),
            );
            None
        }
        Err(Step::Many(count)) => {
            faults.push(too_long(entry, count));
            None
        }
    }
}

/// Why a range gives no values.
#[derive(Debug, PartialEq)]
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

/// One type for the whole axis: strings, booleans or numbers; among floats an
/// integer is a float, for coordinates become columns of tables.
fn uniform<'t>(
    entry: &Entry<'t>,
    mut values: Vec<AxisValue<'t>>,
    faults: &mut Faults,
) -> Option<Vec<AxisValue<'t>>> {
    let class = |scalar: &Scalar| match scalar {
        Scalar::Bool(_) => "`true` or `false`",
        Scalar::Int(_) | Scalar::Float(_) => "numbers",
        Scalar::Text(_) => "strings",
    };
    let first = class(&values[0].scalar);
    if let Some(other) = values.iter().find(|value| class(&value.scalar) != first) {
        faults.push(
            Diagnostic::new(format!("the axis `{}` mixes types", entry.key))
                .at(other.span.clone())
                .label(format!("the values before it are {first}")),
        );
        return None;
    }
    if values
        .iter()
        .any(|value| matches!(value.scalar, Scalar::Float(_)))
    {
        for value in &mut values {
            if let Some(number) = value.scalar.as_f64() {
                value.scalar = Scalar::Float(number + 0.0);
            }
        }
    }
    Some(values)
}

fn sorted<'t>(
    entry: &Entry<'t>,
    values: Vec<AxisValue<'t>>,
    faults: &mut Faults,
) -> Option<Axis<'t>> {
    let mut values: Vec<(usize, AxisValue<'t>)> = values.into_iter().enumerate().collect();
    values.sort_by(|(_, a), (_, b)| a.scalar.cmp(&b.scalar));
    let mut sound = true;
    for pair in values.windows(2) {
        let [(_, first), (_, second)] = pair else {
            continue;
        };
        if first.scalar.cmp(&second.scalar).is_eq() {
            sound = false;
            faults.push(
                Diagnostic::new(format!(
                    "the axis `{}` has the value {} twice",
                    entry.key, second.scalar
                ))
                .at(second.span.clone())
                .also(first.span.clone(), "first here"),
            );
        }
    }
    let mut written = vec![0; values.len()];
    for (position, (place, _)) in values.iter().enumerate() {
        written[*place] = position;
    }
    sound.then(|| Axis {
        name: entry.key.clone(),
        values: values.into_iter().map(|(_, value)| value).collect(),
        written,
    })
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
