//! Whether a derived text is whole: XXH3, many times as fast as a digest. It tells
//! accidents, and names nothing.
use std::{fmt, str::FromStr};

use xxhash_rust::xxh3::Xxh3;

/// Shown as 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checksum(u128);

impl Checksum {
    /// Hexadecimal digits that spell one.
    pub const DIGITS: usize = 32;

    pub fn of(bytes: &[u8]) -> Checksum {
        Checksum::of_pieces([bytes])
    }

    /// The checksum of bytes that lie in pieces.
    pub fn of_pieces<'b>(pieces: impl IntoIterator<Item = &'b [u8]>) -> Checksum {
        let mut sum = Xxh3::new();
        for piece in pieces {
            sum.update(piece);
        }
        Checksum(sum.digest128())
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// A text that is not 32 lower-case hexadecimal digits.
#[derive(Debug, PartialEq, Eq)]
pub struct NotAChecksum;

impl FromStr for Checksum {
    type Err = NotAChecksum;

    fn from_str(text: &str) -> Result<Checksum, NotAChecksum> {
        let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() != Checksum::DIGITS || !text.bytes().all(digit) {
            return Err(NotAChecksum);
        }
        let sum = u128::from_str_radix(text, 16).map_err(|_| NotAChecksum)?;
        Ok(Checksum(sum))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_is_that_of_the_reference_and_of_its_pieces() {
        // `xxhsum -H2` of nothing and of `abc`.
        for (text, expected) in [
            ("", "99aa06d3014798d86001c324468d497f"),
            ("abc", "06b05ab6733a618578af5f94892f3950"),
        ] {
            let sum = Checksum::of(text.as_bytes());
            assert_eq!(sum.to_string(), expected);
            assert_eq!(expected.parse(), Ok(sum));
        }
        let long: Vec<u8> = (0..100_000_u32).map(|i| (i * i) as u8).collect();
        let (first, second) = long.split_at(12_345);
        assert_eq!(Checksum::of(&long), Checksum::of_pieces([first, second]));
        assert_ne!(Checksum::of(&long), Checksum::of(first));
    }

    #[test]
    fn other_texts_are_no_checksums() {
        for text in [
            "",
            "99aa",
            &"+".repeat(32),
            &"F".repeat(32),
            &"0".repeat(33),
        ] {
            assert_eq!(text.parse::<Checksum>(), Err(NotAChecksum), "{text}");
        }
    }
}
