//! One task from inputs to published bytes, in whatever process it runs.
//!
//! Inputs are verified before the kind sees them, outputs are safe in the
//! cache before they are reported. Writes no record.
use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, ensure};

use crate::{
    artifact::{Artifact, Body},
    cache::{Cache, Content, Form},
    engine::task::{Report, Task, TaskInput, Usage},
    host,
    stage::{
        ALWAYS_PASSED, Context, Foreign, Held, Inputs, Kind, Outputs, Produced, Resume, Sink,
        Stopped, Unit, harmless, is_secret,
    },
};

/// Progress is told at most this often.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);

/// Performs `task` and emits its reports; the last one ends it.
pub fn perform(
    task: &Task,
    kinds: &[Kind],
    cache: &Cache,
    held: &Held,
    stopping: &dyn Fn() -> bool,
    emit: &dyn Fn(Report),
) {
    let attempt = Attempt {
        task,
        cache,
        stopping,
        emit,
        lap: RefCell::new(Lap::begin()),
        told: Cell::new(None),
        foreign_peak_rss_bytes: Cell::new(None),
    };
    let result = catch_unwind(AssertUnwindSafe(|| attempt.run(kinds, held)));
    let report = match result {
        Ok(Ok(report)) => report,
        Ok(Err(error)) if error.is::<Stopped>() => Report::Stopped { task: task.id },
        Ok(Err(error)) => Report::Failed {
            task: task.id,
            error: format!("{error:#}"),
        },
        Err(panic) => Report::Failed {
            task: task.id,
            error: panic_text(panic.as_ref()),
        },
    };
    emit(report);
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    format!(
        "the stage panicked, which is a fault of vgh: {}",
        text.unwrap_or("no message")
    )
}

/// The time since the last result of the pass.
struct Lap {
    started: jiff::Timestamp,
    clock: Instant,
}

impl Lap {
    fn begin() -> Lap {
        Lap {
            started: jiff::Timestamp::now(),
            clock: Instant::now(),
        }
    }

    fn usage(&self, task: &Task, peak_rss_bytes: Option<u64>) -> Usage {
        let device = task
            .params
            .get("device")
            .and_then(serde_json::Value::as_str);
        Usage {
            started: self.started.to_string(),
            duration_ms: self.clock.elapsed().as_millis() as u64,
            peak_rss_bytes,
            host: host::name().to_owned(),
            device: device.unwrap_or("cpu").to_owned(),
            instruction_set: instruction_set().to_owned(),
            environment: recorded(&foreign(task)),
        }
    }
}

struct Attempt<'a> {
    task: &'a Task,
    cache: &'a Cache,
    stopping: &'a dyn Fn() -> bool,
    emit: &'a dyn Fn(Report),
    lap: RefCell<Lap>,
    /// When progress was last told; the pipe is for results.
    told: Cell<Option<Instant>>,
    /// The most memory of a foreign program, where it is known.
    foreign_peak_rss_bytes: Cell<Option<u64>>,
}

impl Attempt<'_> {
    fn run(&self, kinds: &[Kind], held: &Held) -> Result<Report> {
        let task = self.task;
        let kind = kinds.iter().find(|kind| kind.name == task.kind);
        let kind = kind.with_context(|| format!("this worker knows no kind `{}`", task.kind))?;
        let action = (kind.revive)(task.params.clone())?;
        let inputs = self.deliver()?;
        let scratch = self
            .cache
            .scratch(kind.open.map_or(&[], |open| open.folders))?;
        let context = Context {
            scratch: scratch.path().to_owned(),
            marks: task.marks.clone(),
            resume: task.resume.as_ref().map(|resume| Resume {
                mark: resume.mark,
                folder: resume.folder.clone(),
            }),
            externals: task.externals.clone(),
            references: task.references.clone(),
            downloads: self.cache.downloads(),
            foreign: foreign(task),
            sink: self,
            held,
        };
        let produced = action.run(&inputs, &context);
        if kind.open.is_some() {
            // A foreign program may have written through what it was given.
            self.deliver().context("the command changed its input")?;
        }
        let produced = produced?;
        for port in kind.ports.outputs {
            ensure!(
                produced.0.contains_key(port.name),
                "the kind handed over no output `{}`",
                port.name
            );
        }
        let outputs = self.publish(produced)?;
        Ok(Report::Finished {
            task: task.id,
            outputs,
            usage: self.usage(),
        })
    }

    fn usage(&self) -> Usage {
        let peak = match &self.task.foreign {
            // This process only waited.
            Some(_) => self.foreign_peak_rss_bytes.get(),
            None => host::peak_rss_bytes(),
        };
        self.lap.borrow().usage(self.task, peak)
    }

    fn deliver(&self) -> Result<Inputs> {
        let mut inputs = BTreeMap::new();
        for (port, artifacts) in &self.task.inputs {
            let delivered: Result<Vec<Artifact>> =
                artifacts.iter().map(|input| self.artifact(input)).collect();
            inputs.insert(
                port.clone(),
                delivered.with_context(|| format!("input `{port}`"))?,
            );
        }
        Ok(Inputs(inputs))
    }

    fn artifact(&self, input: &TaskInput) -> Result<Artifact> {
        let content = &input.content;
        let body = match content.form {
            Form::File => Body::File(self.cache.verified(&content.digest, content.size)?),
            Form::Tree => {
                let tree = self.cache.tree(&content.digest)?;
                let files = tree.files.iter().map(|(name, entry)| {
                    let path = self
                        .cache
                        .verified(&entry.digest, entry.size)
                        .with_context(|| format!("file `{name}`"));
                    Ok((name.clone(), path?))
                });
                Body::Tree(files.collect::<Result<_>>()?)
            }
        };
        Ok(Artifact {
            coords: input.coords.clone(),
            digest: content.digest,
            body,
        })
    }

    fn publish(&self, outputs: Outputs) -> Result<BTreeMap<String, Content>> {
        let published = outputs.0.into_iter().map(|(name, produced)| {
            let (form, stored) = match &produced {
                Produced::Bytes(bytes) => (Form::File, self.cache.put_bytes(bytes)),
                Produced::File(path) => (Form::File, self.cache.take_file(path)),
                Produced::Tree(path) => (Form::Tree, self.cache.take_tree(path)),
            };
            let (digest, size) = stored.with_context(|| format!("output `{name}`"))?;
            Ok((name, Content { digest, size, form }))
        });
        published.collect()
    }
}

