//! The hub of these tests is like the true one: Hugging Face's own client
//! downloads from it byte for byte, and we read the cache that it leaves.
use std::{fs, process::Command};

use vgh::hub::{Hooks, Hub};

use super::{REPO, random_bytes, repo::Repo, server::LocalHub, settings};
use crate::skip::python_with;

const SCRIPT: &str = r#"
import json, sys
from huggingface_hub import HfApi, hf_hub_download, snapshot_download
from huggingface_hub.errors import (EntryNotFoundError, GatedRepoError,
    RepositoryNotFoundError, RevisionNotFoundError)
repo, commit = sys.argv[1:]
api = HfApi()
refs = api.list_repo_refs(repo)
assert [r.name for r in refs.branches] == ["main", "stage1-step0"], refs
assert [r.name for r in refs.tags] == ["v1"], refs
assert api.model_info(repo, revision="main").sha == commit
tree = list(api.list_repo_tree(repo, revision=commit, recursive=True))
files = {e.path: [e.size, e.lfs.sha256 if e.lfs else e.blob_id] for e in tree if hasattr(e, "blob_id")}
infos = api.get_paths_info(repo, ["config.json", "weights/ä b.bin", "none"], revision="main")
assert {e.path: e.size for e in infos} == {p: files[p][0] for p in ["config.json", "weights/ä b.bin"]}, infos
def refused(kind, **more):
    try:
        hf_hub_download(**({"repo_id": repo, "filename": "config.json"} | more))
    except kind:
        return
    raise SystemExit(f"no {kind.__name__}")
refused(EntryNotFoundError, filename="none.json")
refused(RevisionNotFoundError, revision="nowhere")
refused(RepositoryNotFoundError, repo_id="owner/none")
refused(GatedRepoError, repo_id="owner/gated")
one = hf_hub_download(repo, "config.json", revision="stage1-step0")
whole = snapshot_download(repo, revision="main")
print(json.dumps({"one": one, "whole": whole, "files": files}))
"#;

#[test]
fn hugging_faces_own_client_downloads_from_the_local_hub() {
    if !python_with("hugging_faces_own_client", &["huggingface_hub"]) {
        return;
    }
    let mut stream = vgh::seed::Seed(4).stream("huggingface", &[]);
    let weights = random_bytes(&mut stream, 300_000);
    let files: [(&str, &[u8]); 4] = [
        ("config.json", b"{\"a\": 1}"),
        ("empty", b""),
        ("weights/ä b.bin", &weights),
        (".gitattributes", b"*.bin filter=lfs\n"),
    ];
    let mut repo = Repo::new(REPO);
    repo.branch("stage1-step0", &[("config.json", b"{\"a\": 0}")]);
    let commit = repo.branch("main", &files);
    repo.tags.insert("v1".to_owned(), commit.clone());
    let mut gated = Repo::new("owner/gated");
    gated.branch("main", &files);
    gated.gated = Some(403);
    let local = LocalHub::start(vec![repo, gated]);
    local
        .shared
        .page
        .store(3, std::sync::atomic::Ordering::Relaxed);

    let home = tempfile::tempdir().unwrap();
    let output = Command::new("python3")
        .args(["-c", SCRIPT, REPO, &commit])
        .env("HF_ENDPOINT", local.endpoint())
        .env("HF_HOME", home.path())
        .env("HF_HUB_DISABLE_TELEMETRY", "1")
        .env("HF_TOKEN", "hf_canary")
        .env("NO_PROXY", "127.0.0.1")
        .env_remove("HF_HUB_CACHE")
        .env_remove("HF_HUB_OFFLINE")
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let said = String::from_utf8(output.stdout).unwrap();
    let said: serde_json::Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert_eq!(
        fs::read(said["one"].as_str().unwrap()).unwrap(),
        b"{\"a\": 0}"
    );
    let whole = std::path::Path::new(said["whole"].as_str().unwrap());
    for (path, bytes) in files {
        assert!(fs::read(whole.join(path)).unwrap() == bytes, "{path}");
    }

    // We list what it lists, and find what it has left.
    let mut with_cache = settings(&local);
    with_cache.cache = Some(home.path().join("hub"));
    let hub = Hub::new(with_cache);
    let listing = hub.listing(REPO, &commit, &Hooks::SILENT).unwrap();
    assert_eq!(listing.len(), files.len());
    let folder = tempfile::tempdir().unwrap();
    for file in &listing {
        let theirs = &said["files"][&file.path];
        let id = file.id.to_string();
        let (_, digits) = id.split_once(':').unwrap();
        assert_eq!(theirs, &serde_json::json!([file.size, digits]));
        let cached = hub.cached(REPO, &commit, file, &Hooks::SILENT).unwrap();
        let bytes = fs::read(cached.unwrap()).unwrap();
        let part = folder.path().join("part");
        let held = hub.fetch(REPO, &commit, file, &part, &Hooks::SILENT);
        drop(held.unwrap());
        assert!(fs::read(&part).unwrap() == bytes);
        fs::remove_file(&part).unwrap();
    }
}
