//! How far two results of one type lie apart, as a number with its place: for
//! people who ask whether a stage that is not bitwise is at least close.
use std::{collections::BTreeMap, fmt, fs, path::PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use half::{bf16, f16};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use crate::artifact::{
    delivered::{Artifact, Body},
    kind::ArtifactType,
    schema, table,
};

/// The largest absolute difference and where it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Distance {
    pub value: f64,
    /// `column gain, row 3`; `tensor lm_head.weight`.
    pub place: String,
}

impl fmt::Display for Distance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "largest difference {:e} in {}", self.value, self.place)
    }
}

/// The distance of two tables, or of two folders with safetensors files; none
/// for other types, and where they differ in no number.
///
/// # Errors
/// Files that cannot be read, or that have no numbers in common places: other
/// rows, other tensors. The text says which.
pub fn distance(of: ArtifactType, a: &Artifact, b: &Artifact) -> Result<Option<Distance>> {
    match (of, &a.body, &b.body) {
        (ArtifactType::Table(name), Body::File(_), Body::File(_)) => tables(name, a, b),
        (_, Body::Tree(a), Body::Tree(b)) => weights(a, b),
        _ => Ok(None),
    }
}

/// Keeps the larger difference; an incomparable pair (NaN on one side) counts
/// as infinite.
fn farther(worst: &mut Option<Distance>, a: f64, b: f64, place: impl FnOnce() -> String) {
    if a.to_bits() == b.to_bits() {
        return;
    }
    let value = if (a - b).is_nan() {
        f64::INFINITY
    } else {
        (a - b).abs()
    };
    if value > worst.as_ref().map_or(0.0, |worst| worst.value) {
        let place = place();
        *worst = Some(Distance { value, place });
    }
}

fn tables(name: &str, a: &Artifact, b: &Artifact) -> Result<Option<Distance>> {
    let schema = schema::named(name).with_context(|| format!("no table is named `{name}`"))?;
    let (a, b) = (
        table::read_artifact(a, schema)?,
        table::read_artifact(b, schema)?,
    );
    let (rows, other) = (a.height(), b.height());
    ensure!(rows == other, "{rows} rows and {other} rows");
    let mut worst = None;
    for column in a.get_column_names() {
        let column = column.as_str();
        let (Ok(left), Ok(right)) = (table::f64s(&a, column), table::f64s(&b, column)) else {
            continue;
        };
        for (row, pair) in left.into_iter().zip(right).enumerate() {
            let place = || format!("column {column}, row {}", row + 1);
            match pair {
                (Some(left), Some(right)) => farther(&mut worst, left, right, place),
                (None, None) => {}
                _ => farther(&mut worst, f64::NAN, 0.0, place),
            }
        }
    }
    Ok(worst)
}

type Files = BTreeMap<String, PathBuf>;

fn weights(a: &Files, b: &Files) -> Result<Option<Distance>> {
    let mut worst = None;
    for (name, path) in a.iter().filter(|(name, _)| name.ends_with(".safetensors")) {
        let other = b
            .get(name)
            .with_context(|| format!("only one has {name}"))?;
        let read = |path| fs::read(path).with_context(|| format!("read {name}"));
        let (left, right) = (read(path)?, read(other)?);
        let left = SafeTensors::deserialize(&left).with_context(|| format!("read {name}"))?;
        let right = SafeTensors::deserialize(&right).with_context(|| format!("read {name}"))?;
        for (tensor, view) in left.tensors() {
            let other = right
                .tensor(&tensor)
                .with_context(|| format!("only one has tensor {tensor}"))?;
            let (left, right) = (values(&view)?, values(&other)?);
            ensure!(left.len() == right.len(), "tensor {tensor} has other sizes");
            for (left, right) in left.into_iter().zip(right) {
                farther(&mut worst, left, right, || format!("tensor {tensor}"));
            }
        }
    }
    Ok(worst)
}

fn values(view: &TensorView<'_>) -> Result<Vec<f64>> {
    let bytes = view.data();
    let pairs = || bytes.as_chunks::<2>().0.iter();
    Ok(match view.dtype() {
        Dtype::F64 => (bytes.as_chunks::<8>().0.iter())
            .map(|bytes| f64::from_le_bytes(*bytes))
            .collect(),
        Dtype::F32 => (bytes.as_chunks::<4>().0.iter())
            .map(|bytes| f64::from(f32::from_le_bytes(*bytes)))
            .collect(),
        Dtype::F16 => pairs()
            .map(|bytes| f16::from_le_bytes(*bytes).to_f64())
            .collect(),
        Dtype::BF16 => pairs()
            .map(|bytes| bf16::from_le_bytes(*bytes).to_f64())
            .collect(),
        other => bail!("tensors of type {other:?} are not compared"),
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use safetensors::serialize_to_file;
    use serde::Serialize;

    use super::*;
    use crate::{
        artifact::{Coords, schema::REWARDS, table::encode_rows},
        digest::Digest,
    };

    fn artifact(body: Body) -> Artifact {
        Artifact {
            coords: Coords::new(),
            digest: Digest::of(b""),
            body,
        }
    }

    #[derive(Serialize)]
    struct Row {
        step: i64,
        learning_rate: f64,
        rl_seed: i64,
        updates: i64,
        r_before: f64,
        r_after: f64,
        gain: f64,
    }

    fn table(folder: &Path, name: &str, gains: &[f64]) -> Artifact {
        let row = |gain: &f64| Row {
            step: 1,
            learning_rate: 1e-4,
            rl_seed: 0,
            updates: 10,
            r_before: 0.0,
            r_after: 0.0,
            gain: *gain,
        };
        let rows: Vec<Row> = gains.iter().map(row).collect();
        let path = folder.join(name);
        fs::write(&path, encode_rows(&rows, &REWARDS).unwrap()).unwrap();
        artifact(Body::File(path))
    }

    #[test]
    fn tables_differ_by_their_largest_number() {
        let folder = tempfile::tempdir().unwrap();
        let of = ArtifactType::Table(REWARDS.name);
        let a = table(folder.path(), "a", &[1.0, 2.0, 3.0]);
        let b = table(folder.path(), "b", &[1.0, 2.5, 3.25]);
        let found = distance(of, &a, &b).unwrap().unwrap();
        assert_eq!(
            found.to_string(),
            "largest difference 5e-1 in column gain, row 2"
        );
        assert_eq!(distance(of, &a, &a).unwrap(), None);
        let short = table(folder.path(), "short", &[1.0]);
        let error = distance(of, &a, &short).unwrap_err();
        assert_eq!(error.to_string(), "3 rows and 1 rows");
        assert_eq!(distance(ArtifactType::Files, &a, &b).unwrap(), None);
    }

    #[test]
    fn weights_differ_by_tensor() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, values: [f32; 2]| {
            let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
            let view = TensorView::new(Dtype::F32, vec![2], &bytes).unwrap();
            let path = folder.path().join(name);
            serialize_to_file([("w", view)], None, &path).unwrap();
            artifact(Body::Tree(BTreeMap::from([(
                "m.safetensors".to_owned(),
                path,
            )])))
        };
        let (a, b) = (write("a", [1.0, 2.0]), write("b", [1.0, 2.25]));
        let found = distance(ArtifactType::Checkpoint, &a, &b).unwrap().unwrap();
        assert_eq!((found.value, found.place.as_str()), (0.25, "tensor w"));
        let empty = artifact(Body::Tree(BTreeMap::new()));
        assert!(distance(ArtifactType::Checkpoint, &a, &empty).is_err());
    }
}
