//! A pool of worker processes: a crash, an out-of-memory kill, a panic or a
//! timeout costs one attempt of one stage, never the run.
//!
//! Tasks go down a worker's standard input, reports come up its standard
//! output, one JSON object a line. A worker whose input closes ends itself, so
//! none outlives the engine, however that ends. Which worker gets which task
//! is the schedule's decision.
use std::{
    collections::BTreeSet,
    io::{self, BufRead, BufReader, Read, Write},
    path::PathBuf,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use crate::{
    engine::{
        executor::{Begun, Executor, Placement, death::death, perform::lost},
        task::{Report, Task},
    },
    stage::{harmless, orphans},
};

/// The line that asks a worker to stop at the next update.
pub const STOP: &str = "\"stop\"";

/// Waits between attempts to start a process that the system refuses.
const SPAWN_WAITS_MS: [u64; 6] = [10, 20, 40, 80, 160, 320];

pub struct PoolOptions {
    /// The program to start, with `worker --cache DIR` as arguments.
    pub program: PathBuf,
    pub cache: PathBuf,
    /// Threads of each worker's matrix products; results do not depend on it.
    pub threads: usize,
    /// This process exists for the run alone: what its workers leave behind
    /// falls to it and is killed.
    pub adopts: bool,
    /// Environment variables of the workers, besides this process's.
    pub variables: Vec<(&'static str, &'static str)>,
}

enum Heard {
    Report(Report),
    Stderr(String),
    Gone,
}

/// What was heard from which worker, by its serial number: a slot may have a
/// new one meanwhile.
struct Word {
    slot: usize,
    serial: u64,
    heard: Heard,
}

struct Worker {
    serial: u64,
    child: Child,
    stdin: ChildStdin,
    task: Option<u64>,
    gpus: Option<Vec<String>>,
    /// When its task is over the limit, and that limit.
    deadline: Option<(Instant, Duration)>,
    /// Why it was killed by us.
    condemned: Option<String>,
}

/// Workers are started when first needed.
pub struct Pool {
    options: PoolOptions,
    workers: Vec<Option<Worker>>,
    heard: Receiver<Word>,
    speak: Sender<Word>,
    serial: u64,
    stopping: bool,
}

impl Pool {
    pub fn new(options: PoolOptions) -> Pool {
        if options.adopts {
            orphans::adopt_strays();
        }
        let (speak, heard) = channel();
        Pool {
            options,
            workers: Vec::new(),
            heard,
            speak,
            serial: 0,
            stopping: false,
        }
    }

    fn spawn(&mut self, slot: usize, gpus: Option<Vec<String>>) -> io::Result<Worker> {
        let mut command = Command::new(&self.options.program);
        command
            .arg("worker")
            .arg("--cache")
            .arg(&self.options.cache)
            .env("RAYON_NUM_THREADS", self.options.threads.max(1).to_string())
            .env("POLARS_MAX_THREADS", "1")
            .envs(self.options.variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(gpus) = &gpus {
            command.env("CUDA_VISIBLE_DEVICES", gpus.join(","));
        }
        let mut child = command.spawn()?;
        self.serial += 1;
        let listening = listen(&mut child, (slot, self.serial), &self.speak);
        let stdin = child.stdin.take();
        match (listening, stdin) {
            (Ok(()), Some(stdin)) => Ok(Worker {
                serial: self.serial,
                child,
                stdin,
                task: None,
                gpus,
                deadline: None,
                condemned: None,
            }),
            (listening, _) => {
                let _ = child.kill();
                let _ = child.wait();
                listening?;
                Err(io::Error::other("a worker's input is not a pipe"))
            }
        }
    }

    /// Starts a worker, trying again while the system has none to spare.
    fn spawn_patiently(&mut self, place: &Placement) -> Result<Result<Worker, String>> {
        let mut waits = SPAWN_WAITS_MS.iter();
        loop {
            let error = match self.spawn(place.slot, place.gpus.clone()) {
                Ok(worker) => return Ok(Ok(worker)),
                Err(error) => error,
            };
            let program = self.options.program.display();
            match (is_shortage(&error), waits.next()) {
                (true, Some(wait)) => thread::sleep(Duration::from_millis(*wait)),
                (true, None) => return Ok(Err(error.to_string())),
                (false, _) => {
                    return Err(error).with_context(|| format!("start worker {program}"));
                }
            }
        }
    }

    /// Ends an idle worker by closing its input.
    fn end(&mut self, slot: usize) {
        if let Some(Worker {
            mut child, stdin, ..
        }) = self.workers.get_mut(slot).and_then(Option::take)
        {
            drop(stdin);
            let _ = child.wait();
        }
    }

    fn take_word(&mut self, word: Word) -> Option<Report> {
        let Word {
            slot,
            serial,
            heard,
        } = word;
        let place = self.workers.get_mut(slot)?;
        let worker = place.as_mut().filter(|worker| worker.serial == serial)?;
        match heard {
            Heard::Report(report) => {
                if report.is_last() {
                    worker.task = None;
                    worker.deadline = None;
                }
                Some(report)
            }
            Heard::Stderr(line) => Some(Report::Log {
                task: worker.task?,
                line: harmless(&line),
            }),
            Heard::Gone => {
                let mut worker = place.take()?;
                let status = worker.child.wait();
                self.kill_strays();
                let task = worker.task?;
                Some(match worker.condemned {
                    Some(error) => Report::Failed { task, error },
                    None if self.stopping => Report::Stopped { task },
                    None => lost(task, &death(status.ok())),
                })
            }
        }
    }

    fn kill_strays(&self) {
        if self.options.adopts {
            let known: BTreeSet<u32> = self
                .workers
                .iter()
                .flatten()
                .map(|worker| worker.child.id())
                .collect();
            orphans::kill_strays(&known);
        }
    }

    /// Kills the workers whose task has taken too long.
    fn enforce_limits(&mut self) {
        let now = Instant::now();
        for worker in self.workers.iter_mut().flatten() {
            if let Some((deadline, limit)) = worker.deadline
                && deadline <= now
            {
                worker.deadline = None;
                worker.condemned = Some(format!(
                    "stopped at its time limit of {} s (`resources.time`)",
                    limit.as_secs_f64()
                ));
                orphans::kill_below(worker.child.id());
                let _ = worker.child.kill();
            }
        }
    }
}

/// Forwards what a worker says until it is gone.
fn listen(child: &mut Child, (slot, serial): (usize, u64), speak: &Sender<Word>) -> io::Result<()> {
    let piped = || io::Error::other("a worker's output is not a pipe");
    let stdout = child.stdout.take().ok_or_else(piped)?;
    let stderr = child.stderr.take().ok_or_else(piped)?;
    let voice = |speak: Sender<Word>| {
        move |heard| {
            let word = Word {
                slot,
                serial,
                heard,
            };
            speak.send(word).is_ok()
        }
    };
    let say = voice(speak.clone());
    let errors = thread::Builder::new()
        .spawn(move || forward_lines(stderr, |line| say(Heard::Stderr(line))))?;
    let say = voice(speak.clone());
    thread::Builder::new().spawn(move || {
        forward_lines(stdout, |line| match serde_json::from_str(&line) {
            Ok(report) => say(Heard::Report(report)),
            Err(_) => say(Heard::Stderr(line)),
        });
        // Last words on the error stream come before the news of the death.
        let _ = errors.join();
        say(Heard::Gone);
    })?;
    Ok(())
}

/// Whether the system may have a process, thread or descriptor to spare later.
fn is_shortage(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EAGAIN | libc::ENOMEM | libc::EMFILE | libc::ENFILE)
    )
}

