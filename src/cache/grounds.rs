//! What a proof stands on: the files that a result rests on, and what `stat`
//! said of each. Decides nothing (see `proof`).
use std::{borrow::Cow, fs, ops::Range, path::Path};

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

/// The files that a result rests on, and what `stat` said of each. What an
/// earlier proof says of many is not copied.
#[derive(Default)]
pub struct Grounds<'a> {
    /// Files of the cache and copies, a path each.
    pub(super) files: Vec<Cow<'a, str>>,
    pub(super) told: Vec<Cow<'a, [Told]>>,
    /// How many.
    count: usize,
    /// Files and folders outside, a line each: who reads it, a tab, the path.
    pub(super) outside: Vec<Cow<'a, str>>,
    pub(super) told_outside: Vec<Cow<'a, [Told]>>,
    /// Something cannot be said, so nothing can be proved.
    pub(super) doubtful: bool,
}

impl<'a> Grounds<'a> {
    /// A file of the cache, or a copy that was made of one: as it is now.
    pub fn file(&mut self, root: &Path, path: &Path) {
        match fs::symlink_metadata(path) {
            Ok(found) => {
                let name = path.strip_prefix(root).unwrap_or(path);
                self.add_file(name, told(&Stamp::of(&found)));
            }
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
    pub fn files_of(&mut self, proof: &'a Proof, places: Range<usize>) {
        self.count += places.len();
        self.files.push(proof.lines(&places).into());
        self.told.push(proof.told(places).into());
    }

    /// The files outside at `places` as an earlier proof has them.
    pub fn externals_of(&mut self, proof: &'a Proof, places: Range<usize>) {
        self.outside.push(proof.lines_outside(&places).into());
        self.told_outside.push(proof.told_outside(places).into());
    }

    /// Nothing will be proved.
    pub fn doubt(&mut self) {
        self.doubtful = true;
    }

    /// How many files were named so far.
    pub fn len(&self) -> usize {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn add_file(&mut self, path: &Path, told: Told) {
        match path.to_str().filter(|path| !path.contains('\n')) {
            Some(path) => {
                let files = last_own(&mut self.files);
                files.push_str(path);
                files.push('\n');
                last_own(&mut self.told).push(told);
                self.count += 1;
            }
            None => self.doubtful = true,
        }
    }

    fn add_outside(&mut self, readers: &str, path: &str, told: Told) {
        self.doubtful |= path.contains('\n') || readers.contains(['\n', '\t']);
        let outside = last_own(&mut self.outside);
        for piece in [readers, "\t", path, "\n"] {
            outside.push_str(piece);
        }
        last_own(&mut self.told_outside).push(told);
    }
}

/// The last piece, which is ours to grow.
fn last_own<'p, T: ToOwned<Owned: Default> + ?Sized>(
    pieces: &'p mut Vec<Cow<'_, T>>,
) -> &'p mut T::Owned {
    if !matches!(pieces.last(), Some(Cow::Owned(_))) {
        pieces.push(Cow::Owned(T::Owned::default()));
    }
    let last = pieces.len() - 1;
    pieces[last].to_mut()
}

/// Inode numbers and times of change tell a file that was put back from one
/// that was never touched. Not the device: its number may change with a boot.
pub(super) fn told(stamp: &Stamp) -> Told {
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
