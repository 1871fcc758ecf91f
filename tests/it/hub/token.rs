//! The token goes to the hub and nowhere else: not to the CDN, not into errors,
//! lines for people or `Debug`.
use std::sync::Mutex;

use vgh::hub::{Hooks, Hub, Reason};

use super::{
    REPO,
    faults::{ALWAYS, Fault},
    listed, reason, settings, with_files,
};

const CANARY: &str = "hf_canaryCANARYcanary";

#[test]
fn the_token_is_shown_to_the_hub_alone() {
    let large = vec![5; 30_000];
    let (local, commit) = with_files(&[("large.bin", &large), ("small.json", b"{}")]);
    let hub = Hub::new(settings(&local).with_token(CANARY).unwrap());
    hub.refs(REPO, &Hooks::SILENT).unwrap();
    let files = hub.listing(REPO, &commit, &Hooks::SILENT).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for file in &files {
        let part = folder.path().join(&file.path);
        let held = hub.fetch(REPO, &commit, file, &part, &Hooks::SILENT);
        drop(held.unwrap());
    }
    let (cdn, own): (Vec<_>, Vec<_>) = local.seen().into_iter().partition(|seen| seen.cdn);
    assert!(cdn.len() == 1 && own.len() >= 5);
    assert!(cdn.iter().all(|seen| seen.authorization.is_none()));
    let expected = Some(format!("Bearer {CANARY}"));
    assert!(own.iter().all(|seen| seen.authorization == expected));
    assert!(
        own.iter()
            .chain(&cdn)
            .all(|seen| !seen.target.contains(CANARY))
    );
}

#[test]
fn the_token_is_in_no_text() {
    let large = vec![5; 30_000];
    let (local, commit) = with_files(&[("large.bin", &large)]);
    let hub = Hub::new(settings(&local).with_token(CANARY).unwrap());
    let texts = Mutex::new(vec![format!("{hub:?}"), format!("{:#?}", hub.settings())]);
    let hooks = Hooks {
        tell: &|line| texts.lock().unwrap().push(line.to_owned()),
        ..Hooks::SILENT
    };
    let file = listed(&hub.listing(REPO, &commit, &hooks).unwrap(), "large.bin");
    let folder = tempfile::tempdir().unwrap();
    for fault in [
        Fault::Drop { after: 100 },
        Fault::Status {
            code: 401,
            retry_after: None,
        },
        Fault::Status {
            code: 500,
            retry_after: Some("1"),
        },
        Fault::Flip { at: 7 },
        Fault::Length { by: -3 },
        Fault::HangAtOnce,
        Fault::Nowhere,
        Fault::Circle,
    ] {
        local.shared.switches.clear();
        local.set("large.bin", fault.clone(), ALWAYS);
        local.set("redirect of large.bin", fault, ALWAYS);
        let part = folder.path().join("part");
        if let Err(error) = hub.fetch(REPO, &commit, &file, &part, &hooks) {
            texts
                .lock()
                .unwrap()
                .push(format!("{error} {error:#} {error:?}"));
        }
    }
    local.shared.switches.clear();
    local.change(REPO, |repo| repo.gated = Some(403));
    let part = folder.path().join("other");
    for refused in [
        hub.fetch(REPO, &commit, &file, &part, &hooks).unwrap_err(),
        hub.refs("owner/none", &hooks).unwrap_err(),
        hub.commit(REPO, "mian", &hooks).unwrap_err(),
    ] {
        texts
            .lock()
            .unwrap()
            .push(format!("{refused} {refused:#} {refused:?}"));
    }
    let texts = texts.into_inner().unwrap();
    assert!(texts.len() > 20, "{}", texts.len());
    for text in &texts {
        assert!(!text.contains(CANARY), "{text}");
        assert!(!text.contains("secret-of-the-cdn"), "{text}");
    }
}

#[test]
fn a_token_that_is_not_accepted_is_told() {
    let (local, commit) = with_files(&[("small.json", b"{}")]);
    let file = {
        let hub = super::client(&local);
        listed(
            &hub.listing(REPO, &commit, &Hooks::SILENT).unwrap(),
            "small.json",
        )
    };
    local.set(
        "small.json",
        Fault::Status {
            code: 401,
            retry_after: None,
        },
        ALWAYS,
    );
    let hub = Hub::new(settings(&local).with_token(CANARY).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let part = folder.path().join("part");
    let refused = hub
        .fetch(REPO, &commit, &file, &part, &Hooks::SILENT)
        .unwrap_err();
    assert_eq!(reason(&refused), &Reason::Token);
    let text = refused.to_string();
    assert!(
        text.ends_with("/settings/tokens and set HF_TOKEN"),
        "{text}"
    );
}
