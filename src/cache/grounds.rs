//! What a proof stands on: the files that a result rests on, and what `stat`
//! said of each. Decides nothing (see `proof`).
use std::{
    fs::{self, Metadata},
    ops::Range,
    path::Path,
};

use crate::cache::{
    blob::{Content, Form},
    proof::Proof,
    read::Stamp,
    stat::StatIndex,
    store::Cache,
};

/// What `stat` says of a file that tells it from another and from itself later.
pub(super) const TOLD: usize = 32;
pub(super) type Told = [u8; TOLD];
/// Of a file outside that cannot be told by its stamp: it always counts as moved.
pub(super) const UNTOLD: Told = [0; TOLD];

/// The files that a result rests on, and what `stat` said of each.
#[derive(Default)]
pub struct Grounds {
    /// Files of the cache and copies, a path each.
    pub(super) files: String,
    pub(super) told: Vec<Told>,
    /// Files and folders outside, a line each: who reads it, a tab, the path.
    pub(super) outside: String,
    pub(super) told_outside: Vec<Told>,
    /// Something cannot be said, so nothing can be proved.
    pub(super) doubtful: bool,
}

impl Grounds {
    /// A file of the cache, or a copy that was made of one: as it is now.
    pub fn file(&mut self, root: &Path, path: &Path) {
        match fs::symlink_metadata(path) {
            Ok(found) => self.add_file(path.strip_prefix(root).unwrap_or(path), stamp(&found)),
            Err(_) => self.doubtful = true,
        }
    }

    /// The bytes of a content: its blob, and for a tree those of its files.
    pub fn content(&mut self, cache: &Cache, content: &Content) {
        self.file(cache.root(), &cache.blob_path(&content.digest));
        if content.form == Form::Tree {
            match cache.tree_shared(&content.digest) {
                Ok(tree) => tree.files.values().for_each(|entry| {
                    self.file(cache.root(), &cache.blob_path(&entry.digest));
                }),
                Err(_) => self.doubtful = true,
            }
        }
    }

    /// A file outside, as it was when it was hashed; `readers` says who reads
    /// it. A folder is not told by stamps, nor a file that changed shortly
    /// before: such a one counts as moved at the next look, and this says false.
    pub fn external(&mut self, path: &Path, stat: &StatIndex, readers: &str) -> bool {
        let told = stat.believed(path).map_or(UNTOLD, |stamp| told(&stamp));
        match path.to_str() {
            Some(path) => self.add_outside(readers, path, told),
            None => self.doubtful = true,
        }
        told != UNTOLD
    }

    /// The files at `places` of an earlier proof, as they were when it was looked at.
    pub fn files_of(&mut self, proof: &Proof, places: Range<usize>) {
        for place in places {
            self.files.push_str(proof.file(place));
            self.files.push('\n');
            self.told.push(proof.told(place));
        }
    }

    /// A file outside as an earlier proof has it.
    pub fn external_of(&mut self, proof: &Proof, place: usize) {
        let (readers, path) = (proof.readers(place), proof.place(place));
        self.add_outside(readers, path, proof.told_outside(place));
    }

    /// Nothing will be proved.
    pub fn doubt(&mut self) {
        self.doubtful = true;
    }

    /// How many files were named so far.
    pub fn len(&self) -> usize {
        self.told.len()
    }

    pub fn is_empty(&self) -> bool {
        self.told.is_empty()
    }

    fn add_file(&mut self, path: &Path, told: Told) {
        match path.to_str().filter(|path| !path.contains('\n')) {
            Some(path) => {
                self.files.push_str(path);
                self.files.push('\n');
                self.told.push(told);
            }
            None => self.doubtful = true,
        }
    }

    fn add_outside(&mut self, readers: &str, path: &str, told: Told) {
        self.doubtful |= path.contains('\n') || readers.contains(['\n', '\t']);
        self.outside.push_str(readers);
        self.outside.push('\t');
        self.outside.push_str(path);
        self.outside.push('\n');
        self.told_outside.push(told);
    }
}

pub(super) fn stamp(found: &Metadata) -> Told {
    told(&Stamp::of(found))
}

/// Inode numbers and times of change tell a file that was put back from one
/// that was never touched. Not the device: its number may change with a boot.
fn told(stamp: &Stamp) -> Told {
    let mut told = UNTOLD;
    let parts = [
        stamp.inode.to_le_bytes(),
        stamp.size.to_le_bytes(),
        stamp.modified_ns.to_le_bytes(),
        stamp.changed_ns.to_le_bytes(),
    ];
    for (place, part) in told.chunks_exact_mut(8).zip(parts) {
        place.copy_from_slice(&part);
    }
    told
}
