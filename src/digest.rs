//! Content digests (BLAKE3), keys, and the canonical JSON that keys are taken over.
//!
//! Everything the cache trusts goes through here: a file's digest, a tree's
//! digest (that of its sorted listing), a manifest's key; and the checksums of
//! what it only derives. Holds no paths.
mod checksum;
mod hashing;
mod object_id;

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt, fs,
    hash::{BuildHasherDefault, Hasher},
    io::{self, Read},
    path::Path,
    str::FromStr,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::Value;

pub use checksum::Checksum;
pub use hashing::{Hashing, each_piece};
pub use object_id::{NotAnObject, ObjectId};

/// The BLAKE3 digest of some bytes; shown as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Hexadecimal digits that spell one.
    pub const DIGITS: usize = 64;

    pub fn of(bytes: &[u8]) -> Digest {
        Digest(*blake3::hash(bytes).as_bytes())
    }

    /// The digest of bytes that lie in pieces.
    pub fn of_pieces<'b>(pieces: impl IntoIterator<Item = &'b [u8]>) -> Digest {
        let mut hasher = blake3::Hasher::new();
        for piece in pieces {
            hasher.update(piece);
        }
        Digest(*hasher.finalize().as_bytes())
    }

    /// The digest of a value's canonical JSON.
    pub fn of_json(value: &Value) -> Digest {
        Digest::of(canonical(value).as_bytes())
    }

    /// The first 12 hexadecimal digits, for people.
    pub fn short(&self) -> String {
        self.to_string()[..12].to_owned()
    }

    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The digest that 64 hexadecimal digits spell; none for anything else.
    pub fn read(digits: &[u8]) -> Option<Digest> {
        let digits = (digits.len() == Digest::DIGITS).then_some(digits);
        digits.and_then(bytes_of).map(Digest)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(blake3::Hash::from_bytes(self.0).to_hex().as_str())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// A text that is not 64 lower-case hexadecimal digits.
#[derive(Debug, PartialEq, Eq)]
pub struct NotADigest(String);

impl fmt::Display for NotADigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not a digest (64 hexadecimal digits)", self.0)
    }
}

impl std::error::Error for NotADigest {}

impl FromStr for Digest {
    type Err = NotADigest;

    fn from_str(text: &str) -> Result<Digest, NotADigest> {
        Digest::read(text.as_bytes()).ok_or_else(|| NotADigest(text.to_owned()))
    }
}

/// The bytes that 64 hexadecimal digits stand for.
fn bytes_of(digits: &[u8]) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    // What is no digit sets a bit that no digit has.
    let mut seen = 0;
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let (high, low) = (DIGITS[pair[0] as usize], DIGITS[pair[1] as usize]);
        seen |= high | low;
        *byte = (high << 4) | low;
    }
    (seen < 16).then_some(bytes)
}

/// The value of each hexadecimal digit; 255 for all else.
const DIGITS: [u8; 256] = {
    let mut values = [255; 256];
    let mut value = 0;
    while value < 16 {
        values[b"0123456789abcdef"[value as usize] as usize] = value;
        value += 1;
    }
    values
};

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
        Cow::<str>::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

/// The digest of a manifest: what a result is filed under.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Key(pub Digest);

impl Key {
    pub fn of(manifest: &Value) -> Key {
        Key(Digest::of_json(manifest))
    }
}

/// Hashes digests for maps: they are as random as any hash of them.
pub type AsItIs = BuildHasherDefault<Beginning>;

/// The first bytes of a digest as a number.
#[derive(Debug, Default)]
pub struct Beginning(u64);

impl Hasher for Beginning {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(bytes) = bytes.first_chunk() {
            self.0 = u64::from_le_bytes(*bytes);
        }
    }

    // The length of an array comes first.
    fn write_usize(&mut self, _length: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}

/// JSON with sorted keys, no blanks, and floats in shortest round-trip form.
///
/// Sorting is explicit, since a dependency may switch `serde_json` to
/// insertion order by feature unification.
pub fn canonical(value: &Value) -> String {
    let mut out = Vec::with_capacity(256);
    write_canonical(value, &mut out);
    String::from_utf8(out).expect("JSON is text")
}

fn write_canonical(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Object(map) if map.keys().is_sorted() => write_object(map, out),
        Value::Object(map) => {
            let sorted: BTreeMap<&String, &Value> = map.iter().collect();
            write_object(sorted, out);
        }
        Value::Array(items) => {
            out.push(b'[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write_canonical(item, out);
            }
            out.push(b']');
        }
        scalar => write_scalar(scalar, out),
    }
}

fn write_object<'a>(entries: impl IntoIterator<Item = (&'a String, &'a Value)>, out: &mut Vec<u8>) {
    out.push(b'{');
    for (i, (name, item)) in entries.into_iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write_scalar(name, out);
        out.push(b':');
        write_canonical(item, out);
    }
    out.push(b'}');
}

fn write_scalar(scalar: &impl Serialize, out: &mut Vec<u8>) {
    serde_json::to_writer(out, scalar).expect("a scalar is written to memory");
}

/// The digest and size of everything a reader gives.
pub fn of_reader(reader: impl Read) -> io::Result<(Digest, u64)> {
    let mut hashing = Hashing::default();
    each_piece(reader, u64::MAX, |piece| {
        hashing.update(piece);
        Ok::<(), io::Error>(())
    })?;
    Ok(hashing.finish())
}

/// The digest and size of a file's bytes.
pub fn of_file(path: &Path) -> io::Result<(Digest, u64)> {
    of_reader(fs::File::open(path)?)
}

/// One file of a tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TreeEntry {
    pub digest: Digest,
    pub size: u64,
}

/// A tree of files: relative path with `/` to content. Its bytes are its
/// canonical JSON, so a tree's digest depends on names and contents alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tree {
    pub files: BTreeMap<String, TreeEntry>,
}

impl Tree {
    pub fn bytes(&self) -> Vec<u8> {
        let value = serde_json::to_value(self).expect("a tree of strings and numbers serializes");
        canonical(&value).into_bytes()
    }

    pub fn digest(&self) -> Digest {
        Digest::of(&self.bytes())
    }

    /// The sum of the files' sizes in bytes.
    pub fn size(&self) -> u64 {
        self.files.values().map(|entry| entry.size).sum()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn canonical_json_ignores_order_and_spelling() {
        let a: Value = serde_json::from_str(r#"{"b": 1e-4, "a": [1, "x", null]}"#).unwrap();
        let b: Value = serde_json::from_str(r#"{"a":[1,"x",null],"b":0.0001}"#).unwrap();
        assert_eq!(canonical(&a), r#"{"a":[1,"x",null],"b":0.0001}"#);
        assert_eq!(Key::of(&a), Key::of(&b));
    }

    #[test]
    fn another_float_is_another_key() {
        let a = json!({ "lr": 0.0001 });
        let b = json!({ "lr": 0.000_100_000_000_000_000_02 });
        assert_ne!(Key::of(&a), Key::of(&b));
    }

    #[test]
    fn digest_round_trips_through_text() {
        let digest = Digest::of(b"abc");
        assert_eq!(digest.to_string().parse::<Digest>(), Ok(digest));
        assert!("xyz".parse::<Digest>().is_err());
    }

    #[test]
    fn reader_and_slice_agree() {
        let bytes = vec![7; (1 << 20) + 3];
        let (digest, size) = of_reader(bytes.as_slice()).unwrap();
        assert_eq!((digest, size), (Digest::of(&bytes), bytes.len() as u64));
    }
}