impl Sink for Attempt<'_> {
    fn progress(&self, done: u64, total: u64, unit: Unit, note: &str) {
        if self
            .told
            .get()
            .is_some_and(|told| told.elapsed() < PROGRESS_EVERY)
        {
            return;
        }
        self.told.set(Some(Instant::now()));
        (self.emit)(Report::Progress {
            task: self.task.id,
            done,
            total,
            unit,
            note: note.to_owned(),
        });
    }

    fn log(&self, line: &str) {
        (self.emit)(Report::Log {
            task: self.task.id,
            line: harmless(line),
        });
    }

    fn reached(&self, mark: u64, outputs: Outputs) -> Result<()> {
        ensure!(
            self.task.marks.contains(&mark),
            "the kind reached {mark}, which nobody wants"
        );
        let outputs = self.publish(outputs)?;
        let usage = self.usage();
        self.lap.replace(Lap::begin());
        (self.emit)(Report::Reached {
            task: self.task.id,
            mark,
            outputs,
            usage,
        });
        Ok(())
    }

    fn snapshot(&self, mark: u64, write: &dyn Fn() -> Result<PathBuf>) -> Result<()> {
        let Some(family) = &self.task.snapshots else {
            return Ok(());
        };
        // A pass to a smaller mark must not take back what a longer one reached.
        let kept = self.cache.snapshot_mark(family)?;
        if kept.is_none_or(|kept| kept < mark) {
            self.cache.put_snapshot(family, mark, &write()?)?;
        }
        Ok(())
    }

    fn foreign_peak_rss_bytes(&self, bytes: u64) {
        self.foreign_peak_rss_bytes
            .update(|peak| peak.max(Some(bytes)));
    }

    fn stopping(&self) -> bool {
        (self.stopping)()
    }
}

/// What a foreign program is given: what was declared, and what all are given.
fn foreign(task: &Task) -> Foreign {
    let Some(mut foreign) = task.foreign.clone() else {
        return Foreign::default();
    };
    for name in ALWAYS_PASSED {
        if let Ok(value) = std::env::var(name) {
            foreign.environment.entry(name.to_owned()).or_insert(value);
        }
    }
    foreign
}

/// The environment of a foreign program as a record may hold it.
fn recorded(foreign: &Foreign) -> BTreeMap<String, String> {
    let variables = foreign.environment.iter();
    variables
        .map(|(name, value)| {
            let value = if is_secret(name) {
                "(set, not recorded)"
            } else {
                value
            };
            (name.clone(), value.to_owned())
        })
        .collect()
}

/// The widest vector instructions that the matrix product may choose: results
/// are bitwise equal only between machines where this agrees.
fn instruction_set() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        if std::arch::is_x86_feature_detected!("avx512f") {
            return "x86-64 avx512f";
        }
        if std::arch::is_x86_feature_detected!("avx2") {
            return "x86-64 avx2";
        }
    }
    std::env::consts::ARCH
}

/// The error of a worker that is gone, for the task it had.
pub(super) fn lost(task: u64, why: &str) -> Report {
    Report::Failed {
        task,
        error: anyhow!("the worker process died: {why}").to_string(),
    }
}
