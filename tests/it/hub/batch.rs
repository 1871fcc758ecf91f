//! Many files of one hub, each with its own switch, fetched side by side.
use std::{
    fs,
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

use vgh::{
    hub::{Hooks, Hub, RemoteFile},
    seed::{Seed, Stream},
};

use super::{REPO, patience, random_bytes, repo::Repo, server::LocalHub, settings};

pub(crate) const FILES: usize = 200;
const THREADS: usize = 10;

pub(crate) struct Files {
    pub local: LocalHub,
    pub commit: String,
    pub bytes: Vec<Vec<u8>>,
    /// How long the client bears silence.
    pub idle: Duration,
}

/// What became of the files.
#[derive(Debug, PartialEq)]
pub(crate) struct Outcome {
    pub recovered: u32,
    pub refused: u32,
}

pub(crate) const ALL: Outcome = Outcome {
    recovered: FILES as u32,
    refused: 0,
};
pub(crate) const NONE: Outcome = Outcome {
    recovered: 0,
    refused: FILES as u32,
};

fn name(i: usize) -> String {
    format!("folder {}/ü{i}.bin", i % 3)
}

/// `set` throws the switches of one file, told its name, its size and a stream.
pub(crate) fn files(
    label: &str,
    sizes: (usize, usize),
    set: impl Fn(&LocalHub, &str, u64, &mut Stream),
) -> Files {
    let streams = (0..FILES).map(|i| Seed(4).stream(label, &[i as u64]));
    let mut streams: Vec<Stream> = streams.collect();
    let bytes = streams.iter_mut().map(|stream| {
        let size = sizes.0 + stream.below(sizes.1 - sizes.0);
        random_bytes(stream, size)
    });
    let bytes: Vec<Vec<u8>> = bytes.collect();
    let names: Vec<String> = (0..FILES).map(name).collect();
    let named = names.iter().zip(&bytes);
    let named: Vec<(&str, &[u8])> = named
        .map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
        .collect();
    let mut repo = Repo::new(REPO);
    let commit = repo.branch("main", &named);
    let local = LocalHub::start(vec![repo]);
    for ((name, bytes), stream) in names.iter().zip(&bytes).zip(&mut streams) {
        set(&local, name, bytes.len() as u64, stream);
    }
    Files {
        local,
        commit,
        bytes,
        idle: patience().idle,
    }
}

/// Fetches all; an error must say `message`, word by word.
pub(crate) fn fetch(files: &Files, message: &str) -> (Outcome, Vec<String>) {
    let mut settings = settings(&files.local);
    settings.patience.idle = files.idle;
    let hub = Hub::new(settings);
    let listing = hub.listing(REPO, &files.commit, &Hooks::SILENT).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (recovered, refused) = (AtomicU32::new(0), AtomicU32::new(0));
    let told = Mutex::new(Vec::new());
    let one = |file: &RemoteFile, hub: &Hub| {
        let i = (0..FILES).find(|&i| name(i) == file.path).unwrap();
        let part = folder.path().join(format!("{i}.part"));
        let hooks = Hooks {
            tell: &|line| told.lock().unwrap().push(line.to_owned()),
            ..Hooks::SILENT
        };
        let fetched = hub.fetch(REPO, &files.commit, file, &part, &hooks);
        let there = fs::read(&part).unwrap_or_default();
        match fetched {
            Ok(held) => {
                // Its lock goes with it.
                drop(held);
                assert!(there == files.bytes[i], "{i}: wrong bytes were accepted");
                recovered.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => {
                let commit = &files.commit[..12];
                let path = &file.path;
                let expected = format!("cannot get `{path}` of `{REPO}` at {commit}: {message}");
                assert_eq!(format!("{error:#}"), expected);
                assert!(
                    there.len() < files.bytes[i].len(),
                    "{i}: a wrong file was left"
                );
                refused.fetch_add(1, Ordering::Relaxed);
            }
        }
        let lock = folder.path().join(format!("{i}.part.lock"));
        assert!(!lock.exists());
    };
    assert_eq!(listing.len(), FILES);
    thread::scope(|scope| {
        for turn in 0..THREADS {
            let (one, hub, listing) = (&one, &hub, &listing);
            scope.spawn(move || {
                for file in listing.iter().skip(turn).step_by(THREADS) {
                    one(file, hub);
                }
            });
        }
    });
    let outcome = Outcome {
        recovered: recovered.into_inner(),
        refused: refused.into_inner(),
    };
    (outcome, told.into_inner().unwrap())
}
