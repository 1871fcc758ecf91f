//! What the hub and its CDN answer to which path.
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::Ordering,
};

use serde_json::{Value, json};

use super::{
    faults::Fault,
    repo::{self, Repo},
    server::{Answer, Shared},
    wire::{Head, Request},
};

pub(crate) fn from_hub(shared: &Shared, request: &Request) -> Answer {
    let (parts, query) = request.parts();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let repos = shared.repos.lock().unwrap();
    if let ["api", "models"] = parts[..] {
        let author = query.iter().find(|(name, _)| name == "author");
        let own = |repo: &&Repo| {
            author.is_none_or(|(_, author)| repo.name.starts_with(&format!("{author}/")))
        };
        let known = repos
            .iter()
            .filter(own)
            .map(|repo| json!({ "id": repo.name }));
        return Answer::json(&Value::Array(known.collect()));
    }
    let rest = match parts[..] {
        ["api", "models", ..] => &parts[2..],
        _ => &parts[..],
    };
    let (Some(owner), Some(name)) = (rest.first(), rest.get(1)) else {
        return Answer::refused(404, "", "Not Found");
    };
    let name = format!("{owner}/{name}");
    let Some(repo) = repos.iter().find(|repo| repo.name == name) else {
        // Nobody is told whether a private one is there.
        let status = if request.header("authorization").is_some() {
            404
        } else {
            401
        };
        return Answer::refused(status, "RepoNotFound", "Repository not found");
    };
    match &rest[2..] {
        ["refs"] => Answer::json(&refs(repo)),
        ["revision", revision] => with_commit(repo, revision, |commit| {
            Answer::json(&json!({
                "id": repo.name, "modelId": repo.name, "sha": commit, "private": false,
                "gated": false, "disabled": false, "tags": [], "downloads": 0, "likes": 0,
                "siblings": repo.commits[commit].keys()
                    .map(|path| json!({ "rfilename": path })).collect::<Vec<_>>(),
            }))
        }),
        ["tree", revision] => with_commit(repo, revision, |commit| {
            let size = shared.page.load(Ordering::Relaxed);
            tree(shared, repo, commit, &query, size)
        }),
        ["paths-info", revision] => with_commit(repo, revision, |commit| {
            Answer::json(&paths_info(repo, commit, request))
        }),
        ["resolve", revision, path @ ..] => with_commit(repo, revision, |commit| {
            resolve(shared, repo, commit, &path.join("/"), request)
        }),
        _ => Answer::refused(404, "", "Not Found"),
    }
}

fn with_commit(repo: &Repo, revision: &str, answer: impl FnOnce(&str) -> Answer) -> Answer {
    match repo.resolve(revision) {
        Some(commit) => answer(commit),
        None => Answer::refused(404, "RevisionNotFound", "Invalid rev id"),
    }
}

fn refs(repo: &Repo) -> Value {
    let named = |kind: &str, refs: &BTreeMap<String, String>| {
        let one = |(name, commit): (&String, &String)| json!({ "name": name, "ref": format!("refs/{kind}/{name}"), "targetCommit": commit });
        refs.iter().map(one).collect::<Vec<_>>()
    };
    json!({
        "branches": named("heads", &repo.branches), "tags": named("tags", &repo.tags),
        "converts": [],
    })
}

fn tree(
    shared: &Shared,
    repo: &Repo,
    commit: &str,
    query: &[(String, String)],
    size: usize,
) -> Answer {
    let files = &repo.commits[commit];
    let mut entries: Vec<Value> = Vec::new();
    let mut folders = BTreeSet::new();
    for (path, bytes) in files {
        for (at, _) in path.match_indices('/') {
            if folders.insert(&path[..at]) {
                let oid = repo::git_id(&path.as_bytes()[..at]);
                entries.push(json!({
                    "type": "directory", "path": &path[..at], "size": 0, "oid": oid,
                }));
            }
        }
        entries.push(repo::entry(path, bytes));
    }
    entries.extend(
        repo.strange
            .iter()
            .map(|path| repo::entry(path, b"strange")),
    );
    let cursor = query.iter().find(|(name, _)| name == "cursor");
    let from: usize = cursor.map_or(0, |(_, at)| at.parse().unwrap());
    let until = entries.len().min(from + size);
    let answer = Answer::json(&Value::Array(entries[from..until].to_vec()));
    match answer {
        Answer::Text(head, text) if until < entries.len() => {
            let next = format!(
                "<http://{}/api/models/{}/tree/{commit}?recursive=true&cursor={until}>; rel=\"next\"",
                shared.hub, repo.name
            );
            Answer::Text(head.with("Link", next), text)
        }
        other => other,
    }
}

