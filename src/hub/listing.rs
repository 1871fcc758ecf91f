//! The files of a commit: names that are safe to be paths, sizes, and the ids
//! against which bytes are checked.
use std::collections::BTreeSet;

use anyhow::Result;
use serde::Deserialize;

use crate::{
    digest::ObjectId,
    hub::{
        fault::{Reason, Subject},
        hooks::Hooks,
        name::{path_fault, shown},
        transport::Hub,
        url::escape,
    },
};

/// Files of one commit; a hub that lists more has lost count.
const FILES_MAX: usize = 200_000;

/// A file as the hub lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteFile {
    /// Relative, with `/` between parts, none of them `.` or `..`.
    pub path: String,
    /// In bytes.
    pub size: u64,
    pub id: ObjectId,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "type")]
    kind: String,
    path: String,
    #[serde(default)]
    size: u64,
    #[serde(default)]
    oid: String,
    lfs: Option<Large>,
}

#[derive(Deserialize)]
struct Large {
    oid: String,
    size: u64,
}

impl Hub {
    /// All files of a commit, in the order of their paths.
    ///
    /// # Errors
    /// A [`crate::hub::Fault`], also for a name that could lead out of a folder or
    /// is there twice; the error of `go_on`.
    pub fn listing(&self, repo: &str, commit: &str, hooks: &Hooks<'_>) -> Result<Vec<RemoteFile>> {
        let revision = escape(commit, "");
        let path = format!("/api/models/{repo}/tree/{revision}?recursive=true&expand=false");
        let mut asked = self.asked(Subject::at(repo, commit), &path)?;
        let mut pages = BTreeSet::new();
        let mut files = Vec::new();
        loop {
            let nonsense = |what: &str| Reason::Nonsense(what.to_owned());
            if !pages.insert(asked.url.to_string()) {
                return Err(self.fault(nonsense("pages in a circle"), &asked).into());
            }
            let page = self.json::<Vec<Entry>>(&asked, hooks);
            let (entries, next) =
                page.map_err(|error| self.with_similar(error, repo, commit, hooks))?;
            for entry in entries.into_iter().filter(|entry| entry.kind == "file") {
                let file = entry.checked().map_err(|why| self.fault(why, &asked))?;
                files.push(file);
            }
            if files.len() > FILES_MAX {
                return Err(self.fault(nonsense("endless files"), &asked).into());
            }
            match next {
                Some(url) => asked.url = url,
                None => break,
            }
        }
        files.sort_by(|a: &RemoteFile, b| a.path.cmp(&b.path));
        if let Some(why) = clash(&files) {
            return Err(self.fault(Reason::Name(why), &asked).into());
        }
        Ok(files)
    }
}

impl Entry {
    fn checked(self) -> Result<RemoteFile, Reason> {
        let name = shown(&self.path);
        if let Some(why) = path_fault(&self.path) {
            let text = format!("its listing has a file `{name}` whose name is not safe: {why}");
            return Err(Reason::Name(text));
        }
        let (id, size) = match &self.lfs {
            // The hub gives the digits alone, git's pointer files put a word before.
            Some(large) => {
                let digits = large.oid.strip_prefix("sha256:").unwrap_or(&large.oid);
                (format!("sha256:{digits}"), large.size)
            }
            None => (format!("git-sha1:{}", self.oid), self.size),
        };
        let id = id
            .parse()
            .map_err(|_| Reason::Nonsense(format!("a file `{name}` without an id")))?;
        Ok(RemoteFile {
            path: self.path,
            size,
            id,
        })
    }
}

/// Two files of one name, or a file where another needs a folder.
fn clash(files: &[RemoteFile]) -> Option<String> {
    let names: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
    if names.len() < files.len() {
        return Some("its listing has one file twice".to_owned());
    }
    files.iter().find_map(|file| {
        let path = &file.path;
        let mut folders = path.match_indices('/').map(|(at, _)| &path[..at]);
        let taken = folders.find(|folder| names.contains(folder))?;
        Some(format!(
            "its listing has `{}` as a file and as a folder",
            shown(taken)
        ))
    })
}
