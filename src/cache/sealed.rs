//! JSON files that know their own digest, so that a truncated, flipped or
//! garbage one is never taken for a record. Pretty for people, valid for `jq`.
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::digest::Digest;

/// The file's form: a body and the digest of its canonical JSON.
#[derive(Serialize, Deserialize)]
struct Sealed {
    check: Digest,
    body: Value,
}

/// The bytes of a sealed file.
pub(super) fn seal(body: &impl Serialize) -> Result<Vec<u8>> {
    let body = serde_json::to_value(body).context("cannot be written as JSON")?;
    let check = Digest::of_json(&body);
    // No line feed at the end: every truncation is then no JSON at all.
    serde_json::to_vec_pretty(&Sealed { check, body }).context("cannot be written as JSON")
}

/// The body of a sealed file.
///
/// # Errors
/// What is wrong with the bytes, in a few words.
pub(super) fn unseal<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    if bytes.is_empty() {
        bail!("it is empty");
    }
    let sealed: Sealed = serde_json::from_slice(bytes).context("it does not parse")?;
    if Digest::of_json(&sealed.body) != sealed.check {
        bail!("it was altered");
    }
    serde_json::from_value(sealed.body).context("it does not parse")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_whole_unaltered_bytes_are_opened() {
        let body = json!({ "x": 1e-4, "y": [1, null, "é"], "z": u64::MAX });
        let bytes = seal(&body).unwrap();
        assert_eq!(unseal::<Value>(&bytes).unwrap(), body);
        for length in 0..bytes.len() {
            assert!(unseal::<Value>(&bytes[..length]).is_err(), "{length}");
        }
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 4;
            // A flip may only pass where it changes no meaning (a blank, the case of a digit).
            if let Ok(found) = unseal::<Value>(&bad) {
                assert_eq!(found, body, "{at}");
            }
        }
    }
}
