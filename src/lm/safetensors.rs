//! The safetensors format: a header that is checked before it is believed, and
//! tensors read one by one (no mapping, nothing larger than the file is allocated).
use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufWriter, Read, Seek, SeekFrom, Write},
    path::Path,
};

use anyhow::{Context as _, Result, bail, ensure};
use candle_core::{DType, Device, Tensor};
use half::{bf16, f16};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{digest::canonical, disk};

use super::Precision;

/// The format's own limit on the header, in bytes.
const MAX_HEADER: u64 = 100_000_000;
/// The header's length stands in this many bytes at the start.
const PREFIX: u64 = 8;

/// Sizes in bytes of the dtypes that may stand in a file.
const DTYPES: &[(&str, u64)] = &[
    ("BOOL", 1),
    ("U8", 1),
    ("I8", 1),
    ("F8_E5M2", 1),
    ("F8_E4M3", 1),
    ("I16", 2),
    ("U16", 2),
    ("F16", 2),
    ("BF16", 2),
    ("I32", 4),
    ("U32", 4),
    ("F32", 4),
    ("F64", 8),
    ("I64", 8),
    ("U64", 8),
];

#[derive(Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

/// An open file whose header holds together.
pub(super) struct Reader {
    file: File,
    /// How errors call the file.
    label: String,
    /// Where the tensors' bytes start.
    start: u64,
    tensors: BTreeMap<String, Entry>,
    metadata: BTreeMap<String, String>,
}

impl Reader {
    /// Reads and checks the header. `label` names the file in errors.
    pub(super) fn open(path: &Path, label: &str) -> Result<Reader> {
        let mut file = File::open(path).with_context(|| format!("open `{label}`"))?;
        let size = file.metadata().with_context(|| format!("read `{label}`"))?;
        let size = size.len();
        let header = read_header(&mut file, size).with_context(|| format!("`{label}`"))?;
        let start = PREFIX + header.len() as u64;
        let (tensors, metadata) = parse_header(&header).with_context(|| format!("`{label}`"))?;
        check_offsets(&tensors, size - start).with_context(|| format!("`{label}`"))?;
        Ok(Reader {
            file,
            label: label.to_owned(),
            start,
            tensors,
            metadata,
        })
    }

    /// The names of all tensors, ascending.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    pub(super) fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).map(String::as_str)
    }

    /// One tensor of an expected shape, widened (or, for F64, rounded) to f32.
    /// An error where any value is not finite.
    pub(super) fn read_f32(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let label = &self.label;
        let entry = self.tensors.get(name);
        let entry = entry.with_context(|| format!("`{label}`: tensor `{name}` is missing"))?;
        let same = entry.shape.len() == shape.len()
            && entry.shape.iter().zip(shape).all(|(&a, &b)| a == b as u64);
        ensure!(
            same,
            "`{label}`: tensor `{name}` has shape {:?}; the config asks for {shape:?}",
            entry.shape
        );
        let (begin, end) = entry.data_offsets;
        let mut bytes = vec![0; (end - begin) as usize];
        self.file
            .seek(SeekFrom::Start(self.start + begin))
            .and_then(|_| self.file.read_exact(&mut bytes))
            .with_context(|| format!("`{label}`: read tensor `{name}`"))?;
        let values = match entry.dtype.as_str() {
            "F32" => convert(&bytes, f32::from_le_bytes),
            "F64" => convert(&bytes, |bytes| f64::from_le_bytes(bytes) as f32),
            "F16" => convert(&bytes, |bytes| f16::from_le_bytes(bytes).to_f32()),
            "BF16" => convert(&bytes, |bytes| bf16::from_le_bytes(bytes).to_f32()),
            other => {
                bail!("`{label}`: tensor `{name}` has dtype {other}; readable: F32, F64, F16, BF16")
            }
        };
        let bad = values.iter().filter(|value| !value.is_finite()).count();
        ensure!(
            bad == 0,
            "`{label}`: tensor `{name}` holds {bad} of {} values that are not finite",
            values.len()
        );
        Ok(values)
    }
}

