//! Frames in and out of parquet, checked against a nominal schema.
//!
//! The bytes of a table are a function of its rows alone: columns in the order
//! of the schema, one chunk, pinned compression, statistics and row groups,
//! nothing volatile. A changed encoding changes every digest downstream.
use std::{fs, io::Cursor, path::Path};

use anyhow::{Context as _, Result, bail};
use polars::prelude::{
    Column as Values, DataFrame, ParquetCompression, ParquetReader, ParquetWriter, SerReader,
    StatisticsOptions,
};

use crate::artifact::{
    Artifact, Coords, Scalar,
    schema::Schema,
    table::conform::{check, conform, in_order},
};

/// Rows of one row group: every table of a usual run fits in one.
const ROW_GROUP: usize = 1 << 18;
/// Bytes of a data page before compression.
const DATA_PAGE: usize = 1 << 20;

/// The parquet bytes of a frame. Its columns are put in the schema's order.
///
/// # Errors
/// A column that the schema lacks, misses or types otherwise; a missing value
/// where the schema allows none; a float that is not finite.
pub fn encode(frame: &mut DataFrame, schema: &Schema) -> Result<Vec<u8>> {
    let what = format!("table of schema `{}`", schema.name);
    check(frame, schema, &what)?;
    for column in frame.columns() {
        if let Ok(floats) = column.f64() {
            let bad = floats
                .iter()
                .position(|x| x.is_some_and(|x| !x.is_finite()));
            if let Some(row) = bad {
                bail!(
                    "{what}: column `{}` is not finite in row {row}",
                    column.name()
                );
            }
        }
    }
    let mut ordered = in_order(frame, schema)?;
    ordered.rechunk_mut();
    *frame = ordered;
    written(frame).with_context(|| format!("encode {what}"))
}

/// A frame as parquet, with everything pinned that could vary.
pub(super) fn written(frame: &mut DataFrame) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    ParquetWriter::new(&mut bytes)
        // No level is zstd's own default, 3.
        .with_compression(ParquetCompression::Zstd(None))
        .with_statistics(StatisticsOptions {
            min_value: true,
            max_value: true,
            distinct_count: false,
            null_count: true,
            binary_statistics_truncate_length: None,
        })
        .set_parallel(false)
        .with_row_group_size(Some(ROW_GROUP))
        .with_data_page_size(Some(DATA_PAGE))
        .finish(frame)?;
    Ok(bytes)
}

/// A parquet file as a frame of the schema: its columns, in its order; integers
/// are taken where floats are wanted, further columns are left out.
pub fn read(path: &Path, schema: &Schema) -> Result<DataFrame> {
    let bytes = fs::read(path).with_context(|| format!("read table {}", path.display()))?;
    let frame = ParquetReader::new(Cursor::new(bytes))
        .finish()
        .with_context(|| format!("read table {}", path.display()))?;
    conform(&frame, schema, &format!("table {}", path.display()))
}

/// The table of an artifact.
pub fn read_artifact(artifact: &Artifact, schema: &Schema) -> Result<DataFrame> {
    read(artifact.file()?, schema)
}

/// The tables of a gathered port below each other, in its order.
pub fn gather(artifacts: &[Artifact], schema: &Schema) -> Result<DataFrame> {
    let frames = artifacts
        .iter()
        .map(|artifact| read_artifact(artifact, schema))
        .collect::<Result<Vec<DataFrame>>>()?;
    stack(frames, schema)
}

/// The same with the coordinates as columns in front. A coordinate that the
/// schema has a column for is left out: the table says it itself.
pub fn gather_with_coords(artifacts: &[Artifact], schema: &Schema) -> Result<DataFrame> {
    let mut frames = Vec::with_capacity(artifacts.len());
    for artifact in artifacts {
        let frame = read_artifact(artifact, schema)?;
        let mut columns = coordinate_columns(&artifact.coords, schema, frame.height());
        columns.extend(frame.columns().iter().cloned());
        frames.push(DataFrame::new(frame.height(), columns)?);
    }
    stack(frames, schema)
}

