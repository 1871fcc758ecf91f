//! The input guard: a result is kept only if the files outside the cache that
//! it was made from were the same from the run's first look until its end.
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::{
    cache::{Footprint, StatIndex},
    digest::Digest,
    engine::{execute::Run, externals::paths},
    pipeline::InstanceId,
};

/// One file or folder as it was when a pass began.
pub(super) struct Guarded {
    param: String,
    path: PathBuf,
    digest: Digest,
    seen: Footprint,
}

impl Run<'_> {
    /// Looks at the externals of an instance before its pass begins.
    ///
    /// # Errors
    /// One that is no longer what its key says: a fault of the pass, in words.
    pub(super) fn guard(&self, id: InstanceId) -> Result<Vec<Guarded>, String> {
        let mut stat = self.stat.borrow_mut();
        let mut guarded = Vec::new();
        for (param, path) in paths(self.pipeline, id) {
            let Some(digest) = self.externals.of(id).digests.get(param.as_str()) else {
                continue;
            };
            let mut look = || -> Result<Guarded> {
                // The footprint first: what changes after it will show.
                let seen = Footprint::of(&path)?;
                Ok(Guarded {
                    digest: stat.content_of(&path)?,
                    param: param.clone(),
                    path: path.clone(),
                    seen,
                })
            };
            match look().with_context(|| format!("`{param}`")) {
                Ok(now) if now.digest == *digest => guarded.push(now),
                Ok(_) => {
                    let path = path.display();
                    return Err(format!(
                        "`{param}` changed since the run began ({path}): run again"
                    ));
                }
                Err(error) => return Err(format!("{error:#}")),
            }
        }
        Ok(guarded)
    }
}

/// What is wrong with a result made from these files, if anything is.
pub(super) fn violation(guarded: &[Guarded]) -> Option<String> {
    guarded.iter().find_map(|guarded| {
        let Guarded {
            param,
            path,
            digest,
            seen,
        } = guarded;
        let voided = |file: &Path| {
            let file = file.display();
            format!(
                "`{param}` changed while the stage ran ({file}): its result is not kept, run again"
            )
        };
        let Ok(now) = Footprint::of(path) else {
            return Some(voided(path));
        };
        if now.same(seen) {
            return None;
        }
        // A new name or mode changes no byte; anything written voids the result.
        let written =
            !now.written_as(seen) || StatIndex::in_memory().content_of(path).ok() != Some(*digest);
        written.then(|| voided(now.youngest()))
    })
}
