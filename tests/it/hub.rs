//! The client of the hub against a hub on this machine that can go wrong.
mod answers;
mod batch;
mod body;
mod cached;
pub(crate) mod faults;
mod huggingface;
pub(crate) mod repo;
mod resume;
mod routes;
pub(crate) mod server;
mod switches;
mod token;
mod wire;

use std::time::Duration;

use vgh::{
    hub::{Fault, Hub, Patience, Reason, RemoteFile, Settings},
    seed::Stream,
};

use repo::Repo;
use server::LocalHub;

const REPO: &str = "owner/model";

/// Waits that fit into tests. A machine under load can be silent for a while,
/// so `idle` is longer than anything that is meant to be no hang.
fn patience() -> Patience {
    Patience {
        connect: Duration::from_secs(5),
        idle: Duration::from_millis(150),
        tries: 6,
        first_wait: Duration::from_millis(1),
        longest_wait: Duration::from_millis(4),
        longest_told: Duration::from_millis(20),
    }
}

fn settings(local: &LocalHub) -> Settings {
    let mut settings = Settings::at(&local.endpoint()).unwrap();
    settings.patience = patience();
    settings
}

fn client(local: &LocalHub) -> Hub {
    Hub::new(settings(local))
}

fn random_bytes(stream: &mut Stream, size: usize) -> Vec<u8> {
    (0..size).map(|_| stream.below(256) as u8).collect()
}

/// A hub with one repository of one branch, `main`, and its commit.
fn with_files(files: &[(&str, &[u8])]) -> (LocalHub, String) {
    let mut repo = Repo::new(REPO);
    let commit = repo.branch("main", files);
    (LocalHub::start(vec![repo]), commit)
}

fn listed(files: &[RemoteFile], path: &str) -> RemoteFile {
    files.iter().find(|file| file.path == path).unwrap().clone()
}

fn reason(error: &anyhow::Error) -> &Reason {
    &error.downcast_ref::<Fault>().unwrap().reason
}
