//! The user's own Hugging Face cache is read after hashing, and never written.
use std::{fs, os::unix::fs::symlink, path::Path};

use anyhow::bail;
use vgh::hub::{Hooks, Hub};

use super::{REPO, listed, repo::tag, settings, with_files};

/// Puts a file where Hugging Face's programs would.
fn keep(cache: &Path, commit: &str, path: &str, bytes: &[u8], tag: &str) {
    let folder = cache.join("models--owner--model");
    let blob = folder.join("blobs").join(tag);
    let link = folder.join("snapshots").join(commit).join(path);
    for place in [&blob, &link] {
        fs::create_dir_all(place.parent().unwrap()).unwrap();
    }
    fs::write(&blob, bytes).unwrap();
    let _ = fs::remove_file(&link);
    symlink(&blob, link).unwrap();
}

#[test]
fn a_file_in_the_users_cache_counts_only_with_the_right_bytes() {
    let large = vec![3; 20_000];
    let (local, commit) = with_files(&[("small.json", b"{\"a\": 1}"), ("large.bin", &large)]);
    let home = tempfile::tempdir().unwrap();
    let mut with_cache = settings(&local);
    with_cache.cache = Some(home.path().to_owned());
    let hub = Hub::new(with_cache);
    let files = hub.listing(REPO, &commit, &Hooks::SILENT).unwrap();
    for (path, bytes) in [
        ("small.json", b"{\"a\": 1}".as_slice()),
        ("large.bin", &large),
    ] {
        let file = listed(&files, path);
        let cached = |commit: &str| hub.cached(REPO, commit, &file, &Hooks::SILENT).unwrap();
        let tag = tag(bytes);
        assert_eq!(cached(&commit), None);
        keep(home.path(), &commit, path, bytes, &tag);
        assert_eq!(fs::read(cached(&commit).unwrap()).unwrap(), bytes);
        // The same file of another commit is the same file.
        let other = "0".repeat(40);
        assert_eq!(fs::read(cached(&other).unwrap()).unwrap(), bytes);
        assert!(cached("../../..").is_some());

        let mut wrong = bytes.to_vec();
        wrong[bytes.len() / 2] ^= 1;
        for wrong in [&wrong, &bytes[1..], b""] {
            keep(home.path(), &commit, path, wrong, &tag);
            assert_eq!(cached(&commit), None);
        }
        keep(home.path(), &commit, path, bytes, &tag);
        let stop = Hooks {
            go_on: &|| bail!("stopped"),
            ..Hooks::SILENT
        };
        let stopped = hub.cached(REPO, &commit, &file, &stop);
        assert_eq!(stopped.unwrap_err().to_string(), "stopped");
    }
    let without = Hub::new(settings(&local));
    let file = listed(&files, "large.bin");
    let found = without.cached(REPO, &commit, &file, &Hooks::SILENT);
    assert_eq!(found.unwrap(), None);
}
