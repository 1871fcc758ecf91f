//! The child process that runs one stage after another.
//!
//! Reads tasks as JSON lines, writes reports as JSON lines, keeps the last
//! model in memory between tasks. Ends when its input closes, even in the
//! middle of a task: that is how it learns that its parent is gone.
use std::{
    io::{BufRead, Write, stdin, stdout},
    path::Path,
    process,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::channel,
    },
    thread,
};

use anyhow::Result;

use crate::{
    cache::Cache,
    engine::{Report, Task, executor},
    stage::{Held, Kind, adopt_orphans, end_group},
};

/// Serves tasks until standard input ends.
///
/// # Errors
/// When the cache cannot be opened.
pub fn serve(kinds: &[Kind], cache: &Path) -> Result<()> {
    let cache = Cache::open(cache)?;
    adopt_orphans();
    let stopping = Arc::new(AtomicBool::new(false));
    let (sender, tasks) = channel::<Task>();
    thread::spawn({
        let stopping = Arc::clone(&stopping);
        move || {
            for line in stdin().lock().lines().map_while(Result::ok) {
                if line == executor::STOP {
                    stopping.store(true, Ordering::Relaxed);
                } else if let Ok(task) = serde_json::from_str(&line)
                    && sender.send(task).is_err()
                {
                    break;
                }
            }
            // Nobody is left to hear of the task at hand.
            end_group();
            process::exit(0);
        }
    });
    let held = Held::default();
    for task in tasks {
        executor::perform(
            &task,
            kinds,
            &cache,
            &held,
            &|| stopping.load(Ordering::Relaxed),
            &|told| report(&told),
        );
    }
    Ok(())
}

fn report(report: &Report) {
    let mut out = stdout().lock();
    let line = serde_json::to_string(report).expect("a report serializes");
    // A closed pipe means a gone parent, which the reading thread notices too.
    if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
        end_group();
        process::exit(0);
    }
}