fn read_header(file: &mut File, size: u64) -> Result<Vec<u8>> {
    ensure!(size >= PREFIX, "{size} bytes are too few for a header");
    let mut prefix = [0; PREFIX as usize];
    file.read_exact(&mut prefix)?;
    let length = u64::from_le_bytes(prefix);
    ensure!(
        length <= MAX_HEADER,
        "the header claims {length} bytes; allowed: {MAX_HEADER}"
    );
    ensure!(
        length <= size - PREFIX,
        "the header claims {length} bytes; the file has {} after it starts",
        size - PREFIX
    );
    let mut header = vec![0; length as usize];
    file.read_exact(&mut header)?;
    Ok(header)
}

type Header = (BTreeMap<String, Entry>, BTreeMap<String, String>);

fn parse_header(header: &[u8]) -> Result<Header> {
    let values: BTreeMap<String, Value> =
        serde_json::from_slice(header).context("the header is not a JSON object")?;
    let (mut tensors, mut metadata) = (BTreeMap::new(), BTreeMap::new());
    for (name, value) in values {
        if name == "__metadata__" {
            metadata = serde_json::from_value(value).context("`__metadata__` in the header")?;
        } else {
            let entry = serde_json::from_value(value);
            let entry = entry.with_context(|| format!("tensor `{name}` in the header"))?;
            tensors.insert(name, entry);
        }
    }
    Ok((tensors, metadata))
}

/// Tensors must tile the data: sizes that fit their shapes, no overlap, no gap.
fn check_offsets(tensors: &BTreeMap<String, Entry>, available: u64) -> Result<()> {
    let mut sorted: Vec<(&String, &Entry)> = tensors.iter().collect();
    sorted.sort_by_key(|(_, entry)| entry.data_offsets);
    let mut reached = 0;
    for (name, entry) in sorted {
        let (begin, end) = entry.data_offsets;
        let known = DTYPES.iter().find(|(dtype, _)| *dtype == entry.dtype);
        let Some(&(_, width)) = known else {
            bail!("tensor `{name}` has the unknown dtype `{}`", entry.dtype);
        };
        let bytes = (entry.shape.iter()).try_fold(width, |n, &dim| n.checked_mul(dim));
        let bytes = bytes.with_context(|| {
            format!(
                "tensor `{name}` has shape {:?}, too large to count",
                entry.shape
            )
        })?;
        ensure!(
            begin <= end && end - begin == bytes,
            "tensor `{name}` of {} {:?} takes {bytes} bytes; its offsets are {begin} to {end}",
            entry.dtype,
            entry.shape
        );
        ensure!(
            begin >= reached,
            "tensor `{name}` at {begin} overlaps the one before it, which ends at {reached}"
        );
        ensure!(
            begin == reached,
            "bytes {reached} to {begin} belong to no tensor"
        );
        reached = end;
    }
    ensure!(
        reached <= available,
        "the file is truncated: its tensors end at {reached}, its data at {available}"
    );
    ensure!(
        reached == available,
        "{} bytes after the last tensor belong to none",
        available - reached
    );
    Ok(())
}

/// Little-endian values of N bytes each.
fn convert<const N: usize>(bytes: &[u8], value: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    let (chunks, _) = bytes.as_chunks::<N>();
    chunks.iter().map(|&chunk| value(chunk)).collect()
}

/// What a file will hold of one tensor.
pub(super) struct Slot {
    pub(super) precision: Precision,
    pub(super) shape: Vec<usize>,
}

/// Writes tensors as F32, sorted by name: the same values give the same bytes.
pub(super) fn write_f32(
    path: &Path,
    metadata: &BTreeMap<String, String>,
    tensors: &BTreeMap<String, Tensor>,
) -> Result<()> {
    let slot = |(name, tensor): (&String, &Tensor)| {
        let (precision, shape) = (Precision::F32, tensor.dims().to_vec());
        (name.clone(), Slot { precision, shape })
    };
    let slots = tensors.iter().map(slot).collect();
    write(path, metadata, &slots, |name| bytes_of(&tensors[name]))
}

