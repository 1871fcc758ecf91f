//! A frame held against a nominal schema: names, types, what may be missing.
use anyhow::{Context as _, Result, bail, ensure};
use polars::prelude::{Column as Values, DataFrame, DataType};

use crate::artifact::schema::{Column, Dtype, Schema};

/// Whether a frame is of the schema, to the column and type.
pub fn check(frame: &DataFrame, schema: &Schema, what: &str) -> Result<()> {
    require_columns(frame, schema, what)?;
    for values in frame.columns() {
        let name = values.name().as_str();
        let Some((_, _, column)) = schema.place(name) else {
            bail!("{what} has a column `{name}` that its schema lacks");
        };
        ensure!(
            *values.dtype() == data_type(column.dtype),
            "{}",
            wrong_type(what, name, schema, column, values.dtype())
        );
        ensure_complete(values, column, what)?;
    }
    Ok(())
}

/// A frame with other columns left out, in order, and types widened.
pub(super) fn conform(frame: &DataFrame, schema: &Schema, what: &str) -> Result<DataFrame> {
    require_columns(frame, schema, what)?;
    let mut columns = Vec::new();
    for values in in_order(frame, schema)?.columns() {
        let name = values.name().as_str();
        let (_, _, column) = schema
            .place(name)
            .expect("in_order keeps the schema's columns");
        let wanted = data_type(column.dtype);
        let fits = match column.dtype {
            Dtype::Float => values.dtype().is_primitive_numeric(),
            Dtype::Int => values.dtype().is_integer(),
            Dtype::Text | Dtype::Bool => *values.dtype() == wanted,
        };
        // A column without any value has no type of its own.
        ensure!(
            fits || (column.nullable && values.null_count() == values.len()),
            "{}",
            wrong_type(what, name, schema, column, values.dtype())
        );
        let values = values
            .strict_cast(&wanted)
            .with_context(|| format!("{what}: column `{name}`"))?;
        ensure_complete(&values, column, what)?;
        columns.push(values);
    }
    Ok(DataFrame::new(frame.height(), columns)?)
}

pub(super) fn in_order(frame: &DataFrame, schema: &Schema) -> Result<DataFrame> {
    let mut placed: Vec<_> = frame
        .columns()
        .iter()
        .filter_map(|values| Some((schema.place(values.name())?, values.clone())))
        .collect();
    placed.sort_by_key(|((position, number, _), _)| (*position, *number));
    let columns = placed.into_iter().map(|(_, values)| values).collect();
    Ok(DataFrame::new(frame.height(), columns)?)
}

fn require_columns(frame: &DataFrame, schema: &Schema, what: &str) -> Result<()> {
    let names: Vec<&str> = frame.columns().iter().map(|c| c.name().as_str()).collect();
    for column in schema.columns {
        let found = if column.family {
            names.iter().any(|name| column.member(name).is_some())
        } else {
            names.contains(&column.name)
        };
        if !found {
            bail!("{}", missing_column(what, column, schema, &names));
        }
    }
    Ok(())
}

/// The message for a column that is not there.
pub(super) fn missing_column(
    what: &str,
    column: &Column,
    schema: &Schema,
    names: &[&str],
) -> String {
    let number = if column.family { "{number}" } else { "" };
    format!(
        "{what} misses column `{}{number}` of schema `{}` (it has: {})",
        column.name,
        schema.name,
        names.join(", ")
    )
}

fn wrong_type(
    what: &str,
    name: &str,
    schema: &Schema,
    column: &Column,
    found: &DataType,
) -> String {
    format!(
        "{what}: column `{name}` of schema `{}` holds {found} where {} was expected",
        schema.name, column.dtype
    )
}

fn ensure_complete(values: &Values, column: &Column, what: &str) -> Result<()> {
    ensure!(
        column.nullable || values.null_count() == 0,
        "{what}: column `{}` misses {} of {} values",
        values.name(),
        values.null_count(),
        values.len()
    );
    Ok(())
}

fn data_type(dtype: Dtype) -> DataType {
    match dtype {
        Dtype::Int => DataType::Int64,
        Dtype::Float => DataType::Float64,
        Dtype::Text => DataType::String,
        Dtype::Bool => DataType::Boolean,
    }
}
