//! The file of lines beside a proof: what thousands of instances gave, which a
//! later run reads here and there and takes over in pieces. One that a run keeps
//! anyway is linked, not written again.
use std::{
    fs::{self, File, Metadata},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use anyhow::Result;

use crate::{
    cache::store::Cache,
    disk::{fault, supersede},
};

const ENDING: &str = "lines";

/// Where the lines of a new proof come from.
pub enum Lines<'a> {
    /// From the proof before, which had this stamp of them.
    AsBefore(&'a str),
    /// They lie in a file that nobody changes.
    At(&'a Path),
    /// This writes them.
    Written(&'a dyn Fn(&Path) -> Result<()>),
}

impl Lines<'_> {
    /// Brings them where they belong; gives their stamp, which is none of another
    /// file that somebody may put there.
    pub(super) fn put(&self, cache: &Cache, target: &Path) -> Result<String> {
        let beside = cache.own_folder()?.path().join(ENDING);
        match self {
            Lines::AsBefore(stamp) => return Ok((*stamp).to_owned()),
            Lines::At(path) => {
                let _ = fs::remove_file(&beside);
                // Not everywhere is there more than one name for a file.
                let linked = fs::hard_link(path, &beside);
                linked
                    .or_else(|_| fs::copy(path, &beside).map(|_| ()))
                    .map_err(|error| fault("copy", path, 0, error))?;
            }
            Lines::Written(write) => write(&beside)?,
        }
        let placed = || {
            let stamp = stamp(&fs::metadata(&beside)?);
            supersede(&beside, target).map(|()| stamp)
        };
        placed().map_err(|error| fault("write", target, 0, error))
    }
}

/// Where the lines of a proof lie.
pub(super) fn lines_of(proof: &Path) -> PathBuf {
    proof.with_extension(ENDING)
}

pub(super) fn is_lines(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == ENDING)
}

/// The file at `path`, if it is the one that `told` is about.
pub(super) fn stamped(path: &Path, told: &str) -> Option<File> {
    let file = File::open(path).ok()?;
    let found = file.metadata().ok()?;
    (stamp(&found) == told).then_some(file)
}

/// Not the time of change: that of a link to the file is one too.
fn stamp(found: &Metadata) -> String {
    let (time, ns) = (found.mtime(), found.mtime_nsec());
    format!("{} {} {time}.{ns:09}", found.ino(), found.len())
}
