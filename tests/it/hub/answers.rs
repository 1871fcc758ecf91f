//! Refs, commits and listings, and what is said when there is none.
use std::{fs, net::TcpListener};

use vgh::hub::{Hooks, Hub, Reason, Ref, Settings};

use super::{
    REPO,
    batch::FILES,
    client, listed, patience, reason,
    repo::{Repo, git_id, sha256},
    server::LocalHub,
    settings, with_files,
};

/// The error of something that is asked for, as people see it.
fn told<T: std::fmt::Debug>(asked: anyhow::Result<T>) -> String {
    format!("{:#}", asked.unwrap_err())
}

#[test]
fn refs_commits_and_listings_are_those_of_the_repository() {
    let large = vec![9; 12_000];
    let mut repo = Repo::new(REPO);
    let main = repo.branch(
        "main",
        &[("config.json", b"{}"), ("a/b/weights.bin", &large)],
    );
    let step = repo.branch("stage1-step0/x", &[("config.json", b"{ }")]);
    repo.tags.insert("v1".to_owned(), main.clone());
    let local = LocalHub::start(vec![repo]);
    let hub = client(&local);
    let refs = hub.refs(REPO, &Hooks::SILENT).unwrap();
    let expected = [("main", &main), ("stage1-step0/x", &step), ("v1", &main)];
    let expected = expected.map(|(name, commit)| Ref {
        name: name.to_owned(),
        commit: commit.clone(),
    });
    assert_eq!(refs, expected);
    for (revision, commit) in [
        ("main", &main),
        ("stage1-step0/x", &step),
        ("v1", &main),
        (&main, &main),
    ] {
        assert_eq!(&hub.commit(REPO, revision, &Hooks::SILENT).unwrap(), commit);
    }
    let files = hub.listing(REPO, &main, &Hooks::SILENT).unwrap();
    let ids: Vec<(String, u64, String)> = files
        .iter()
        .map(|file| (file.path.clone(), file.size, file.id.to_string()))
        .collect();
    assert_eq!(
        ids,
        [
            (
                "a/b/weights.bin".to_owned(),
                12_000,
                format!("sha256:{}", sha256(&large))
            ),
            (
                "config.json".to_owned(),
                2,
                format!("git-sha1:{}", git_id(b"{}"))
            ),
        ]
    );
}

#[test]
fn a_listing_of_many_pages_is_whole() {
    let names: Vec<String> = (0..57).map(|i| format!("folder/{i:02}.bin")).collect();
    let files: Vec<(&str, &[u8])> = names
        .iter()
        .map(|name| (name.as_str(), name.as_bytes()))
        .collect();
    let (local, commit) = with_files(&files);
    for page in [1, 7, 57, 58, 1000] {
        local
            .shared
            .page
            .store(page, std::sync::atomic::Ordering::Relaxed);
        local.forget_seen();
        let listing = client(&local)
            .listing(REPO, &commit, &Hooks::SILENT)
            .unwrap();
        assert!(listing.iter().map(|file| &file.path).eq(&names), "{page}");
        // 57 files and their folder.
        assert_eq!(local.seen().len(), 58_usize.div_ceil(page));
    }
}

#[test]
fn names_that_lead_out_of_the_folder_are_refused() {
    let (local, commit) = with_files(&[("config.json", b"{}")]);
    let hub = client(&local);
    let long = "x".repeat(300);
    let names = [
        "../../evil",
        "/etc/passwd",
        "a/../../b",
        "a//b",
        "a\\..\\b",
        "nul\0",
        "./a",
        "",
        "..",
        "config.json",
        "config.json/inner",
        &long,
    ];
    for strange in names.iter().cycle().take(FILES) {
        local.change(REPO, |repo| repo.strange = vec![(*strange).to_owned()]);
        let refused = hub.listing(REPO, &commit, &Hooks::SILENT).unwrap_err();
        assert!(matches!(reason(&refused), Reason::Name(_)), "{strange:?}");
    }
    local.change(REPO, |repo| repo.strange = vec!["../../evil".to_owned()]);
    assert_eq!(
        told(hub.listing(REPO, &commit, &Hooks::SILENT)),
        format!(
            "cannot get `owner/model` at {}: its listing has a file `../../evil` whose name is \
             not safe: it holds `.` or `..`",
            &commit[..12]
        )
    );
    // Nor does a caller lead us out, or to another address.
    local.forget_seen();
    let mut file = hub_file();
    file.path = "../x".to_owned();
    let folder = tempfile::tempdir().unwrap();
    let part = folder.path().join("part");
    assert!(
        hub.fetch(REPO, &commit, &file, &part, &Hooks::SILENT)
            .is_err()
    );
    for repo in ["..", "a/b/c", "owner/model?x", "http://x"] {
        assert!(hub.refs(repo, &Hooks::SILENT).is_err(), "{repo}");
    }
    assert_eq!(local.seen().len(), 0);
}

