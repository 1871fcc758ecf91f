//! Tables as text: CSV in (imported results) and out, and JSON out.
use std::{collections::BTreeMap, path::Path};

use anyhow::{Context as _, Result, bail};
use polars::prelude::DataFrame;
use serde_json::{Map, Value};

use crate::artifact::{
    schema::{Column, Schema},
    table::{
        columns::{Cells, column_of},
        conform::{check, missing_column},
        rows::decode_rows,
    },
};

/// A CSV file with a header line as a frame of the schema. Further columns are
/// left out; an empty field is a missing value; families are taken whole.
///
/// # Errors
/// A column that is not there or a field that does not read, with its line.
pub fn read_csv(path: &Path, schema: &Schema) -> Result<DataFrame> {
    let what = format!("table {}", path.display());
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_path(path)
        .with_context(|| format!("read {what}"))?;
    let names: Vec<String> = reader
        .headers()
        .with_context(|| format!("read {what}"))?
        .iter()
        .map(str::to_owned)
        .collect();
    let mut columns: BTreeMap<usize, (&Column, Cells)> = BTreeMap::new();
    for (index, name) in names.iter().enumerate() {
        if names[..index].contains(name) {
            bail!("{what} has two columns `{name}`");
        }
        if let Some((_, _, column)) = schema.place(name) {
            columns.insert(index, (column, Cells::new(column.dtype, 0)));
        }
    }
    for record in reader.records() {
        let record = record.with_context(|| format!("read {what}"))?;
        let line = record.position().map_or(0, csv::Position::line);
        for (&index, (column, cells)) in &mut columns {
            let field = record.get(index).unwrap_or("");
            push(cells, field).map_err(|()| {
                anyhow::anyhow!(
                    "{what}, line {line}: column `{}` holds `{field}` where {} was expected",
                    names[index],
                    column.dtype
                )
            })?;
        }
    }
    finish(columns, &names, schema, &what)
}

fn finish(
    columns: BTreeMap<usize, (&Column, Cells)>,
    names: &[String],
    schema: &Schema,
    what: &str,
) -> Result<DataFrame> {
    let present: Vec<&str> = columns.keys().map(|&index| names[index].as_str()).collect();
    for column in schema.columns.iter().filter(|column| !column.family) {
        if !present.contains(&column.name) {
            let all: Vec<&str> = names.iter().map(String::as_str).collect();
            bail!("{}", missing_column(what, column, schema, &all));
        }
    }
    let columns = columns
        .into_iter()
        .map(|(index, (_, cells))| column_of(&names[index], cells))
        .collect();
    let frame = DataFrame::new_infer_height(columns)?;
    check(&frame, schema, what)?;
    Ok(frame)
}

fn push(cells: &mut Cells, field: &str) -> Result<(), ()> {
    fn parsed<T: std::str::FromStr>(field: &str) -> Result<Option<T>, ()> {
        match field {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| ()),
        }
    }
    match cells {
        Cells::Int(values) => values.push(parsed(field)?),
        Cells::Float(values) => {
            let value: Option<f64> = parsed(field)?;
            if value.is_some_and(|x| !x.is_finite()) {
                return Err(());
            }
            values.push(value);
        }
        Cells::Text(values) => values.push((!field.is_empty()).then(|| field.to_owned())),
        Cells::Bool(values) => values.push(parsed(field)?),
    }
    Ok(())
}

/// A frame as CSV with a header line: floats in shortest round-trip form,
/// missing values empty.
pub fn to_csv(frame: &DataFrame) -> Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(frame.columns().iter().map(|column| column.name().as_str()))?;
    for row in to_json(frame)? {
        let fields = frame.columns().iter().map(|column| {
            match row.get(column.name().as_str()).unwrap_or(&Value::Null) {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            }
        });
        writer.write_record(fields.collect::<Vec<String>>())?;
    }
    String::from_utf8(writer.into_inner()?).context("a table is UTF-8")
}

/// The rows of a frame as JSON objects; missing values are null.
pub fn to_json(frame: &DataFrame) -> Result<Vec<Map<String, Value>>> {
    decode_rows(frame)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::{schema::REWARDS, table::encode};

    const HEADER: &str = "learning_rate,step,rl_seed,updates,r_before,r_after,gain,host\n";

    fn imported(text: &str) -> Result<DataFrame> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        read_csv(file.path(), &REWARDS).map_err(|error| {
            let place = file.path().display().to_string();
            anyhow::anyhow!(error.to_string().replace(&place, "rewards.csv"))
        })
    }

    #[test]
    fn columns_go_by_name_and_others_are_left_out() {
        let text = format!("{HEADER}1e-4, 25,0,10,0.5,0.75,0.25,n1\n1e-4,25,1,10,0.5,1,0.5,n2\n");
        let mut frame = imported(&text).unwrap();
        encode(&mut frame, &REWARDS).unwrap();
        assert_eq!(
            to_csv(&frame).unwrap(),
            "step,learning_rate,rl_seed,updates,r_before,r_after,gain\n\
             25,0.0001,0,10,0.5,0.75,0.25\n25,0.0001,1,10,0.5,1.0,0.5\n"
        );
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let message = |text: &str| imported(text).unwrap_err().to_string();
        assert_eq!(
            message("step,learning_rate,rl_seed,updates,r_before,r_after\n"),
            "table rewards.csv misses column `gain` of schema `rewards` \
             (it has: step, learning_rate, rl_seed, updates, r_before, r_after)"
        );
        assert_eq!(
            message(&format!(
                "{HEADER}1e-4,25,0,10,0.5,0.75,0.25,n\n1e-4,25.5,0,10,0.5,1,0.5,n\n"
            )),
            "table rewards.csv, line 3: column `step` holds `25.5` where integer was expected"
        );
        assert_eq!(
            message(&format!("{HEADER}1e-4,25,0,10,0.5,inf,0.25,n\n")),
            "table rewards.csv, line 2: column `r_after` holds `inf` where number was expected"
        );
        assert_eq!(
            message(&format!("{HEADER}1e-4,25,0,10,,0.75,0.25,n\n")),
            "table rewards.csv: column `r_before` misses 1 of 1 values"
        );
        assert_eq!(
            message("step,step\n"),
            "table rewards.csv has two columns `step`"
        );
    }
}