fn coordinate_columns(coords: &Coords, schema: &Schema, height: usize) -> Vec<Values> {
    coords
        .iter()
        .filter(|(axis, _)| schema.place(axis).is_none())
        .map(|(axis, value)| coordinate_column(axis, value, height))
        .collect()
}

/// A coordinate in every row.
pub(super) fn coordinate_column(axis: &str, value: &Scalar, height: usize) -> Values {
    let name = axis.into();
    match value {
        Scalar::Bool(b) => Values::new(name, vec![*b; height]),
        Scalar::Int(i) => Values::new(name, vec![*i; height]),
        Scalar::Float(x) => Values::new(name, vec![*x; height]),
        Scalar::Text(s) => Values::new(name, vec![s.as_str(); height]),
    }
}

fn stack(frames: Vec<DataFrame>, schema: &Schema) -> Result<DataFrame> {
    let mut frames = frames.into_iter();
    let Some(mut all) = frames.next() else {
        bail!("no table of schema `{}` to gather", schema.name);
    };
    for frame in frames {
        all.vstack_mut(&frame)
            .with_context(|| format!("gather tables of schema `{}`", schema.name))?;
    }
    all.rechunk_mut();
    Ok(all)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::{
        artifact::{
            Body,
            schema::HEADROOM,
            table::{f64s, i64s, required},
        },
        digest::Digest,
    };

    fn sample(rows: i64) -> DataFrame {
        let steps: Vec<i64> = (0..rows).collect();
        let values: Vec<f64> = steps.iter().map(|&i| (i as f64).sin()).collect();
        let kinds: Vec<&str> = steps
            .iter()
            .map(|i| ["per-prompt", "pooled"][(i % 2) as usize])
            .collect();
        let tokens: Vec<Option<i64>> = steps.iter().map(|&i| (i % 3 > 0).then_some(i)).collect();
        let height = steps.len();
        // Not in the schema's order, which is the encoder's to mend.
        let columns = vec![
            Values::new("value".into(), values),
            Values::new("step".into(), steps),
            Values::new("tokens".into(), tokens),
            Values::new("vocab".into(), vec!["full"; height]),
            Values::new("kind".into(), kinds),
            Values::new("alpha".into(), vec![1.0; height]),
        ];
        DataFrame::new(height, columns).unwrap()
    }

    fn written(folder: &Path, name: &str, frame: &mut DataFrame) -> PathBuf {
        let path = folder.join(name);
        let mut bytes = Vec::new();
        ParquetWriter::new(&mut bytes).finish(frame).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    #[test]
    fn bytes_depend_on_rows_alone() {
        let once = encode(&mut sample(5000), &HEADROOM).unwrap();
        assert_eq!(once, encode(&mut sample(5000), &HEADROOM).unwrap());
        // The same rows in two chunks and another column order.
        let whole = sample(5000);
        let mut chunked = whole.slice(0, 1234);
        chunked.vstack_mut(&whole.slice(1234, 5000)).unwrap();
        let mut reversed =
            DataFrame::new(5000, chunked.into_columns().into_iter().rev().collect()).unwrap();
        assert_eq!(once, encode(&mut reversed, &HEADROOM).unwrap());
        let single = rayon::ThreadPoolBuilder::new()
            .num_threads(1)
            .build()
            .unwrap();
        assert_eq!(
            once,
            single.install(|| encode(&mut sample(5000), &HEADROOM).unwrap())
        );
    }

    #[test]
    fn encoded_bytes_stay_what_they_are() {
        // A change here changes the digest of every table: raise the format version.
        let digest = Digest::of(&encode(&mut sample(100), &HEADROOM).unwrap());
        assert_eq!(digest.short(), "32b5526a74b4");
    }

    #[test]
    fn a_frame_comes_back_and_integers_do_for_floats() {
        let folder = tempfile::tempdir().unwrap();
        let mut frame = sample(10);
        let path = folder.path().join("t.parquet");
        fs::write(&path, encode(&mut frame, &HEADROOM).unwrap()).unwrap();
        assert!(read(&path, &HEADROOM).unwrap().equals_missing(&frame));

        let mut loose = sample(2);
        loose
            .with_column(Values::new("alpha".into(), vec![1i32, 2]))
            .unwrap();
        loose
            .with_column(Values::new("step".into(), vec![3i32, 4]))
            .unwrap();
        loose
            .with_column(Values::new("extra".into(), vec!["a", "b"]))
            .unwrap();
        let path = written(folder.path(), "loose.parquet", &mut loose);
        let back = read(&path, &HEADROOM).unwrap();
        assert_eq!(
            required("alpha", f64s(&back, "alpha").unwrap()).unwrap(),
            [1.0, 2.0]
        );
        assert_eq!(
            required("step", i64s(&back, "step").unwrap()).unwrap(),
            [3, 4]
        );
        assert_eq!(back.width(), HEADROOM.columns.len());
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let message = |name: &str, frame: &mut DataFrame| {
            let path = written(folder.path(), name, frame);
            let error = format!("{:#}", read(&path, &HEADROOM).unwrap_err());
            error.replace(&path.display().to_string(), name)
        };
        assert_eq!(
            message("a", &mut sample(2).drop("value").unwrap()),
            "table a misses column `value` of schema `headroom` (it has: step, tokens, vocab, kind, alpha)"
        );
        let mut text = sample(2);
        text.with_column(Values::new("value".into(), vec!["x", "y"]))
            .unwrap();
        assert_eq!(
            message("b", &mut text),
            "table b: column `value` of schema `headroom` holds str where number was expected"
        );
        let mut fraction = sample(2);
        fraction
            .with_column(Values::new("step".into(), vec![1.5, 2.0]))
            .unwrap();
        assert_eq!(
            message("c", &mut fraction),
            "table c: column `step` of schema `headroom` holds f64 where integer was expected"
        );
        let mut holes = sample(2);
        holes
            .with_column(Values::new("value".into(), vec![Some(1.0), None]))
            .unwrap();
        assert_eq!(
            message("d", &mut holes),
            "table d: column `value` misses 1 of 2 values"
        );
        let path = folder.path().join("e");
        fs::write(&path, "not parquet").unwrap();
        assert!(read(&path, &HEADROOM).is_err());
    }

    #[test]
    fn an_encoder_takes_the_schema_to_the_letter() {
        let message = |frame: &mut DataFrame| encode(frame, &HEADROOM).unwrap_err().to_string();
        let mut extra = sample(2);
        extra
            .with_column(Values::new("extra".into(), vec![1, 2]))
            .unwrap();
        assert_eq!(
            message(&mut extra),
            "table of schema `headroom` has a column `extra` that its schema lacks"
        );
        let mut infinite = sample(2);
        infinite
            .with_column(Values::new("value".into(), vec![1.0, f64::INFINITY]))
            .unwrap();
        assert_eq!(
            message(&mut infinite),
            "table of schema `headroom`: column `value` is not finite in row 1"
        );
    }

    #[test]
    fn gathered_coordinates_become_columns_unless_the_table_has_them() {
        let folder = tempfile::tempdir().unwrap();
        let artifacts: Vec<Artifact> = [("a", 1e-4), ("b", 3e-4)]
            .map(|(name, lr)| Artifact {
                coords: [
                    ("lr".to_owned(), Scalar::Float(lr)),
                    ("step".to_owned(), Scalar::Int(99)),
                ]
                .into(),
                digest: Digest::of(name.as_bytes()),
                body: Body::File(written(folder.path(), name, &mut sample(2))),
            })
            .into();
        let plain = gather(&artifacts, &HEADROOM).unwrap();
        assert_eq!((plain.height(), plain.width()), (4, HEADROOM.columns.len()));
        let told = gather_with_coords(&artifacts, &HEADROOM).unwrap();
        assert_eq!(
            required("lr", f64s(&told, "lr").unwrap()).unwrap(),
            [1e-4, 1e-4, 3e-4, 3e-4]
        );
        assert_eq!(
            required("step", i64s(&told, "step").unwrap()).unwrap(),
            [0, 1, 0, 1]
        );
        assert!(gather(&[], &HEADROOM).is_err());
    }
}
