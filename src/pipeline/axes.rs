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
        node::{Entry, Node, describe, scalar, spelled},
        range,
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

    /// Forgets the values that are not wanted, unless none is.
    pub(super) fn keep(&mut self, wanted: &dyn Fn(&str, &Scalar) -> bool) {
        let name = self.name.get_ref();
        let kept: Vec<bool> = (self.values.iter())
            .map(|value| wanted(name, &value.scalar))
            .collect();
        if !kept.contains(&true) {
            return;
        }
        let mut keeps = kept.iter();
        self.values.retain(|_| keeps.next() == Some(&true));
        // How many are left before each.
        let places: Vec<usize> = (kept.iter())
            .scan(0, |next, kept| {
                let place = *next;
                *next += usize::from(*kept);
                Some(place)
            })
            .collect();
        self.written.retain(|place| kept[*place]);
        for place in &mut self.written {
            *place = places[*place];
        }
    }
}

/// The values of one axis, or none after a fault.
pub(super) fn settle<'t>(entry: &Entry<'t>, faults: &mut Faults) -> Option<Axis<'t>> {
    let values = match entry.value.get_ref() {
        DeValue::Array(items) => list(items, faults),
        DeValue::Table(table) => {
            range::scalars(entry, table, faults).map(|scalars| computed(entry, scalars))
        }
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
        faults.push(limits::axis(entry, values.len() as f64));
        return None;
    }
    sorted(entry, uniform(entry, values, faults)?, faults)
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

fn computed<'t>(entry: &Entry<'t>, scalars: Vec<Scalar>) -> Vec<AxisValue<'t>> {
    scalars
        .into_iter()
        .map(|scalar| AxisValue {
            value: Spelling::Computed(spelled(&scalar)),
            scalar,
            record: None,
            span: entry.value.span(),
        })
        .collect()
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
