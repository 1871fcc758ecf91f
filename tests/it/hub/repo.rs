//! Repositories in memory: revisions of files, with the ids that git and its
//! large-file store give them.
use std::{collections::BTreeMap, fmt::Write};

use sha1::{Digest as _, Sha1};
use sha2::Sha256;

/// From this size on a file is a large one (sha256, and served by the CDN).
pub(crate) const LARGE: usize = 10_000;

pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// What the hub holds under one name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Repo {
    pub name: String,
    /// Branch to commit.
    pub branches: BTreeMap<String, String>,
    pub tags: BTreeMap<String, String>,
    pub commits: BTreeMap<String, Files>,
    /// The status for whoever asks: 401, 403.
    pub gated: Option<u16>,
    /// Names that are listed beside the true ones.
    pub strange: Vec<String>,
    /// Files that are listed and cannot be had.
    pub missing: Vec<String>,
}

impl Repo {
    pub(crate) fn new(name: &str) -> Repo {
        Repo {
            name: name.to_owned(),
            ..Repo::default()
        }
    }

    /// Moves (or makes) a branch; its new commit.
    pub(crate) fn branch(&mut self, branch: &str, files: &[(&str, &[u8])]) -> String {
        let files = files
            .iter()
            .map(|(path, bytes)| ((*path).to_owned(), bytes.to_vec()));
        let files: Files = files.collect();
        let mut hash = Sha1::new();
        hash.update(format!("commit of {branch}\n"));
        for (path, bytes) in &files {
            hash.update(format!("{path} {}\n", git_id(bytes)));
        }
        let commit = hex(&hash.finalize());
        self.commits.insert(commit.clone(), files);
        self.branches.insert(branch.to_owned(), commit.clone());
        commit
    }

    /// The commit that a branch, a tag or a commit's id stands for.
    pub(crate) fn resolve(&self, revision: &str) -> Option<&str> {
        let named = self
            .branches
            .get(revision)
            .or_else(|| self.tags.get(revision));
        let own = || {
            self.commits
                .get_key_value(revision)
                .map(|(commit, _)| commit)
        };
        named.or_else(own).map(String::as_str)
    }
}

pub(crate) fn is_large(bytes: &[u8]) -> bool {
    bytes.len() >= LARGE
}

pub(crate) fn git_id(bytes: &[u8]) -> String {
    let mut hash = Sha1::new();
    hash.update(format!("blob {}\0", bytes.len()));
    hash.update(bytes);
    hex(&hash.finalize())
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        write!(text, "{byte:02x}").expect("a string takes all");
    }
    text
}

/// The entity tag of a file, without its quotes.
pub(crate) fn tag(bytes: &[u8]) -> String {
    if is_large(bytes) {
        sha256(bytes)
    } else {
        git_id(bytes)
    }
}

/// The entry of a file in a tree.
pub(crate) fn entry(path: &str, bytes: &[u8]) -> serde_json::Value {
    if !is_large(bytes) {
        return serde_json::json!({
            "type": "file", "path": path, "size": bytes.len(), "oid": git_id(bytes),
        });
    }
    let oid = sha256(bytes);
    let size = bytes.len();
    let pointer =
        format!("version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {size}\n");
    serde_json::json!({
        "type": "file", "path": path, "size": size, "oid": git_id(pointer.as_bytes()),
        "lfs": {"oid": oid, "size": size, "pointerSize": pointer.len()},
    })
}
