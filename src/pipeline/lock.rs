//! The lock file beside a pipeline: what each moving reference stood for when
//! it was resolved. Text in, text out; nothing here asks the hub.
//!
//! JSON Lines, sorted, so that a change of one reference is a change of one
//! line: first `{"vgh_lock":1}`, then an entry a line with repository,
//! revision as written, name, commit, and all files with size and object id.
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::stage::{Listed, Pinned, Reference};

const FORMAT: u32 = 1;

/// The entries, by repository and revision as written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lock {
    entries: BTreeMap<(String, String), Pinned>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    vgh_lock: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    repo: String,
    revision: String,
    name: String,
    commit: String,
    files: BTreeMap<String, Listed>,
}

impl Lock {
    /// Where the lock of a pipeline file lies.
    pub fn beside(pipeline: &Path) -> PathBuf {
        pipeline.with_extension("lock")
    }

    /// # Errors
    /// The line that is not an entry, with what to do.
    pub fn parse(text: &str) -> Result<Lock> {
        let mut lines = text.lines().enumerate();
        let Some((_, head)) = lines.next() else {
            return Ok(Lock::default());
        };
        let remedy = "restore it, or remove it and resolve anew with `vgh update`";
        let head: Head = serde_json::from_str(head)
            .with_context(|| format!("line 1: this is no lock file of vgh: {remedy}"))?;
        ensure!(
            head.vgh_lock == FORMAT,
            "it has format {}, this vgh reads format {FORMAT}: use the vgh that wrote it, or \
             resolve anew with `vgh update`",
            head.vgh_lock
        );
        let mut lock = Lock::default();
        for (number, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
            let number = number + 1;
            let line: Line = serde_json::from_str(line)
                .with_context(|| format!("line {number} is no entry: {remedy}"))?;
            let of = (line.repo.clone(), line.revision);
            let pinned = Pinned {
                repo: line.repo,
                name: line.name,
                commit: line.commit,
                files: line.files,
            };
            if let Some(path) = pinned.files.keys().find(|path| !is_inside(path)) {
                bail!(
                    "line {number}: the path `{}` leads out: {remedy}",
                    path.escape_debug()
                );
            }
            if lock.entries.insert(of, pinned).is_some() {
                bail!("line {number} says again what another line says: {remedy}");
            }
        }
        Ok(lock)
    }

    pub fn text(&self) -> String {
        let mut text = format!("{{\"vgh_lock\":{FORMAT}}}\n");
        for ((repo, revision), pinned) in &self.entries {
            let line = Line {
                repo: repo.clone(),
                revision: revision.clone(),
                name: pinned.name.clone(),
                commit: pinned.commit.clone(),
                files: pinned.files.clone(),
            };
            let line = serde_json::to_string(&line).expect("text and numbers serialize");
            let _ = writeln!(text, "{line}");
        }
        text
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What a reference stands for, with the files that it wants; none if it is
    /// not resolved.
    pub fn pinned(&self, reference: &Reference) -> Option<Pinned> {
        Some(self.entry(reference)?.only(&reference.files))
    }

    /// The entry of a reference, with all files.
    pub fn entry(&self, reference: &Reference) -> Option<&Pinned> {
        self.entries.get(&key(reference))
    }

    /// Adds or replaces the entry of a reference.
    pub fn pin(&mut self, reference: &Reference, pinned: Pinned) {
        self.entries.insert(key(reference), pinned);
    }

    /// Drops what none of these references needs.
    pub fn retain(&mut self, wanted: &[Reference]) {
        let wanted: Vec<_> = wanted.iter().map(key).collect();
        self.entries.retain(|of, _| wanted.contains(of));
    }
}

fn key(reference: &Reference) -> (String, String) {
    (reference.repo.clone(), reference.revision.clone())
}

/// Whether a path stays in its folder.
fn is_inside(path: &str) -> bool {
    let part = |part: &str| !matches!(part, "" | "." | "..");
    path.split('/').all(part) && !path.contains(['\\', '\0'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::ObjectId;

    fn reference(revision: &str) -> Reference {
        Reference {
            param: "revision",
            repo: "a/b".into(),
            revision: revision.into(),
            files: vec!["*.json".into()],
        }
    }

    fn pinned(name: &str) -> Pinned {
        let id = ObjectId::GitSha1([7; 20]);
        let file = |path: &str| (path.to_owned(), Listed { size: 3, id });
        Pinned {
            repo: "a/b".into(),
            name: name.into(),
            commit: "c".repeat(40),
            files: ["config.json", "x/README.md"].map(file).into(),
        }
    }

    #[test]
    fn a_lock_reads_what_it_wrote_one_sorted_entry_a_line() {
        let mut lock = Lock::default();
        lock.pin(&reference("step2*"), pinned("step2-b"));
        lock.pin(&reference("step1*"), pinned("step1-a"));
        let text = lock.text();
        assert_eq!(text.lines().count(), 3);
        assert!(text.find("step1*") < text.find("step2*"));
        assert_eq!(Lock::parse(&text).unwrap(), lock);
        let found = lock.pinned(&reference("step1*")).unwrap();
        assert_eq!(found.name, "step1-a");
        assert_eq!(found.files.keys().collect::<Vec<_>>(), ["config.json"]);
        assert_eq!(lock.pinned(&reference("step3*")), None);
        lock.retain(&[reference("step2*")]);
        assert_eq!(lock.text().lines().count(), 2);
        assert_eq!(Lock::parse("").unwrap(), Lock::default());
    }

    #[test]
    fn what_is_no_lock_is_told_with_its_line() {
        let mut lock = Lock::default();
        lock.pin(&reference("main"), pinned("main"));
        let good = lock.text();
        let entry = good.lines().nth(1).unwrap();
        for (text, expected) in [
            ("hello\n".to_owned(), "line 1: this is no lock file of vgh"),
            (
                "{\"vgh_lock\":2}\n".to_owned(),
                "it has format 2, this vgh reads format 1",
            ),
            (format!("{good}{{\n"), "line 3 is no entry"),
            (
                format!("{good}{entry}\n"),
                "line 3 says again what another line says",
            ),
            (
                good.replace("x/README.md", "../README.md"),
                "line 2: the path `../README.md` leads out",
            ),
        ] {
            let error = format!("{:#}", Lock::parse(&text).unwrap_err());
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
