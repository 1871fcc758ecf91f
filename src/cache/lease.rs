//! Leases: who works on a family now. A kernel lock, which dies with its
//! process, on a range of bytes of one file for all: where the range begins
//! says which family it is, how long it is says which process has it. The
//! bytes themselves are never written.
//!
//! An optimisation: losing one costs a duplicate execution, never a wrong
//! result, because publishing does not replace. Two families may fall on one
//! range; then one waits for the other.
use std::{
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process,
};

use anyhow::Result;

use crate::{
    cache::{attempt::open_lock, store::Cache},
    digest::Digest,
    host,
};

/// Bits of a process number; a range is longer by one than its owner's number.
const PROCESS_BITS: u32 = 22;

/// Held until dropped.
#[derive(Debug)]
pub struct Lease {
    lock: File,
    family: Digest,
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Closing is not enough: a child that was just forked has the file too.
        let _ = range::unlock(&self.lock, &self.family);
    }
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

/// How a run names itself to others: `run X, process N on HOST`.
pub(super) fn holder(run: &str) -> String {
    let host: String = (host::name().chars()).filter(|c| !c.is_control()).collect();
    let run: String = run.chars().filter(|c| !c.is_control()).collect();
    format!("run {run}, {} on {host}", numbered(process::id()))
}

fn numbered(process: u32) -> String {
    format!("process {process}")
}

impl Cache {
    /// Asks for the lease of a family without waiting. Where locks do not work
    /// it is always held.
    pub fn try_lease(&self, family: &Digest) -> Result<Leased> {
        let lock = open_lock(&self.leases())?;
        match range::lock(&lock, family) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let process = range::owner(&lock, family).unwrap_or(None);
                Ok(Leased::Busy {
                    holder: process.map_or_else(String::new, |process| self.named(process)),
                })
            }
            Ok(()) | Err(_) => Ok(Leased::Held(Lease {
                lock,
                family: *family,
            })),
        }
    }

    /// Whether nobody holds the lease of a family now. Takes nothing.
    pub fn lease_is_free(&self, family: &Digest) -> bool {
        let owner = File::open(self.leases()).and_then(|lock| range::owner(&lock, family));
        !matches!(owner, Ok(Some(_)))
    }

    fn leases(&self) -> PathBuf {
        self.root().join("leases.lock")
    }

    /// How the run of a process names itself.
    fn named(&self, process: u32) -> String {
        let number = numbered(process);
        let said = self.pinned_by();
        let mut said = said.into_iter();
        let is_it = |said: &String| said.contains(&format!(", {number} on "));
        said.find(is_it).unwrap_or(number)
    }
}

/// Locks on ranges that belong to an open file: closing another one of the same
/// process does not lose them.
#[cfg(target_os = "linux")]
mod range {
    use std::{fs::File, io, os::fd::AsRawFd, process};

    use super::PROCESS_BITS;
    use crate::digest::Digest;

    /// # Errors
    /// `WouldBlock` where another one has it; else locks do not work here.
    pub(super) fn lock(file: &File, family: &Digest) -> io::Result<()> {
        ask(file, libc::F_OFD_SETLK, libc::F_WRLCK, family).map(drop)
    }

    pub(super) fn unlock(file: &File, family: &Digest) -> io::Result<()> {
        ask(file, libc::F_OFD_SETLK, libc::F_UNLCK, family).map(drop)
    }

    /// The process that has the range of a family.
    pub(super) fn owner(file: &File, family: &Digest) -> io::Result<Option<u32>> {
        let found = ask(file, libc::F_OFD_GETLK, libc::F_WRLCK, family)?;
        let owned = i32::from(found.l_type) != libc::F_UNLCK;
        Ok(owned.then(|| u32::try_from(found.l_len - 1).unwrap_or(0)))
    }

    fn ask(
        file: &File,
        how: libc::c_int,
        lock: libc::c_int,
        family: &Digest,
    ) -> io::Result<libc::flock> {
        let mut start = [0; 8];
        start.copy_from_slice(&family.as_bytes()[..8]);
        let start = u64::from_le_bytes(start) >> (PROCESS_BITS + 1) << PROCESS_BITS;
        let process = process::id() & ((1 << PROCESS_BITS) - 1);
        // SAFETY: all-zero bytes are a valid flock.
        let mut range: libc::flock = unsafe { std::mem::zeroed() };
        range.l_type = lock as libc::c_short;
        range.l_whence = libc::SEEK_SET as libc::c_short;
        range.l_start = start as libc::off_t;
        range.l_len = libc::off_t::from(process) + 1;
        // SAFETY: the descriptor is open, `range` is a flock that the call reads and fills.
        match unsafe { libc::fcntl(file.as_raw_fd(), how, &raw mut range) } {
            0 => Ok(range),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod range {
    use std::{fs::File, io};

    use crate::digest::Digest;

    pub(super) fn lock(_: &File, _: &Digest) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn unlock(_: &File, _: &Digest) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn owner(_: &File, _: &Digest) -> io::Result<Option<u32>> {
        Ok(None)
    }
}

/// Whether an open file is still the one that its name leads to.
pub(super) fn same_file(open: &File, path: &Path) -> bool {
    match (open.metadata(), fs::symlink_metadata(path)) {
        (Ok(open), Ok(named)) => (open.dev(), open.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::{pin::Roots, record::tests::cache};

    fn held(cache: &Cache, family: &Digest) -> Option<Lease> {
        match cache.try_lease(family).unwrap() {
            Leased::Held(lease) => Some(lease),
            Leased::Busy { .. } => None,
        }
    }

    #[test]
    fn one_holds_it_and_the_others_learn_who() {
        let (_place, cache) = cache();
        let family = Digest::of(b"f");
        assert!(cache.lease_is_free(&family));
        let lease = held(&cache, &family).unwrap();
        assert!(!cache.lease_is_free(&family));
        let busy = || match cache.try_lease(&family).unwrap() {
            Leased::Busy { holder } => holder,
            Leased::Held(_) => panic!("two hold it"),
        };
        let number = format!("process {}", process::id());
        assert_eq!(busy(), number);
        let pin = cache.pin("1", &Roots::default()).unwrap();
        let said = busy();
        assert!(said.starts_with(&format!("run 1, {number} on ")), "{said}");
        drop(pin);
        let other = held(&cache, &Digest::of(b"g"));
        assert!(other.is_some());
        drop(lease);
        assert!(cache.lease_is_free(&family));
        assert!(held(&cache, &family).is_some());
        assert_eq!(fs::metadata(cache.leases()).unwrap().len(), 0);
    }

    #[test]
    fn two_never_hold_it() {
        let (_place, cache) = cache();
        let family = Digest::of(b"f");
        let inside = std::sync::atomic::AtomicUsize::new(0);
        let order = std::sync::atomic::Ordering::SeqCst;
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..500 {
                        if let Some(lease) = held(&cache, &family) {
                            assert_eq!(inside.fetch_add(1, order), 0);
                            inside.fetch_sub(1, order);
                            drop(lease);
                        }
                    }
                });
            }
        });
    }
}