/// Writes tensors sorted by name. `bytes` gives those of one, little-endian; no
/// two are in memory at once.
pub(super) fn write(
    path: &Path,
    metadata: &BTreeMap<String, String>,
    slots: &BTreeMap<String, Slot>,
    mut bytes: impl FnMut(&str) -> Result<Vec<u8>>,
) -> Result<()> {
    let mut offset = 0;
    let mut header = serde_json::Map::new();
    header.insert("__metadata__".to_owned(), json!(metadata));
    for (name, Slot { precision, shape }) in slots {
        let (dtype, width) = match precision {
            Precision::F32 => ("F32", 4),
            Precision::Bf16 => ("BF16", 2),
        };
        let end = offset + width * shape.iter().product::<usize>();
        let entry = json!({ "dtype": dtype, "shape": shape, "data_offsets": [offset, end] });
        header.insert(name.clone(), entry);
        offset = end;
    }
    let mut header = canonical(&Value::Object(header)).into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    let size = PREFIX + (header.len() + offset) as u64;
    let failed = |error| disk::fault("write", path, size, error);
    let mut file = BufWriter::new(File::create(path).map_err(failed)?);
    let mut put = |bytes: &[u8]| file.write_all(bytes).map_err(failed);
    put(&(header.len() as u64).to_le_bytes())?;
    put(&header)?;
    for name in slots.keys() {
        put(&bytes(name)?)?;
    }
    file.flush().map_err(failed)
}

/// The values as little-endian f32.
pub(super) fn bytes_of(tensor: &Tensor) -> Result<Vec<u8>> {
    let tensor = tensor.detach().to_device(&Device::Cpu)?;
    let values: Vec<f32> = tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?;
    let mut bytes = Vec::with_capacity(4 * values.len());
    for value in values {
        bytes.extend_from_slice(&value.to_le_bytes());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fault of a file with this header text and this many bytes of data.
    fn fault(header: &str, data: usize) -> String {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(header.as_bytes());
        bytes.resize(bytes.len() + data, 0);
        fault_of(&bytes)
    }

    fn fault_of(bytes: &[u8]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        std::fs::write(&path, bytes).unwrap();
        format!("{:#}", Reader::open(&path, "x").err().unwrap())
    }

    #[test]
    fn each_way_a_file_can_lie() {
        assert_eq!(fault_of(b"abc"), "`x`: 3 bytes are too few for a header");
        assert_eq!(
            fault_of(&[255; 16]),
            "`x`: the header claims 18446744073709551615 bytes; allowed: 100000000"
        );
        let mut long = 50u64.to_le_bytes().to_vec();
        long.extend_from_slice(b"{}");
        assert_eq!(
            fault_of(&long),
            "`x`: the header claims 50 bytes; the file has 2 after it starts"
        );
        assert!(fault("[1]", 0).starts_with("`x`: the header is not a JSON object: "));
        assert!(
            fault(r#"{"a":{"dtype":"F32"}}"#, 0).starts_with("`x`: tensor `a` in the header: ")
        );
        let one = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
        assert_eq!(
            fault(one, 7),
            "`x`: the file is truncated: its tensors end at 8, its data at 7"
        );
        assert_eq!(
            fault(one, 9),
            "`x`: 1 bytes after the last tensor belong to none"
        );
        assert_eq!(
            fault(&one.replace("F32", "Q4"), 8),
            "`x`: tensor `a` has the unknown dtype `Q4`"
        );
        assert_eq!(
            fault(&one.replace("[2]", "[3]"), 8),
            "`x`: tensor `a` of F32 [3] takes 12 bytes; its offsets are 0 to 8"
        );
        assert_eq!(
            fault(&one.replace("[0,8]", "[8,0]"), 8),
            "`x`: tensor `a` of F32 [2] takes 8 bytes; its offsets are 8 to 0"
        );
        assert_eq!(
            fault(&one.replace("[2]", "[4294967296,4294967296]"), 8),
            "`x`: tensor `a` has shape [4294967296, 4294967296], too large to count"
        );
        assert_eq!(
            fault(&one.replace("[0,8]", "[4,12]"), 12),
            "`x`: bytes 0 to 4 belong to no tensor"
        );
        let two = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}"#;
        assert_eq!(
            fault(two, 12),
            "`x`: tensor `b` at 4 overlaps the one before it, which ends at 8"
        );
    }
}
