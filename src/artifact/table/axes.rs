//! Gathered tables as one, with their coordinates as columns, for programs
//! that know nothing of ours: `pandas.read_parquet(path)` has everything.
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Cursor,
    path::Path,
};

use anyhow::{Context as _, Result, bail};
use polars::prelude::{Column as Values, DataFrame, NamedFrom, ParquetReader, SerReader, Series};

use crate::artifact::{
    Coords, Scalar,
    table::parquet::{coordinate_column, written},
};

/// The parquet bytes of all rows, in the order given, with a column for every
/// axis in front. An axis that every table repeats in a column of its own is
/// left to that column; another column of that name becomes `NAME_in_table`.
/// A table without a coordinate that others have misses its values.
///
/// # Errors
/// Tables with different columns.
pub fn with_axes(tables: &[(&Coords, &Path)]) -> Result<Vec<u8>> {
    let mut frames: Vec<(&Coords, DataFrame)> = tables
        .iter()
        .map(|(coords, path)| Ok((*coords, open(path)?)))
        .collect::<Result<_>>()?;
    let axes: BTreeSet<&String> = tables
        .iter()
        .flat_map(|(coords, _)| coords.keys())
        .collect();
    let mut columns: BTreeMap<&String, Vec<Values>> = BTreeMap::new();
    for axis in axes {
        let mut repeated = true;
        for (coords, frame) in &frames {
            repeated &= repeats(frame, axis, coords.get(axis));
        }
        if repeated {
            continue;
        }
        let kind = Kind::of(tables.iter().filter_map(|(coords, _)| coords.get(axis)));
        for (coords, frame) in &mut frames {
            if frame.column(axis).is_ok() {
                let name = format!("{axis}_in_table");
                frame.rename(axis, name.as_str().into())?;
            }
            let column = kind.column(axis, coords.get(axis), frame.height());
            columns.entry(axis).or_default().push(column);
        }
    }
    let mut all: Option<DataFrame> = None;
    for (i, (_, frame)) in frames.into_iter().enumerate() {
        let mut whole: Vec<Values> = columns.values().map(|parts| parts[i].clone()).collect();
        let height = frame.height();
        whole.extend(frame.into_columns());
        let frame = DataFrame::new(height, whole)?;
        match &mut all {
            None => all = Some(frame),
            Some(all) => {
                all.vstack_mut(&frame)
                    .context("the tables have different columns")?;
            }
        }
    }
    let Some(mut all) = all else {
        bail!("there is no table to gather");
    };
    all.rechunk_mut();
    written(&mut all).context("encode the gathered table")
}

fn open(path: &Path) -> Result<DataFrame> {
    let bytes = fs::read(path).with_context(|| format!("read table {}", path.display()))?;
    ParquetReader::new(Cursor::new(bytes))
        .finish()
        .with_context(|| format!("read table {}", path.display()))
}

/// Whether a frame's own column says what the coordinate would.
pub(super) fn repeats(frame: &DataFrame, axis: &str, value: Option<&Scalar>) -> bool {
    let (Ok(column), Some(value)) = (frame.column(axis), value) else {
        return false;
    };
    let wanted = coordinate_column(axis, value, frame.height());
    column.dtype() == wanted.dtype()
        && column
            .as_materialized_series()
            .equals(wanted.as_materialized_series())
}

/// The type of an axis that holds all its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bool,
    Int,
    Float,
    Text,
}

