//! Rows as Rust structs: a struct whose fields are a schema's columns becomes a
//! table and comes back from one. Field names are column names; `Option` is a
//! value that may be missing; a map with `#[serde(flatten)]` is a family of
//! columns.
use anyhow::{Context as _, Result, bail, ensure};
use polars::prelude::DataFrame;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::artifact::{
    Artifact,
    schema::{Dtype, Schema},
    table::{
        columns::{Cells, bools, column_of, f64s, i64s, texts},
        conform::check,
        parquet::{encode, read_artifact},
    },
};

/// A frame with one row per value. A float that is not finite counts as a
/// missing value, which is refused where the schema allows none.
pub fn frame_of<T: Serialize>(rows: &[T], schema: &Schema) -> Result<DataFrame> {
    let what = || format!("rows of schema `{}`", schema.name);
    let objects = rows
        .iter()
        .map(|row| match serde_json::to_value(row).with_context(what)? {
            Value::Object(object) => Ok(object),
            other => bail!("{}: a row is {other} where a struct was expected", what()),
        })
        .collect::<Result<Vec<Map<String, Value>>>>()?;
    let mut columns = Vec::new();
    for (name, dtype) in column_names(&objects, schema)? {
        let mut cells = Cells::new(dtype, objects.len());
        for (row, object) in objects.iter().enumerate() {
            let value = object.get(&name).unwrap_or(&Value::Null);
            push(&mut cells, value)
                .with_context(|| format!("{}: column `{name}`, row {row}", what()))?;
        }
        columns.push(column_of(&name, cells));
    }
    let frame = DataFrame::new(objects.len(), columns)?;
    check(&frame, schema, &what())?;
    Ok(frame)
}

/// Names and types of the columns that the rows fill, in no particular order;
/// without rows, those of the schema.
fn column_names(objects: &[Map<String, Value>], schema: &Schema) -> Result<Vec<(String, Dtype)>> {
    let Some(first) = objects.first() else {
        let number = |family| if family { "0" } else { "" };
        return Ok(schema
            .columns
            .iter()
            .map(|column| {
                (
                    format!("{}{}", column.name, number(column.family)),
                    column.dtype,
                )
            })
            .collect());
    };
    ensure!(
        objects.iter().all(|object| object.len() == first.len()),
        "rows of schema `{}` do not fill the same columns",
        schema.name
    );
    first
        .keys()
        .map(|name| match schema.place(name) {
            Some((_, _, column)) => Ok((name.clone(), column.dtype)),
            None => bail!(
                "rows have a field `{name}` that schema `{}` lacks",
                schema.name
            ),
        })
        .collect()
}

fn push(cells: &mut Cells, value: &Value) -> Result<()> {
    let missing = value.is_null();
    let stored = match cells {
        Cells::Int(values) => push_some(values, missing, value.as_i64()),
        Cells::Float(values) => push_some(values, missing, value.as_f64()),
        Cells::Text(values) => push_some(values, missing, value.as_str().map(str::to_owned)),
        Cells::Bool(values) => push_some(values, missing, value.as_bool()),
    };
    ensure!(stored, "{value} is of another type than the column");
    Ok(())
}

fn push_some<T>(values: &mut Vec<Option<T>>, missing: bool, value: Option<T>) -> bool {
    let fits = missing || value.is_some();
    values.push(value);
    fits
}

/// The parquet bytes of rows.
pub fn encode_rows<T: Serialize>(rows: &[T], schema: &Schema) -> Result<Vec<u8>> {
    encode(&mut frame_of(rows, schema)?, schema)
}

