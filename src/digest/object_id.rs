//! What git and its large-file store call a file's content: the hub's names of
//! bytes that we have not seen yet.
use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Written `sha256:` or `git-sha1:` and hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectId {
    /// Of the bytes: a large file.
    Sha256([u8; 32]),
    /// Of git's blob: `blob`, a blank, the size, NUL, the bytes.
    GitSha1([u8; 20]),
}

impl ObjectId {
    /// The id as the name of a file.
    pub fn file_name(&self) -> String {
        self.to_string().replace(':', "-")
    }
}

/// A text that names no object.
#[derive(Debug, PartialEq, Eq)]
pub struct NotAnObject(String);

impl fmt::Display for NotAnObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is no object id", self.0.escape_debug())
    }
}

impl std::error::Error for NotAnObject {}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, bytes): (&str, &[u8]) = match self {
            ObjectId::Sha256(bytes) => ("sha256", bytes),
            ObjectId::GitSha1(bytes) => ("git-sha1", bytes),
        };
        write!(f, "{kind}:")?;
        bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for ObjectId {
    type Err = NotAnObject;

    fn from_str(text: &str) -> Result<ObjectId, NotAnObject> {
        let no = || NotAnObject(text.chars().take(80).collect());
        match text.split_once(':').ok_or_else(no)? {
            ("sha256", hex) => bytes(hex).map(ObjectId::Sha256).ok_or_else(no),
            ("git-sha1", hex) => bytes(hex).map(ObjectId::GitSha1).ok_or_else(no),
            _ => Err(no()),
        }
    }
}

fn bytes<const N: usize>(hex: &str) -> Option<[u8; N]> {
    let digits = hex.as_bytes();
    let valid = |digit: &u8| digit.is_ascii_digit() || (b'a'..=b'f').contains(digit);
    if digits.len() != 2 * N || !digits.iter().all(valid) {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

impl Serialize for ObjectId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ObjectId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ObjectId, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_id_round_trips_and_nothing_else_is_one() {
        for id in [ObjectId::Sha256([0xa7; 32]), ObjectId::GitSha1([0x0b; 20])] {
            assert_eq!(id.to_string().parse(), Ok(id));
        }
        let long = format!("git-sha1:{}", "0".repeat(41));
        let upper = format!("git-sha1:{}", "A".repeat(40));
        let short = format!("sha256:{}", "0".repeat(40));
        for text in ["", "sha256", "md5:00", &long, &upper, &short, "git-sha1:+0"] {
            assert!(text.parse::<ObjectId>().is_err(), "{text}");
        }
    }
}
