//! Tables: eager polars frames of a nominal schema, as parquet and CSV, and as
//! plain Rust rows. Holds no meaning of any column.
mod axes;
mod columns;
mod compare;
mod conform;
mod csv;
mod parquet;
mod people;
mod rows;

pub use axes::with_axes;
pub use columns::{bools, f64s, i64s, required, texts};
pub use compare::{ColumnDifference, TableDifference, compare};
pub use conform::check;
pub use csv::{read_csv, to_csv, to_json};
pub use parquet::{encode, gather, gather_with_coords, read, read_artifact};
pub use people::{TableForm, TablePrinter, without_axis_columns};
pub use rows::{decode_rows, encode_rows, frame_of, gather_rows, read_rows};