/// The rows of a frame.
pub fn decode_rows<T: DeserializeOwned>(frame: &DataFrame) -> Result<Vec<T>> {
    let mut objects = vec![Map::new(); frame.height()];
    for values in frame.columns() {
        let name = values.name().as_str();
        let dtype = values.dtype();
        let cells: Vec<Value> = if dtype.is_float() {
            f64s(frame, name)?.into_iter().map(Value::from).collect()
        } else if dtype.is_integer() {
            i64s(frame, name)?.into_iter().map(Value::from).collect()
        } else if dtype.is_bool() {
            bools(frame, name)?.into_iter().map(Value::from).collect()
        } else {
            texts(frame, name)?.into_iter().map(Value::from).collect()
        };
        for (object, cell) in objects.iter_mut().zip(cells) {
            object.insert(name.to_owned(), cell);
        }
    }
    objects
        .into_iter()
        .map(|object| serde_json::from_value(Value::Object(object)).context("row of a table"))
        .collect()
}

/// The rows of an artifact's table.
pub fn read_rows<T: DeserializeOwned>(artifact: &Artifact, schema: &Schema) -> Result<Vec<T>> {
    decode_rows(&read_artifact(artifact, schema)?)
}

/// The rows of all tables of a gathered port, in its order; none for no tables.
pub fn gather_rows<T: DeserializeOwned>(artifacts: &[Artifact], schema: &Schema) -> Result<Vec<T>> {
    let mut rows = Vec::new();
    for artifact in artifacts {
        rows.extend(read_rows::<T>(artifact, schema)?);
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;
    use crate::artifact::schema::{HEADROOM, IMPACT_SEEDS};

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Row {
        step: i64,
        tokens: Option<i64>,
        vocab: String,
        kind: String,
        alpha: f64,
        value: f64,
    }

    fn row(step: i64, value: f64) -> Row {
        Row {
            step,
            tokens: (step > 1).then_some(step * 100),
            vocab: "full".into(),
            kind: "pooled".into(),
            alpha: 1.0,
            value,
        }
    }

    #[test]
    fn rows_come_back_with_what_is_missing() {
        let rows = vec![row(1, 0.25), row(2, 1e-300), row(3, -1.0 / 3.0)];
        let frame = frame_of(&rows, &HEADROOM).unwrap();
        assert_eq!(decode_rows::<Row>(&frame).unwrap(), rows);
        let none = frame_of::<Row>(&[], &HEADROOM).unwrap();
        assert_eq!((none.height(), none.width()), (0, HEADROOM.columns.len()));
        assert_eq!(decode_rows::<Row>(&none).unwrap(), []);
    }

    #[test]
    fn a_float_that_is_not_finite_is_refused() {
        let error = frame_of(&[row(1, f64::NAN)], &HEADROOM).unwrap_err();
        assert_eq!(
            error.to_string(),
            "rows of schema `headroom`: column `value` misses 1 of 1 values"
        );
    }

    #[test]
    fn families_flow_through_a_map() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Seeds {
            step: i64,
            learning_rate: f64,
            rl_seed: i64,
            r_before: f64,
            r_after_mean: f64,
            gain_mean: f64,
            #[serde(flatten)]
            by_budget: BTreeMap<String, f64>,
        }
        let rows = vec![Seeds {
            step: 5,
            learning_rate: 1e-4,
            rl_seed: 0,
            r_before: 0.1,
            r_after_mean: 0.2,
            gain_mean: 0.1,
            by_budget: [
                ("r_after_k10", 0.15),
                ("r_after_k9", 0.1),
                ("gain_k10", 0.05),
                ("gain_k9", 0.0),
            ]
            .map(|(name, value)| (name.to_owned(), value))
            .into(),
        }];
        let mut frame = frame_of(&rows, &IMPACT_SEEDS).unwrap();
        encode(&mut frame, &IMPACT_SEEDS).unwrap();
        let names: Vec<&str> = frame.columns().iter().map(|c| c.name().as_str()).collect();
        assert_eq!(
            names,
            [
                "step",
                "learning_rate",
                "rl_seed",
                "r_before",
                "r_after_k9",
                "r_after_k10",
                "r_after_mean",
                "gain_k9",
                "gain_k10",
                "gain_mean"
            ]
        );
        assert_eq!(decode_rows::<Seeds>(&frame).unwrap(), rows);
    }
}
