//! What a running stage sees: its inputs, where its outputs go, and the little
//! of the world that it may know.
use std::{
    any::Any,
    cell::RefCell,
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    rc::Rc,
};

use anyhow::{Context as _, Result, bail};

use crate::{
    artifact::Artifact,
    digest::{Digest, ObjectId},
    stage::{open::Foreign, reference::Pinned, unit::Unit},
};

/// The artifacts on a stage's input ports.
#[derive(Debug, Default)]
pub struct Inputs(pub BTreeMap<String, Vec<Artifact>>);

impl Inputs {
    /// The artifact on a port that takes one.
    pub fn one(&self, port: &str) -> Result<&Artifact> {
        match self.all(port) {
            [artifact] => Ok(artifact),
            several => bail!(
                "input `{port}` has {} artifacts where one was expected",
                several.len()
            ),
        }
    }

    /// The artifact on an optional port.
    pub fn optional(&self, port: &str) -> Option<&Artifact> {
        self.all(port).first()
    }

    /// All artifacts on a port, sorted by coordinates.
    pub fn all(&self, port: &str) -> &[Artifact] {
        self.0.get(port).map_or(&[], Vec::as_slice)
    }
}

/// What a stage hands over for one output port.
#[derive(Debug)]
pub enum Produced {
    Bytes(Vec<u8>),
    /// A file or folder below [`Context::scratch`]; it may be gone afterwards.
    File(PathBuf),
    Tree(PathBuf),
}

/// What a stage hands over: output port to content.
#[derive(Debug, Default)]
pub struct Outputs(pub BTreeMap<String, Produced>);

impl Outputs {
    pub fn new() -> Outputs {
        Outputs::default()
    }

    #[must_use]
    pub fn with(mut self, port: &str, produced: Produced) -> Outputs {
        self.0.insert(port.to_owned(), produced);
        self
    }
}

/// Resume state of a progressive kind.
#[derive(Debug, Clone)]
pub struct Resume {
    /// The value of the progressive parameter that it holds the state of.
    pub mark: u64,
    pub folder: PathBuf,
}

/// Where a running stage's words go: the worker's event stream, or a test.
pub trait Sink {
    fn progress(&self, done: u64, total: u64, unit: Unit, note: &str);
    fn log(&self, line: &str);
    /// A mark of a progressive kind has been reached; `outputs` are its results.
    fn reached(&self, mark: u64, outputs: Outputs) -> Result<()>;
    /// Resume state to keep, replacing an older one; `write` writes it and says
    /// where, and is not called where nobody keeps it.
    fn snapshot(&self, mark: u64, write: &dyn Fn() -> Result<PathBuf>) -> Result<()>;
    /// The most memory that a foreign program had.
    fn foreign_peak_rss_bytes(&self, bytes: u64);
    /// Whether the run is being stopped.
    fn stopping(&self) -> bool;
}

/// Asked to stop: what a kind returns after [`Context::stopping`] said so.
#[derive(Debug, PartialEq, Eq)]
pub struct Stopped;

impl std::fmt::Display for Stopped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("stopped on request")
    }
}

impl std::error::Error for Stopped {}

/// The last model that a worker loaded, by digest, type-erased.
#[derive(Default)]
pub struct Held(RefCell<Option<(Digest, Box<dyn Any>)>>);

/// What a stage may know of the world while it runs.
pub struct Context<'a> {
    pub scratch: PathBuf,
    pub marks: Vec<u64>,
    pub resume: Option<Resume>,
    pub externals: BTreeMap<String, PathBuf>,
    /// What references stand for, by parameter.
    pub references: BTreeMap<String, Pinned>,
    /// A folder of the cache for what is being downloaded.
    pub downloads: PathBuf,
    pub foreign: Foreign,
    pub sink: &'a dyn Sink,
    pub held: &'a Held,
}

impl Context<'_> {
    /// A private folder, gone after the stage: empty, but for the empty folders
    /// that an open kind asks for.
    pub fn scratch(&self) -> &Path {
        &self.scratch
    }

    /// The values of the progressive parameter that are wanted, ascending.
    /// The last is the stage's own.
    pub fn marks(&self) -> &[u64] {
        &self.marks
    }

    /// State to go on from; its mark lies below the first wanted mark.
    pub fn resume(&self) -> Option<&Resume> {
        self.resume.as_ref()
    }

    /// Where the external that `param` names can be read.
    pub fn external(&self, param: &str) -> Result<&Path> {
        self.externals
            .get(param)
            .map(PathBuf::as_path)
            .with_context(|| format!("external `{param}` was not delivered"))
    }

    /// What the reference that `param` names stands for.
    pub fn reference(&self, param: &str) -> Result<&Pinned> {
        self.references
            .get(param)
            .with_context(|| format!("reference `{param}` was not delivered"))
    }

    /// Where a file of a hub is downloaded to. It outlives the stage, so that the
    /// next attempt finds what this one has fetched; it goes once the stage's
    /// result is there.
    pub fn download(&self, id: &ObjectId) -> PathBuf {
        self.downloads.join(id.file_name())
    }

    pub fn progress(&self, done: u64, total: u64, note: &str) {
        self.sink.progress(done, total, Unit::Steps, note);
    }

    /// The same where bytes are counted.
    pub fn progress_bytes(&self, done: u64, total: u64, note: &str) {
        self.sink.progress(done, total, Unit::Bytes, note);
    }

    pub fn log(&self, line: &str) {
        self.sink.log(line);
    }

    /// Tells the most memory that a foreign program had.
    pub fn foreign_peak_rss_bytes(&self, bytes: u64) {
        self.sink.foreign_peak_rss_bytes(bytes);
    }

    pub fn reached(&self, mark: u64, outputs: Outputs) -> Result<()> {
        self.sink.reached(mark, outputs)
    }

    /// Offers resume state of `mark`: `write` gets an empty folder for it, and is
    /// not called where nobody would keep it.
    pub fn snapshot(&self, mark: u64, write: &dyn Fn(&Path) -> Result<()>) -> Result<()> {
        self.sink.snapshot(mark, &|| {
            let folder = self.scratch.join("snapshot");
            fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
            write(&folder)?;
            Ok(folder)
        })
    }

    /// An error, once the run is being stopped; asked after each update.
    pub fn go_on(&self) -> Result<()> {
        if self.sink.stopping() {
            Err(Stopped.into())
        } else {
            Ok(())
        }
    }

    /// A value made from the artifact `digest`, kept for the next stage. The
    /// caller must not change what it borrows.
    pub fn borrow<T: 'static>(
        &self,
        digest: Digest,
        load: impl FnOnce() -> Result<T>,
    ) -> Result<Rc<T>> {
        if let Some((held, value)) = self.held.0.borrow().as_ref()
            && *held == digest
            && let Some(value) = value.downcast_ref::<Rc<T>>()
        {
            return Ok(Rc::clone(value));
        }
        // Free the old value first: two models may not fit.
        self.held.0.replace(None);
        let value = Rc::new(load()?);
        self.held
            .0
            .replace(Some((digest, Box::new(Rc::clone(&value)))));
        Ok(value)
    }

    /// The same value as the caller's own, to change at will.
    pub fn take<T: 'static>(&self, digest: Digest, load: impl FnOnce() -> Result<T>) -> Result<T> {
        if let Some((held, value)) = self.held.0.take()
            && held == digest
            && let Ok(value) = value.downcast::<Rc<T>>()
            && let Ok(value) = Rc::try_unwrap(*value)
        {
            return Ok(value);
        }
        load()
    }
}