impl Kind {
    fn of<'v>(values: impl Iterator<Item = &'v Scalar>) -> Kind {
        let kinds = values.map(|value| match value {
            Scalar::Bool(_) => Kind::Bool,
            Scalar::Int(_) => Kind::Int,
            Scalar::Float(_) => Kind::Float,
            Scalar::Text(_) => Kind::Text,
        });
        let joined = kinds.reduce(|a, b| match (a, b) {
            (a, b) if a == b => a,
            (Kind::Int | Kind::Float, Kind::Int | Kind::Float) => Kind::Float,
            _ => Kind::Text,
        });
        joined.unwrap_or(Kind::Text)
    }

    fn column(self, axis: &str, value: Option<&Scalar>, height: usize) -> Values {
        let series = match self {
            Kind::Bool => {
                let value = match value {
                    Some(Scalar::Bool(b)) => Some(*b),
                    _ => None,
                };
                Series::new(axis.into(), vec![value; height])
            }
            Kind::Int => {
                let value = match value {
                    Some(Scalar::Int(i)) => Some(*i),
                    _ => None,
                };
                Series::new(axis.into(), vec![value; height])
            }
            Kind::Float => Series::new(axis.into(), vec![value.and_then(Scalar::as_f64); height]),
            Kind::Text => {
                let value = value.map(ToString::to_string);
                Series::new(axis.into(), vec![value; height])
            }
        };
        series.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(folder: &Path, name: &str, columns: &[(&str, &[i64])]) -> std::path::PathBuf {
        let height = columns[0].1.len();
        let columns = columns
            .iter()
            .map(|(name, values)| Values::new((*name).into(), values.to_vec()));
        let mut frame = DataFrame::new(height, columns.collect()).unwrap();
        let path = folder.join(name);
        fs::write(&path, written(&mut frame).unwrap()).unwrap();
        path
    }

    fn coords(pairs: &[(&str, Scalar)]) -> Coords {
        let pairs = pairs.iter();
        pairs
            .map(|(axis, value)| ((*axis).to_owned(), value.clone()))
            .collect()
    }

    fn gathered(tables: &[(&Coords, &Path)]) -> Result<DataFrame> {
        let bytes = with_axes(tables)?;
        assert_eq!(bytes, with_axes(tables)?);
        Ok(ParquetReader::new(Cursor::new(bytes)).finish()?)
    }

    fn names(frame: &DataFrame) -> Vec<String> {
        let names = frame.get_column_names().into_iter();
        names.map(ToString::to_string).collect()
    }

    #[test]
    fn axes_stand_in_front_with_one_type_for_all() {
        let folder = tempfile::tempdir().unwrap();
        let a = table(folder.path(), "a", &[("step", &[1, 1]), ("x", &[5, 6])]);
        let b = table(folder.path(), "b", &[("step", &[2]), ("x", &[7])]);
        let one = coords(&[
            ("lr", Scalar::Int(1)),
            ("step", Scalar::Int(1)),
            ("who", Scalar::Text("a".into())),
        ]);
        let two = coords(&[("lr", Scalar::Float(0.5)), ("step", Scalar::Int(2))]);
        let frame = gathered(&[(&one, &a), (&two, &b)]).unwrap();
        assert_eq!(names(&frame), ["lr", "who", "step", "x"]);
        let lr: Vec<Option<f64>> = frame.column("lr").unwrap().f64().unwrap().iter().collect();
        assert_eq!(lr, [Some(1.0), Some(1.0), Some(0.5)]);
        let who: Vec<Option<&str>> = frame.column("who").unwrap().str().unwrap().iter().collect();
        assert_eq!(who, [Some("a"), Some("a"), None]);
        let x: Vec<Option<i64>> = frame.column("x").unwrap().i64().unwrap().iter().collect();
        assert_eq!(x, [Some(5), Some(6), Some(7)]);
    }

    #[test]
    fn a_column_that_says_something_else_than_the_axis_is_renamed() {
        let folder = tempfile::tempdir().unwrap();
        let a = table(folder.path(), "a", &[("step", &[1, 3])]);
        let at = coords(&[("step", Scalar::Int(1))]);
        let frame = gathered(&[(&at, &a)]).unwrap();
        assert_eq!(names(&frame), ["step", "step_in_table"]);
        let b = table(folder.path(), "b", &[("other", &[1])]);
        let error = format!("{:#}", gathered(&[(&at, &a), (&at, &b)]).unwrap_err());
        assert!(
            error.starts_with("the tables have different columns"),
            "{error}"
        );
        assert!(with_axes(&[]).is_err());
    }
}
