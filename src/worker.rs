//! The child process that runs one stage after another.
//!
//! Reads tasks as JSON lines, writes reports as JSON lines, keeps the last
//! model in memory between tasks. Ends when its input closes, even in the
//! middle of a task: that is how it learns that its parent is gone.
use std::{
    collections::BTreeSet,
    io::{BufRead, Write, stdin, stdout},
    os::unix::process::parent_id,
    path::Path,
    process,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc::channel,
    },
    thread,
};

use anyhow::{Context as _, Result};
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
};

use crate::{
    cache::Cache,
    engine::{Report, Task, executor},
    stage::{Held, Kind, allow_huge_pages, orphans},
};

/// Serves tasks until standard input ends.
///
/// # Errors
/// When the cache cannot be opened.
pub fn serve(kinds: &[Kind], cache: &Path) -> Result<()> {
    let cache = Cache::open(cache)?;
    orphans::adopt_strays();
    orphans::hear_of_parents_death();
    attend_signals().context("attend to signals")?;
    let stopping = Arc::new(AtomicBool::new(false));
    // Tasks that were given and are not done.
    let open = Arc::new(AtomicUsize::new(0));
    let (sender, tasks) = channel::<Task>();
    thread::Builder::new().spawn({
        let (stopping, open) = (Arc::clone(&stopping), Arc::clone(&open));
        move || {
            for line in stdin().lock().lines().map_while(Result::ok) {
                if line == executor::STOP {
                    stopping.store(true, Ordering::Relaxed);
                } else if let Ok(task) = serde_json::from_str(&line) {
                    open.fetch_add(1, Ordering::SeqCst);
                    if sender.send(task).is_err() {
                        break;
                    }
                }
            }
            if open.load(Ordering::SeqCst) > 0 {
                // Nobody is left to hear of the task at hand.
                end();
            }
        }
    })?;
    let held = Held::default();
    for task in tasks {
        if computes(kinds, &task) {
            allow_huge_pages(true);
        }
        executor::perform(
            &task,
            kinds,
            &cache,
            &held,
            &|| stopping.load(Ordering::Relaxed),
            &|told| {
                // Whoever hears it may close the input at once.
                if told.is_last() {
                    open.fetch_sub(1, Ordering::SeqCst);
                }
                report(&told);
            },
        );
        if orphans::has_children() {
            orphans::kill_strays(&BTreeSet::new());
        }
    }
    // It ends with the process, which takes no time.
    std::mem::forget(held);
    Ok(())
}

/// Whether a task keeps tensors here, and does not only wait for a foreign program.
fn computes(kinds: &[Kind], task: &Task) -> bool {
    let kind = kinds.iter().find(|kind| kind.name == task.kind);
    kind.is_some_and(|kind| kind.open.is_none())
}

/// Ends this process and everything that a stage started.
fn end() -> ! {
    orphans::kill_below(process::id());
    process::exit(0)
}

/// Ctrl-C reaches the workers of a terminal too, and a service manager ends
/// all at once; but when to stop is the run's decision. A worker ends by signal
/// only when the run is gone.
fn attend_signals() -> Result<()> {
    let run = parent_id();
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    thread::Builder::new().spawn(move || {
        for _ in signals.forever() {
            if parent_id() != run {
                end();
            }
        }
    })?;
    Ok(())
}

fn report(report: &Report) {
    let mut out = stdout().lock();
    let line = serde_json::to_string(report).expect("a report serializes");
    // A closed pipe means a gone parent, which the reading thread notices too.
    if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
        end();
    }
}
