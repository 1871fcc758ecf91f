//! Tables for people: copies whose folder names the axes, and whole tables in
//! the terminal, as CSV or as JSON.
use std::{fs, io::Cursor, path::Path};

use anyhow::{Context as _, Result};
use comfy_table::{CellAlignment, Table, TableComponent, presets::UTF8_HORIZONTAL_ONLY};
use polars::prelude::{Column as Values, DataFrame, ParquetReader, ParquetWriter, SerReader};
use serde_json::{Map, Value};

use crate::artifact::{
    Coords, Scalar,
    table::{
        axes::repeats,
        csv::{to_csv, to_json},
        parquet::coordinate_column,
    },
};

/// The file without columns that repeat a coordinate, since a reader that makes
/// columns of folder names would find two. A column of the same name with
/// other values is kept as `NAME_in_table`.
pub fn without_axis_columns(bytes: Vec<u8>, coords: &Coords) -> Result<Vec<u8>> {
    let mut frame = open(bytes.clone())?;
    let clashing: Vec<(&String, &Scalar)> = coords
        .iter()
        .filter(|(axis, _)| frame.column(axis).is_ok())
        .collect();
    if clashing.is_empty() {
        return Ok(bytes);
    }
    for (axis, value) in clashing {
        if repeats(&frame, axis, Some(value)) {
            frame = frame.drop(axis)?;
        } else {
            frame.rename(axis, format!("{axis}_in_table").as_str().into())?;
        }
    }
    let mut bytes = Vec::new();
    ParquetWriter::new(&mut bytes)
        .set_parallel(false)
        .finish(&mut frame)?;
    Ok(bytes)
}

fn open(bytes: Vec<u8>) -> Result<DataFrame> {
    Ok(ParquetReader::new(Cursor::new(bytes)).finish()?)
}

/// How a table is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableForm {
    Terminal,
    Csv,
    Json,
}

/// Collects tables and prints those of one name below each other, with their
/// coordinates as columns.
pub struct TablePrinter {
    form: TableForm,
    /// Name of the output, title, frame.
    tables: Vec<(String, String, DataFrame)>,
    notes: Vec<String>,
}