fn hub_file() -> vgh::hub::RemoteFile {
    let (local, commit) = with_files(&[("small.json", b"{}")]);
    let files = client(&local).listing(REPO, &commit, &Hooks::SILENT);
    listed(&files.unwrap(), "small.json")
}

#[test]
fn what_is_not_there_is_told_with_the_nearest_name() {
    let mut repo = Repo::new("owner/OLMo-2-1B");
    let commit = repo.branch(
        "stage1-step1000",
        &[("config.json", b"{}"), ("gone.bin", b"1")],
    );
    repo.missing.push("gone.bin".to_owned());
    let local = LocalHub::start(vec![repo, Repo::new("owner/other")]);
    let hub = client(&local);
    assert_eq!(
        told(hub.commit("owner/OLMo-2-1B", "stage1-step1001", &Hooks::SILENT)),
        "cannot get `owner/OLMo-2-1B` at `stage1-step1001`: no such revision; did you mean \
         `stage1-step1000`?"
    );
    assert_eq!(
        told(hub.refs("owner/OLMo-1B", &Hooks::SILENT)),
        "cannot get `owner/OLMo-1B`: no such repository, or a private one (then set HF_TOKEN); \
         did you mean `owner/OLMo-2-1B`?"
    );
    let files = hub
        .listing("owner/OLMo-2-1B", &commit, &Hooks::SILENT)
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let part = folder.path().join("part");
    let gone = listed(&files, "gone.bin");
    assert_eq!(
        told(hub.fetch("owner/OLMo-2-1B", &commit, &gone, &part, &Hooks::SILENT)),
        format!(
            "cannot get `gone.bin` of `owner/OLMo-2-1B` at {}: no such file at this revision",
            &commit[..12]
        )
    );
}

#[test]
fn a_gated_repository_is_told_with_what_to_do() {
    let (local, commit) = with_files(&[("small.json", b"{}")]);
    let hub = client(&local);
    let file = listed(
        &hub.listing(REPO, &commit, &Hooks::SILENT).unwrap(),
        "small.json",
    );
    let folder = tempfile::tempdir().unwrap();
    for status in (0..FILES).map(|i| [401, 403][i % 2]) {
        local.change(REPO, |repo| repo.gated = Some(status));
        let part = folder.path().join("part");
        let text = told(hub.fetch(REPO, &commit, &file, &part, &Hooks::SILENT));
        let page = format!("{}/{REPO}", local.endpoint());
        let says =
            format!("the repository is gated: open {page}, accept its terms, then set HF_TOKEN");
        assert!(text.ends_with(&says), "{text}");
    }
}

#[test]
fn a_branch_that_moved_does_not_move_what_was_pinned() {
    let (local, commit) = with_files(&[("a.bin", b"old bytes")]);
    let hub = client(&local);
    let file = listed(
        &hub.listing(REPO, &commit, &Hooks::SILENT).unwrap(),
        "a.bin",
    );
    let moved = local.change(REPO, |repo| repo.branch("main", &[("a.bin", b"new bytes")]));
    let folder = tempfile::tempdir().unwrap();
    let part = folder.path().join("part");
    for _ in 0..FILES {
        let _ = fs::remove_file(&part);
        let held = hub.fetch(REPO, &commit, &file, &part, &Hooks::SILENT);
        drop(held.unwrap());
        assert_eq!(fs::read(&part).unwrap(), b"old bytes");
    }
    assert_eq!(hub.commit(REPO, "main", &Hooks::SILENT).unwrap(), moved);
    // Whoever asks for the branch instead gets other bytes, which are refused.
    let part = folder.path().join("other");
    let refused = hub
        .fetch(REPO, "main", &file, &part, &Hooks::SILENT)
        .unwrap_err();
    assert_eq!(reason(&refused), &Reason::WrongBytes(3));
    assert!(!part.exists());
}

#[test]
fn without_a_network_one_line_says_so_soon() {
    // A port that nobody listens at any more.
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let mut nobody = Settings::at(&format!("http://{address}")).unwrap();
    nobody.patience = patience();
    let lines = std::cell::Cell::new(0);
    let hooks = Hooks {
        tell: &|_| lines.set(lines.get() + 1),
        ..Hooks::SILENT
    };
    let text = told(Hub::new(nobody).refs(REPO, &hooks));
    assert_eq!(
        text,
        format!(
            "cannot get `owner/model`: no connection to {address}: check the network (HF_ENDPOINT, \
             HTTPS_PROXY), then run again: what is here already is kept"
        )
    );
    assert_eq!(lines.get(), 3);
}

#[test]
fn offline_nothing_is_sent() {
    let (local, _) = with_files(&[("small.json", b"{}")]);
    let mut quiet = settings(&local);
    quiet.offline = true;
    let text = told(Hub::new(quiet).refs(REPO, &Hooks::SILENT));
    assert_eq!(
        text,
        "cannot get `owner/model`: offline (HF_HUB_OFFLINE, or asked for): allow the network, or \
         put it into the Hugging Face cache first"
    );
    assert_eq!(local.seen().len(), 0);
}