/// Feeds lines, with bad UTF-8 replaced, until the end of
/// the stream or until `take` has had enough.
fn forward_lines(stream: impl Read, mut take: impl FnMut(String) -> bool) {
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
    fn start(&mut self, task: Task, place: Placement) -> Result<Begun> {
        let mut line = serde_json::to_string(&task)?;
        line.push('\n');
        for &slot in &place.evict {
            self.end(slot);
        }
        if self.workers.len() <= place.slot {
            self.workers.resize_with(place.slot + 1, || None);
        }
        let bound = self.workers[place.slot].as_ref();
        if bound.is_some_and(|worker| worker.gpus != place.gpus) {
            self.end(place.slot);
        }
        // Twice: a worker may have died while it was idle.
        for _ in 0..2 {
            if self.workers[place.slot].is_none() {
                match self.spawn_patiently(&place)? {
                    Ok(worker) => self.workers[place.slot] = Some(worker),
                    Err(why) => return Ok(Begun::NotNow(why)),
                }
            }
            let Some(worker) = &mut self.workers[place.slot] else {
                continue;
            };
            let handed = worker
                .stdin
                .write_all(line.as_bytes())
                .and_then(|()| worker.stdin.flush());
            if handed.is_ok() {
                worker.task = Some(task.id);
                worker.deadline = place
                    .limit
                    .and_then(|limit| Some((Instant::now().checked_add(limit)?, limit)));
                return Ok(Begun::Yes);
            }
            self.end(place.slot);
        }
        bail!("workers end as soon as they are started")
    }

    fn wait(&mut self, patience: Duration) -> Result<Option<Report>> {
        let now = Instant::now();
        let deadlines = self.workers.iter().flatten();
        let patience = deadlines
            .filter_map(|worker| worker.deadline)
            .map(|(deadline, _)| deadline.saturating_duration_since(now))
            .fold(patience, Duration::min);
        match self.heard.recv_timeout(patience) {
            Ok(word) => Ok(self.take_word(word)),
            Err(RecvTimeoutError::Timeout) => {
                self.enforce_limits();
                Ok(None)
            }
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
        let mut children = Vec::new();
        for worker in self.workers.drain(..).flatten() {
            let Worker {
                mut child,
                stdin,
                task,
                ..
            } = worker;
            drop(stdin);
            if task.is_some() {
                orphans::kill_below(child.id());
                let _ = child.kill();
            }
            children.push(child);
        }
        // All are told before the first is waited for.
        for mut child in children {
            let _ = child.wait();
        }
        self.kill_strays();
    }
}
