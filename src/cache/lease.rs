//! Leases: who works on a family now. A kernel lock on a file, which dies with
//! its process; the file's text only tells people whom they wait for.
//!
//! An optimisation: losing one costs a duplicate execution, never a wrong
//! result, because publishing does not replace.
use std::{
    fs::{self, File, TryLockError},
    io::{Seek, SeekFrom, Write},
};

use anyhow::Result;

use crate::{
    cache::{attempt::open_lock, publish::ensure_dir, space::fault, store::Cache},
    digest::Digest,
};

/// Held until dropped.
#[derive(Debug)]
pub struct Lease {
    _lock: File,
}

/// What became of asking for a lease.
#[derive(Debug)]
pub enum Leased {
    Held(Lease),
    /// Somebody else holds it; `holder` is what they said of themselves.
    Busy {
        holder: String,
    },
}

impl Cache {
    /// Asks for the lease of a family without waiting. `holder` says to others
    /// who has it, in one line. Where locks do not work it is always held.
    pub fn try_lease(&self, family: &Digest, holder: &str) -> Result<Leased> {
        let folder = self.root().join("leases");
        ensure_dir(&folder)?;
        let path = folder.join(family.to_string());
        let mut lock = open_lock(&path)?;
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => {
                let text = fs::read(&path).unwrap_or_default();
                let text = String::from_utf8_lossy(&text);
                return Ok(Leased::Busy {
                    holder: text.lines().next().unwrap_or_default().to_owned(),
                });
            }
            // The file is never removed: a waiter may have it open.
            Ok(()) | Err(TryLockError::Error(_)) => {}
        }
        lock.set_len(0)
            .and_then(|()| lock.seek(SeekFrom::Start(0)))
            .and_then(|_| lock.write_all(format!("{holder}\n").as_bytes()))
            .map_err(|error| fault("write", &path, holder.len() as u64, error))?;
        Ok(Leased::Held(Lease { _lock: lock }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::record::tests::cache;

    #[test]
    fn one_holds_it_and_the_others_learn_who() {
        let (_place, cache) = cache();
        let family = Digest::of(b"f");
        let Leased::Held(lease) = cache.try_lease(&family, "run 1, process 42").unwrap() else {
            panic!("nobody holds it yet");
        };
        for _ in 0..2 {
            match cache.try_lease(&family, "run 2").unwrap() {
                Leased::Busy { holder } => assert_eq!(holder, "run 1, process 42"),
                Leased::Held(_) => panic!("two hold it"),
            }
        }
        let other = cache.try_lease(&Digest::of(b"g"), "run 2").unwrap();
        assert!(matches!(other, Leased::Held(_)));
        drop(lease);
        let next = cache.try_lease(&family, "me").unwrap();
        assert!(matches!(next, Leased::Held(_)));
        let busy = cache.try_lease(&family, "run 2").unwrap();
        assert!(matches!(busy, Leased::Busy { holder } if holder == "me"));
    }
}
