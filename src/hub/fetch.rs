//! One file, whole and right, or an error: resumed, checked, asked for again.
use std::path::Path;

use anyhow::Result;

use crate::{
    disk::{Held, make_folder},
    hub::{
        attempts::Attempts,
        fault::{Reason, Subject},
        hooks::Hooks,
        listing::RemoteFile,
        locked,
        part::Part,
        transport::{Asked, Hub},
        url::escape,
    },
};

/// How often a whole file is fetched before its bytes are given up.
const WHOLE: u32 = 3;

/// New bytes that are progress: less, again and again, would never end.
const PROGRESS: u64 = 1 << 20;

impl Hub {
    /// Makes `part` the whole file, every byte of it hashed. What an earlier
    /// attempt left there is taken up (after hashing it), so a caller keeps
    /// `part` for next time after an error. Durable it is not: who publishes it
    /// says `fsync`. Nobody here writes to a file that is whole: it may get
    /// other names.
    ///
    /// Others who fetch into the same place wait until the answer is dropped.
    ///
    /// # Errors
    /// A [`crate::hub::Fault`] that names repository, revision, file and remedy;
    /// the disk's; that of `go_on`. A wrong file is never left behind as `part`.
    pub fn fetch(
        &self,
        repo: &str,
        commit: &str,
        file: &RemoteFile,
        part: &Path,
        hooks: &Hooks<'_>,
    ) -> Result<Held> {
        let subject = Subject {
            file: Some(file.path.clone()),
            ..Subject::at(repo, commit)
        };
        let (revision, name) = (escape(commit, ""), escape(&file.path, "/"));
        let asked = self.asked(subject, &format!("/{repo}/resolve/{revision}/{name}"))?;
        if let Some(folder) = part.parent() {
            make_folder(folder)?;
        }
        let held = locked::take(part, hooks)?;
        let mut part = Part::open(part, file, hooks)?;
        if part.is_whole() && !part.is_right() {
            (hooks.tell)(&format!("{}: what was here is damaged", asked.subject));
            part.restart()?;
        }
        let mut fetched = 0;
        while !part.is_right() {
            if fetched == WHOLE {
                part.remove()?;
                return Err(self.fault(Reason::WrongBytes(fetched), &asked).into());
            }
            if fetched > 0 {
                let again = "wrong bytes came; fetching it anew";
                (hooks.tell)(&format!("{}: {again}", asked.subject));
                part.restart()?;
            }
            self.fill(&asked, file, &mut part, hooks)?;
            fetched += 1;
        }
        (hooks.report)(file.size, file.size);
        Ok(held)
    }

    /// Asks until the part is as long as the file.
    fn fill(
        &self,
        asked: &Asked,
        file: &RemoteFile,
        part: &mut Part<'_>,
        hooks: &Hooks<'_>,
    ) -> Result<()> {
        let mut attempts = Attempts::new(self, asked, hooks);
        let mut furthest = part.done();
        while !part.is_whole() {
            let ended = self.fill_once(asked, file.size, part, hooks);
            if part.done() >= furthest.saturating_add(PROGRESS.min(file.size / 16).max(1)) {
                furthest = part.done();
                attempts.progressed();
            }
            match ended {
                Ok(()) if part.is_whole() => {}
                Ok(()) => attempts.after(Reason::Dropped.into())?,
                Err(trouble) => attempts.after(trouble)?,
            }
        }
        Ok(())
    }
}
