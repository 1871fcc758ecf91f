//! Two tables beside each other: the largest difference of each number column.
use std::{fs, io::Cursor, path::Path};

use anyhow::{Context as _, Result};
use polars::prelude::{Column as Values, DataFrame, DataType, ParquetReader, SerReader};

/// What differs between two tables.
#[derive(Debug, Clone, PartialEq)]
pub struct TableDifference {
    /// Rows of either; other than equal, rows are not compared.
    pub rows: [usize; 2],
    /// Numeric columns of both that differ, in the order of the first.
    pub columns: Vec<ColumnDifference>,
}

/// The largest absolute difference within a column, and its place.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnDifference {
    pub column: String,
    pub largest: f64,
    pub row: usize,
    /// The same row by the columns that name it, `step=100, vocab=full`, else
    /// `row 2`; empty in a table of one row.
    pub at: String,
    pub values: [f64; 2],
    /// Rows in which one of the two has no value.
    pub missing: usize,
}

/// Compares two parquet files row by row.
///
/// # Errors
/// A file that cannot be read as a table.
pub fn compare(a: &Path, b: &Path) -> Result<TableDifference> {
    let (first, second) = (open(a)?, open(b)?);
    let rows = [first.height(), second.height()];
    let mut columns: Vec<ColumnDifference> = Vec::new();
    if rows[0] == rows[1] {
        for column in first.columns() {
            let other = second.column(column.name().as_str());
            if let (true, Some(other)) = (is_number(column), other.ok().filter(|c| is_number(c))) {
                columns.extend(difference(column, other)?);
            }
        }
    }
    if !columns.is_empty() {
        let names = RowNames::of(&first, &second)?;
        for column in &mut columns {
            column.at = names.name(column.row);
        }
    }
    Ok(TableDifference { rows, columns })
}

/// What rows are told apart by: columns that are no measured numbers and are
/// the same in both tables.
struct RowNames {
    rows: usize,
    columns: Vec<(String, Vec<Option<String>>)>,
}

impl RowNames {
    fn of(first: &DataFrame, second: &DataFrame) -> Result<RowNames> {
        let mut columns = Vec::new();
        for column in first.columns() {
            let name = column.name().as_str();
            let same = second
                .column(name)
                .is_ok_and(|other| other.equals_missing(column));
            if same && !column.dtype().is_float() {
                let text = column.cast(&DataType::String)?;
                let values = text.str()?.iter().map(|value| value.map(str::to_owned));
                columns.push((name.to_owned(), values.collect()));
            }
        }
        Ok(RowNames {
            rows: first.height(),
            columns,
        })
    }

    /// The first columns that together no other row has alike.
    fn name(&self, row: usize) -> String {
        let mut alike: Vec<usize> = (0..self.rows).collect();
        let mut name = Vec::new();
        for (column, values) in &self.columns {
            if alike.len() <= 1 {
                break;
            }
            let before = alike.len();
            alike.retain(|other| values[*other] == values[row]);
            if alike.len() < before {
                let value = values[row].as_deref().unwrap_or("none");
                name.push(format!("{column}={value}"));
            }
        }
        if alike.len() > 1 {
            return format!("row {row}");
        }
        name.join(", ")
    }
}

fn open(path: &Path) -> Result<DataFrame> {
    let bytes = fs::read(path).with_context(|| format!("read table {}", path.display()))?;
    ParquetReader::new(Cursor::new(bytes))
        .finish()
        .with_context(|| format!("read table {}", path.display()))
}

fn is_number(column: &Values) -> bool {
    column.dtype().is_primitive_numeric()
}

/// None where all values are equal.
fn difference(a: &Values, b: &Values) -> Result<Option<ColumnDifference>> {
    let (x, y) = (a.cast(&DataType::Float64)?, b.cast(&DataType::Float64)?);
    let mut found = ColumnDifference {
        column: a.name().to_string(),
        largest: 0.0,
        row: 0,
        at: String::new(),
        values: [0.0; 2],
        missing: 0,
    };
    for (row, pair) in x.f64()?.iter().zip(y.f64()?.iter()).enumerate() {
        match pair {
            (Some(x), Some(y)) if (x - y).abs() > found.largest => {
                found.largest = (x - y).abs();
                (found.row, found.values) = (row, [x, y]);
            }
            (Some(_), None) | (None, Some(_)) => found.missing += 1,
            _ => {}
        }
    }
    Ok((found.largest > 0.0 || found.missing > 0).then_some(found))
}

#[cfg(test)]
mod tests {
    use polars::prelude::{NamedFrom, ParquetWriter, Series};

    use super::*;

    #[test]
    fn the_largest_difference_of_each_number_column_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, columns: Vec<Values>| {
            let mut frame = DataFrame::new(columns[0].len(), columns).unwrap();
            let mut bytes = Vec::new();
            ParquetWriter::new(&mut bytes).finish(&mut frame).unwrap();
            let path = folder.path().join(name);
            fs::write(&path, bytes).unwrap();
            path
        };
        let text = |x: &str| Values::new("t".into(), vec![x, x, x]);
        let same = || Values::new("same".into(), vec![1i64, 2, 3]);
        let holes = |x: Vec<Option<f64>>| Values::from(Series::new("holes".into(), x));
        let a = write(
            "a",
            vec![
                Values::new("x".into(), vec![1.0, 2.0, 3.0]),
                text("u"),
                same(),
                holes(vec![Some(1.0), None, None]),
            ],
        );
        let b = write(
            "b",
            vec![
                same(),
                Values::new("x".into(), vec![1.5, 2.0, 1.0]),
                text("v"),
                holes(vec![None, Some(1.0), None]),
            ],
        );
        let found = compare(&a, &b).unwrap();
        let column = |column: &str, largest, row, values, missing| ColumnDifference {
            column: column.to_owned(),
            largest,
            row,
            at: format!("same={}", row + 1),
            values,
            missing,
        };
        assert_eq!(
            found.columns,
            [
                column("x", 2.0, 2, [3.0, 1.0], 0),
                column("holes", 0.0, 0, [0.0, 0.0], 2),
            ]
        );
        let short = write("c", vec![Values::new("x".into(), vec![1.0])]);
        let found = compare(&a, &short).unwrap();
        assert_eq!((found.rows, found.columns.len()), ([3, 1], 0));
    }
}
