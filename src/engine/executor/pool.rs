//! A pool of worker processes: a crash, an out-of-memory kill or a panic costs
//! one attempt of one stage, never the run.
//!
//! Tasks go down a worker's standard input, reports come up its standard
//! output, one JSON object a line. A worker whose input closes ends itself, so
//! none outlives the engine, however that ends.
use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, Write},
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};

use crate::{
    digest::Digest,
    engine::{
        executor::{Executor, perform::lost},
        task::{Report, Task},
    },
    stage::{adopt_orphans, end_orphans, harmless},
};

/// The line that asks a worker to stop at the next update.
pub const STOP: &str = "\"stop\"";

pub struct PoolOptions {
    /// The program to start, with `worker --cache DIR` as arguments.
    pub program: PathBuf,
    pub cache: PathBuf,
    pub workers: usize,
    /// Threads of each worker's matrix products; results do not depend on it.
    pub threads: usize,
}

enum Heard {
    Report(usize, Report),
    Stderr(usize, String),
    Gone(usize),
}

struct Worker {
    child: Child,
    stdin: ChildStdin,
    task: Option<u64>,
    /// Inputs of its last task: what it may still hold in memory.
    warm: BTreeSet<Digest>,
}

/// Workers are started when first needed.
pub struct Pool {
    options: PoolOptions,
    workers: Vec<Option<Worker>>,
    heard: Receiver<Heard>,
    speak: Sender<Heard>,
    stopping: bool,
}

impl Pool {
    pub fn new(options: PoolOptions) -> Pool {
        adopt_orphans();
        let (speak, heard) = channel();
        let workers = (0..options.workers.max(1)).map(|_| None).collect();
        Pool {
            options,
            workers,
            heard,
            speak,
            stopping: false,
        }
    }

    fn spawn(&self, slot: usize) -> Result<Worker> {
        let program = &self.options.program;
        let mut child = Command::new(program)
            .arg("worker")
            .arg("--cache")
            .arg(&self.options.cache)
            .env("RAYON_NUM_THREADS", self.options.threads.max(1).to_string())
            .env("POLARS_MAX_THREADS", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("start worker {}", program.display()))?;
        let stdin = child.stdin.take().context("a worker's input is piped")?;
        let stdout = child.stdout.take().context("a worker's output is piped")?;
        let stderr = child.stderr.take().context("a worker's errors are piped")?;
        let speak = self.speak.clone();
        let errors = thread::spawn({
            let speak = speak.clone();
            move || forward_lines(stderr, |line| speak.send(Heard::Stderr(slot, line)).is_ok())
        });
        thread::spawn(move || {
            forward_lines(stdout, |line| match serde_json::from_str(&line) {
                Ok(report) => speak.send(Heard::Report(slot, report)).is_ok(),
                Err(_) => speak.send(Heard::Stderr(slot, line)).is_ok(),
            });
            // Last words on the error stream come before the news of the death.
            let _ = errors.join();
            let _ = speak.send(Heard::Gone(slot));
        });
        Ok(Worker {
            child,
            stdin,
            task: None,
            warm: BTreeSet::new(),
        })
    }

    /// An idle slot, best one whose worker holds what the task needs.
    fn choose(&self, inputs: &BTreeSet<Digest>) -> Option<usize> {
        let idle = self
            .workers
            .iter()
            .enumerate()
            .filter(|(_, worker)| worker.as_ref().is_none_or(|w| w.task.is_none()));
        let warmth = |worker: &Option<Worker>| {
            worker
                .as_ref()
                .map_or(0, |w| 1 + 2 * w.warm.intersection(inputs).count())
        };
        idle.max_by_key(|(slot, worker)| (warmth(worker), std::cmp::Reverse(*slot)))
            .map(|(slot, _)| slot)
    }

    fn take_report(&mut self, heard: Heard) -> Option<Report> {
        match heard {
            Heard::Report(slot, report) => {
                if matches!(
                    report,
                    Report::Finished { .. } | Report::Failed { .. } | Report::Stopped { .. }
                ) && let Some(Some(worker)) = self.workers.get_mut(slot)
                {
                    worker.task = None;
                }
                Some(report)
            }
            Heard::Stderr(slot, line) => {
                let task = self.workers.get(slot)?.as_ref()?.task?;
                Some(Report::Log {
                    task,
                    line: harmless(&line),
                })
            }
            Heard::Gone(slot) => {
                let mut worker = self.workers.get_mut(slot)?.take()?;
                let status = worker.child.wait();
                // What it had started, should it have been killed.
                let others = self.workers.iter().flatten();
                let others: Vec<u32> = others.map(|worker| worker.child.id()).collect();
                end_orphans(&others);
                let task = worker.task?;
                Some(if self.stopping {
                    Report::Stopped { task }
                } else {
                    lost(task, &death(status.ok()))
                })
            }
        }
    }
}

/// How a process ended, in words.
fn death(status: Option<ExitStatus>) -> String {
    match status {
        Some(status) if status.signal() == Some(libc::SIGKILL) => {
            "killed by signal 9, as the system does when memory runs out".to_owned()
        }
        Some(status) => match (status.signal(), status.code()) {
            (Some(signal), _) => format!("killed by signal {signal}"),
            (None, code) => format!("exit code {}", code.unwrap_or(-1)),
        },
        None => "its status is unknown".to_owned(),
    }
}

/// Feeds lines, with bad UTF-8 replaced, until the end of
/// the stream or until `take` has had enough.
fn forward_lines(stream: impl std::io::Read, mut take: impl FnMut(String) -> bool) {
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    loop {
        line.clear();
        match reader.read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {
                let text = String::from_utf8_lossy(line.strip_suffix(b"\n").unwrap_or(&line));
                if !take(text.into_owned()) {
                    return;
                }
            }
        }
    }
}

impl Executor for Pool {
    fn start(&mut self, task: Task) -> Result<usize> {
        let inputs: BTreeSet<Digest> = task
            .inputs
            .values()
            .flatten()
            .map(|input| input.content.digest)
            .collect();
        let Some(slot) = self.choose(&inputs) else {
            bail!("no worker is idle")
        };
        if self.workers[slot].is_none() {
            self.workers[slot] = Some(self.spawn(slot)?);
        }
        let worker = self.workers[slot]
            .as_mut()
            .context("the worker was started above")?;
        let mut line = serde_json::to_string(&task)?;
        line.push('\n');
        worker.task = Some(task.id);
        worker.warm = inputs;
        // A worker that died between tasks is noticed by its closed output.
        let _ = worker
            .stdin
            .write_all(line.as_bytes())
            .and_then(|()| worker.stdin.flush());
        Ok(slot)
    }

    fn wait(&mut self, patience: Duration) -> Result<Option<Report>> {
        match self.heard.recv_timeout(patience) {
            Ok(heard) => Ok(self.take_report(heard)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => bail!("all workers are gone"),
        }
    }

    fn stop(&mut self) {
        self.stopping = true;
        for worker in self.workers.iter_mut().flatten() {
            let _ = writeln!(worker.stdin, "{STOP}").and_then(|()| worker.stdin.flush());
        }
    }
}

impl Drop for Pool {
    /// Closes every worker's input, which ends it, and collects its status.
    fn drop(&mut self) {
        for worker in self.workers.drain(..).flatten() {
            let Worker {
                mut child,
                stdin,
                task,
                ..
            } = worker;
            drop(stdin);
            if task.is_some() {
                let _ = child.kill();
            }
            let _ = child.wait();
        }
    }
}
