//! How a run was done, as the proofs tell that it leaves.
use std::{collections::BTreeSet, fs, os::unix::fs::MetadataExt, time::SystemTime};

use crate::project::Project;

#[derive(Debug, PartialEq)]
pub(super) enum Way {
    /// None is left: nothing was looked at, or something failed.
    Proof,
    /// A new one, which says that records were looked at when the last one says so.
    Part,
    Long,
}

/// Which files the proofs are, and when they say that records were looked at.
pub(super) struct Proofs(BTreeSet<(u64, SystemTime)>);

impl Proofs {
    pub(super) fn of(project: &Project) -> Proofs {
        let proofs = fs::read_dir(project.file("cache/proofs"));
        let files = proofs.into_iter().flatten().map(|file| file.unwrap());
        // The others hold lines.
        let proofs = files.filter(|file| file.path().extension().is_none());
        let proofs = proofs.map(|proof| proof.metadata().unwrap());
        Proofs(
            proofs
                .map(|found| (found.ino(), found.modified().unwrap()))
                .collect(),
        )
    }

    /// What was done after `before`.
    pub(super) fn way(&self, before: &Proofs) -> Way {
        let mut new = self.0.difference(&before.0);
        let old = |time: &SystemTime| before.0.iter().any(|(_, before)| before == time);
        match new.next() {
            None if self.0 == before.0 => Way::Proof,
            Some((_, time)) if old(time) => Way::Part,
            _ => Way::Long,
        }
    }
}
