//! One file, whole and right, or an error: resumed, checked, asked for again.
use std::{io::Read, path::Path};

use anyhow::Result;
use ureq::http::{HeaderMap, header};

use crate::{
    disk::make_folder,
    hub::{
        attempts::Attempts,
        fault::{Reason, Subject, Trouble},
        hooks::Hooks,
        listing::RemoteFile,
        locked::Held,
        part::Part,
        transport::{Asked, Hub, NO_RANGE},
        url::escape,
    },
};

/// How often a whole file is fetched before its bytes are given up.
const WHOLE: u32 = 3;

/// Bytes taken from a connection at once.
const PIECE: usize = 256 << 10;

/// New bytes that are progress: less, again and again, would never end.
const PROGRESS: u64 = 1 << 20;

impl Hub {
    /// Makes `part` the whole file, every byte of it hashed. What an earlier
    /// attempt left there is taken up (after hashing it), so a caller keeps
    /// `part` for next time after an error. Durable it is not: who publishes it
    /// says `fsync`.
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
        let held = Held::take(part, hooks)?;
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
            let ended = self.fill_once(asked, file, part, hooks);
            if part.done() >= furthest.saturating_add(PROGRESS.min(file.size / 16)) {
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

    /// One request for what is missing.
    fn fill_once(
        &self,
        asked: &Asked,
        file: &RemoteFile,
        part: &mut Part<'_>,
        hooks: &Hooks<'_>,
    ) -> Result<(), Trouble> {
        let answer = self.get(asked, part.done(), hooks);
        if let Err(Trouble::Hub(Reason::Nonsense(what), _)) = &answer
            && what == NO_RANGE
        {
            part.restart()?;
        }
        let answer = answer?;
        if answer.response.status().as_u16() == 206 {
            if !continues(answer.response.headers(), part.done(), file.size) {
                part.restart()?;
                return Err(Reason::Nonsense("another range than asked for".to_owned()).into());
            }
        } else if part.done() > 0 {
            // Ranges mean nothing to this server.
            part.restart()?;
        }
        let url = answer.url;
        let mut body = answer.response.into_body().into_reader();
        let mut piece = vec![0; PIECE];
        while !part.is_whole() {
            let count = body
                .read(&mut piece)
                .map_err(|error| self.reason(error.into(), &url))?;
            if count == 0 {
                break;
            }
            part.append(&piece[..count])?;
            (hooks.report)(part.done(), file.size);
            (hooks.go_on)()?;
        }
        Ok(())
    }
}

/// Whether `Content-Range: bytes FROM-LAST/SIZE` goes on where we are.
fn continues(headers: &HeaderMap, from: u64, size: u64) -> bool {
    let range = headers.get(header::CONTENT_RANGE);
    let range = range.and_then(|range| range.to_str().ok()?.trim().strip_prefix("bytes "));
    range.is_some_and(|range| {
        let Some((range, total)) = range.split_once('/') else {
            return false;
        };
        let first = range
            .split('-')
            .next()
            .and_then(|first| first.trim().parse().ok());
        first == Some(from) && (total == "*" || total.trim().parse() == Ok(size))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_range_that_was_asked_for_continues() {
        let says = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_RANGE, value.parse().unwrap());
            continues(&headers, 7, 20)
        };
        assert!(says("bytes 7-19/20") && says("bytes 7-9/*"));
        for wrong in [
            "bytes 8-19/20",
            "bytes 7-19/21",
            "7-19/20",
            "bytes */20",
            "",
        ] {
            assert!(!says(wrong), "{wrong}");
        }
        assert!(!continues(&HeaderMap::new(), 0, 1));
    }
}