impl TablePrinter {
    pub fn new(form: TableForm) -> TablePrinter {
        TablePrinter {
            form,
            tables: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Adds the parquet file at `path`.
    pub fn add(&mut self, title: &str, name: &str, path: &Path, coords: &Coords) -> Result<()> {
        let bytes = fs::read(path).with_context(|| format!("read {}", path.display()))?;
        let frame = open(bytes).with_context(|| format!("read table `{title}`"))?;
        let own = coords
            .iter()
            .filter(|(axis, _)| frame.column(axis).is_err());
        let mut columns: Vec<Values> = own
            .map(|(axis, value)| coordinate_column(axis, value, frame.height()))
            .collect();
        columns.extend(frame.columns().iter().cloned());
        let frame = DataFrame::new(frame.height(), columns)?;
        match self.tables.iter_mut().find(|(known, _, _)| known == name) {
            Some((_, heading, all)) => {
                name.clone_into(heading);
                all.vstack_mut(&frame)
                    .with_context(|| format!("add `{title}` to the others"))?;
            }
            None => self.tables.push((name.to_owned(), title.to_owned(), frame)),
        }
        Ok(())
    }

    /// Adds something that is no table.
    pub fn note(&mut self, title: &str, text: &str) {
        self.notes.push(format!("{title}\n{text}\n"));
    }

    pub fn finish(self) -> Result<String> {
        let mut out = String::new();
        let several = self.tables.len() > 1;
        match self.form {
            TableForm::Json => {
                let tables: Vec<(String, Vec<Map<String, Value>>)> = self
                    .tables
                    .iter()
                    .map(|(name, _, frame)| Ok((name.clone(), to_json(frame)?)))
                    .collect::<Result<_>>()?;
                let value = if several {
                    Value::Object(
                        tables
                            .into_iter()
                            .map(|(name, rows)| (name, Value::from(rows)))
                            .collect(),
                    )
                } else {
                    tables
                        .into_iter()
                        .map(|(_, rows)| Value::from(rows))
                        .next()
                        .unwrap_or(Value::Array(Vec::new()))
                };
                out = serde_json::to_string(&value)? + "\n";
            }
            TableForm::Csv => {
                for (name, _, frame) in &self.tables {
                    if several {
                        out.push_str(&format!("# {name}\n"));
                    }
                    out.push_str(&to_csv(frame)?);
                }
            }
            TableForm::Terminal => {
                for (_, title, frame) in &self.tables {
                    out.push_str(&format!("{title}\n{}\n", drawn(frame)?));
                }
                out.push_str(&self.notes.concat());
            }
        }
        Ok(out)
    }
}

/// Six significant digits are enough to look at; `--csv` has them all.
fn drawn(frame: &DataFrame) -> Result<String> {
    let names: Vec<&str> = frame
        .columns()
        .iter()
        .map(|column| column.name().as_str())
        .collect();
    let mut table = Table::new();
    table.load_preset(UTF8_HORIZONTAL_ONLY).set_header(&names);
    for between_rows in [
        TableComponent::HorizontalLines,
        TableComponent::MiddleIntersections,
        TableComponent::LeftBorderIntersections,
        TableComponent::RightBorderIntersections,
    ] {
        table.remove_style(between_rows);
    }
    for row in to_json(frame)? {
        table.add_row(
            names
                .iter()
                .map(|name| cell(row.get(*name).unwrap_or(&Value::Null))),
        );
    }
    for (column, values) in table.column_iter_mut().zip(frame.columns()) {
        if values.dtype().is_primitive_numeric() {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    Ok(table.to_string())
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            Some(x) => significant(x),
            None => number.to_string(),
        },
        other => other.to_string(),
    }
}

fn significant(x: f64) -> String {
    if x == 0.0 {
        return "0".to_owned();
    }
    let magnitude = x.abs().log10().floor();
    if !(-4.0..6.0).contains(&magnitude) {
        return format!("{x:.3e}");
    }
    let text = format!("{x:.*}", (5.0 - magnitude).max(0.0) as usize);
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(frame: &mut DataFrame) -> Vec<u8> {
        let mut bytes = Vec::new();
        ParquetWriter::new(&mut bytes).finish(frame).unwrap();
        bytes
    }

    fn frame() -> DataFrame {
        let columns = vec![
            Values::new("step".into(), vec![25i64, 25]),
            Values::new("x".into(), vec![0.5, 1.0 / 3.0]),
        ];
        DataFrame::new(2, columns).unwrap()
    }

    #[test]
    fn a_column_that_repeats_its_axis_goes_and_another_is_renamed() {
        let names = |coords: Coords| {
            let frame = open(without_axis_columns(file(&mut frame()), &coords).unwrap()).unwrap();
            frame
                .columns()
                .iter()
                .map(|c| c.name().to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            names(Coords::from([("step".into(), Scalar::Int(25))])),
            ["x"]
        );
        assert_eq!(
            names(Coords::from([("step".into(), Scalar::Int(50))])),
            ["step_in_table", "x"]
        );
        assert_eq!(
            names(Coords::from([("lr".into(), Scalar::Float(1e-4))])),
            ["step", "x"]
        );
    }

    #[test]
    fn tables_of_one_name_stand_below_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t");
        fs::write(&path, file(&mut frame())).unwrap();
        let mut printer = TablePrinter::new(TableForm::Csv);
        for lr in [1e-4, 3e-4] {
            printer
                .add(
                    "t",
                    "t",
                    &path,
                    &Coords::from([("lr".into(), Scalar::Float(lr))]),
                )
                .unwrap();
        }
        let third = 1.0 / 3.0;
        assert_eq!(
            printer.finish().unwrap(),
            format!(
                "lr,step,x\n0.0001,25,0.5\n0.0001,25,{third}\n0.0003,25,0.5\n0.0003,25,{third}\n"
            )
        );
    }

    #[test]
    fn numbers_are_cut_to_six_digits_in_the_terminal() {
        assert_eq!(
            [1.0 / 3.0, 0.0, 1e-9, 123_456.7, 2.5].map(significant),
            ["0.333333", "0", "1.000e-9", "123457", "2.5"]
        );
    }
}
