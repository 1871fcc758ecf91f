//! The columns of a frame as vectors of plain values, and back.
use anyhow::{Result, ensure};
use polars::prelude::{Column as Values, DataFrame, NamedFrom, Series};

use crate::artifact::schema::Dtype;

/// The values of a float column.
pub fn f64s(frame: &DataFrame, name: &str) -> Result<Vec<Option<f64>>> {
    Ok(frame.column(name)?.f64()?.iter().collect())
}

/// The values of an integer column.
pub fn i64s(frame: &DataFrame, name: &str) -> Result<Vec<Option<i64>>> {
    Ok(frame.column(name)?.i64()?.iter().collect())
}

/// The values of a text column.
pub fn texts(frame: &DataFrame, name: &str) -> Result<Vec<Option<String>>> {
    let values = frame.column(name)?.str()?.iter();
    Ok(values.map(|text| text.map(str::to_owned)).collect())
}

/// The values of a boolean column.
pub fn bools(frame: &DataFrame, name: &str) -> Result<Vec<Option<bool>>> {
    Ok(frame.column(name)?.bool()?.iter().collect())
}

/// The values of a column in which none may be missing: `required("gain", f64s(&frame, "gain")?)`.
pub fn required<T>(name: &str, values: Vec<Option<T>>) -> Result<Vec<T>> {
    let count = values.len();
    let present: Vec<T> = values.into_iter().flatten().collect();
    ensure!(
        present.len() == count,
        "column `{name}` misses {} of {count} values",
        count - present.len()
    );
    Ok(present)
}

/// A column of the schema's type from values that may be missing.
pub(super) fn column_of(name: &str, values: Cells) -> Values {
    let name = name.into();
    match values {
        Cells::Int(values) => Series::new(name, values).into(),
        Cells::Float(values) => Series::new(name, values).into(),
        Cells::Text(values) => Series::new(name, values).into(),
        Cells::Bool(values) => Series::new(name, values).into(),
    }
}

/// The values of one column on their way into a frame.
pub(super) enum Cells {
    Int(Vec<Option<i64>>),
    Float(Vec<Option<f64>>),
    Text(Vec<Option<String>>),
    Bool(Vec<Option<bool>>),
}

impl Cells {
    pub(super) fn new(dtype: Dtype, rows: usize) -> Cells {
        match dtype {
            Dtype::Int => Cells::Int(Vec::with_capacity(rows)),
            Dtype::Float => Cells::Float(Vec::with_capacity(rows)),
            Dtype::Text => Cells::Text(Vec::with_capacity(rows)),
            Dtype::Bool => Cells::Bool(Vec::with_capacity(rows)),
        }
    }
}