/// What is asked for comes as a form (`paths=a&paths=b`) or as JSON.
fn paths_info(repo: &Repo, commit: &str, request: &Request) -> Value {
    let text = String::from_utf8_lossy(&request.body).into_owned();
    let body: Option<Value> = serde_json::from_str(&text).ok();
    let wanted: Vec<String> = if let Some(body) = body {
        serde_json::from_value(body["paths"].clone()).unwrap_or_default()
    } else {
        let mut form = request.clone();
        form.target = format!("/?{}", text.replace('+', "%20"));
        let pairs = form.parts().1.into_iter();
        let paths = pairs.filter(|(name, _)| name == "paths");
        paths.map(|(_, path)| path).collect()
    };
    let files = &repo.commits[commit];
    let known = wanted.iter().filter_map(|path| files.get_key_value(path));
    known
        .map(|(path, bytes)| repo::entry(path, bytes))
        .collect()
}

fn resolve(shared: &Shared, repo: &Repo, commit: &str, path: &str, request: &Request) -> Answer {
    if let Some(status) = repo.gated {
        return Answer::refused(status, "GatedRepo", "Access to this model is restricted");
    }
    let missing = repo.missing.iter().any(|missing| missing == path);
    let Some(bytes) = repo.commits[commit].get(path).filter(|_| !missing) else {
        let message = "Entry not found";
        return match Answer::refused(404, "EntryNotFound", message) {
            Answer::Text(head, text) => Answer::Text(head.with("X-Repo-Commit", commit), text),
            other => other,
        };
    };
    let head = |status| Head::new(status).with("X-Repo-Commit", commit);
    let tag = format!("\"{}\"", repo::tag(bytes));
    if repo::is_large(bytes) {
        // The CDN's own switch decides, but for what only redirects can do.
        let place = match shared.switches.take(&format!("redirect of {path}")) {
            Some(Fault::Nowhere) => None,
            Some(Fault::Circle) => Some(format!("http://{}{}", shared.hub, request.target)),
            _ => Some(format!(
                "http://{}/blob/{}/{commit}/{path}?Signature=secret-of-the-cdn",
                shared.cdn, repo.name
            )),
        };
        let head = head(302)
            .with("X-Linked-Etag", &tag)
            .with("X-Linked-Size", bytes.len().to_string())
            .with("Accept-Ranges", "bytes");
        let head = place
            .into_iter()
            .fold(head, |head, place| head.with("Location", place));
        return Answer::Text(head, Vec::new());
    }
    // Small files are kept near by: a redirect that stays at the hub.
    if !request.target.contains("cached=1") {
        let place = format!("{}?cached=1", request.target);
        return Answer::Text(head(307).with("Location", place), Vec::new());
    }
    with_fault(shared, path, bytes, head(200).with("ETag", tag), request)
}

pub(crate) fn from_cdn(shared: &Shared, request: &Request) -> Answer {
    let (parts, _) = request.parts();
    let [_, owner, name, commit, path @ ..] = &parts[..] else {
        return Answer::refused(404, "", "Not Found");
    };
    let (name, path) = (format!("{owner}/{name}"), path.join("/"));
    let repos = shared.repos.lock().unwrap();
    let repo = repos.iter().find(|repo| repo.name == name);
    let Some(bytes) = repo.and_then(|repo| repo.commits.get(commit)?.get(&path)) else {
        return Answer::refused(404, "", "Not Found");
    };
    let tag = format!("\"{}\"", repo::tag(bytes));
    with_fault(
        shared,
        &path,
        bytes,
        Head::new(200).with("ETag", tag),
        request,
    )
}

fn with_fault(shared: &Shared, path: &str, bytes: &[u8], head: Head, request: &Request) -> Answer {
    let fault = match request.method.as_str() {
        "GET" => shared.switches.take(path),
        _ => None,
    };
    match fault {
        Some(Fault::HangAtOnce) => Answer::Silence,
        Some(Fault::Status { code, retry_after }) => {
            let head = Head::new(code);
            let told = retry_after.into_iter();
            let head = told.fold(head, |head, told| head.with("Retry-After", told));
            Answer::Text(head, Vec::new())
        }
        fault => Answer::File(head, bytes.to_vec(), fault),
    }
}
