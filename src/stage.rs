//! The contract between the engine and the kinds.
//!
//! A stage kind is one struct: its fields are its TOML parameters, its
//! serialized form is its share of the cache key, `run` is its work. The
//! engine sees a [`Kind`] (one row of the table of kinds) and an [`Action`]
//! (a stage with its parameters settled). Neither side imports the other.
use std::{
    any::Any,
    cell::RefCell,
    collections::BTreeMap,
    path::{Path, PathBuf},
    rc::Rc,
};

use anyhow::{Context as _, Result, bail};
use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use toml::{
    Spanned,
    de::{DeValue, ValueDeserializer},
};

use crate::{
    artifact::{Artifact, ArtifactType},
    digest::Digest,
};

/// How many instances an input port takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arity {
    /// Exactly one.
    One,
    /// All along the axes that the kind's axis parameters give a role.
    Many,
    /// All there are; coordinates become columns and no axis needs a role.
    All,
}

#[derive(Debug, Clone, Copy, Serialize)]
pub struct InputPort {
    pub name: &'static str,
    pub artifact: ArtifactType,
    pub arity: Arity,
    pub required: bool,
    pub about: &'static str,
}

impl InputPort {
    pub const fn one(name: &'static str, artifact: ArtifactType, about: &'static str) -> InputPort {
        InputPort {
            name,
            artifact,
            arity: Arity::One,
            required: true,
            about,
        }
    }

    pub const fn many(
        name: &'static str,
        artifact: ArtifactType,
        about: &'static str,
    ) -> InputPort {
        InputPort {
            name,
            artifact,
            arity: Arity::Many,
            required: true,
            about,
        }
    }

    pub const fn all(name: &'static str, artifact: ArtifactType, about: &'static str) -> InputPort {
        InputPort {
            name,
            artifact,
            arity: Arity::All,
            required: true,
            about,
        }
    }

    /// The same port, which a pipeline may leave unconnected.
    pub const fn optional(self) -> InputPort {
        InputPort {
            required: false,
            ..self
        }
    }
}

#[derive(Debug, Clone, Copy, Serialize)]
pub struct OutputPort {
    pub name: &'static str,
    pub artifact: ArtifactType,
    pub about: &'static str,
}

impl OutputPort {
    pub const fn new(
        name: &'static str,
        artifact: ArtifactType,
        about: &'static str,
    ) -> OutputPort {
        OutputPort {
            name,
            artifact,
            about,
        }
    }
}

#[derive(Debug, Clone, Copy, Serialize)]
pub struct Ports {
    pub inputs: &'static [InputPort],
    pub outputs: &'static [OutputPort],
}

/// A parameter that names the axes which a [`Arity::Many`] port gathers.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Role {
    /// The parameter, such as `ladder`.
    pub param: &'static str,
    /// Whether the parameter is a list of axes.
    pub list: bool,
}

/// A file or folder outside the cache that a parameter names. Its content,
/// not its place, enters the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct External {
    pub param: &'static str,
    /// As written; relative to the folder of the pipeline file.
    pub path: PathBuf,
}

/// A parameter that has a type but not a meaning, such as a negative rate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub param: &'static str,
    /// Lower case, names in backticks, with the allowed range.
    pub message: String,
}

impl Refusal {
    pub fn new(param: &'static str, message: impl Into<String>) -> Refusal {
        Refusal {
            param,
            message: message.into(),
        }
    }
}

/// One kind of stage. See the header.
pub trait Stage: Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static {
    /// What a pipeline writes after `kind =`.
    const KIND: &'static str;
    /// Raise when the same parameters and inputs would now give other bytes.
    const VERSION: u32;
    /// One sentence for `vgh kinds`.
    const ABOUT: &'static str;
    const PORTS: Ports;
    /// Parameters that give axes their role in a gather.
    const ROLES: &'static [Role] = &[];
    /// The parameter in which smaller is a prefix of larger, if there is one.
    const PROGRESSIVE: Option<&'static str> = None;
    /// `lm::VERSION`, for kinds that compute with a model.
    const LM: Option<u32> = None;

    /// Ranges and relations between parameters that the types do not hold.
    fn check(&self) -> Result<(), Refusal> {
        Ok(())
    }

    /// The axes that the role parameters name.
    fn gathered_axes(&self) -> Vec<String> {
        Vec::new()
    }

    /// Files and folders that the parameters name.
    fn externals(&self) -> Vec<External> {
        Vec::new()
    }

    /// The work. A progressive kind hands over each mark but the last with
    /// [`Context::reached`] and returns the outputs of the last.
    fn run(&self, inputs: &Inputs, context: &Context<'_>) -> Result<Outputs>;
}

/// A stage with its parameters settled, ready to be keyed and run.
pub trait Action: Send + Sync {
    /// All parameters with defaults filled in.
    fn params(&self) -> Value;
    fn gathered_axes(&self) -> Vec<String>;
    fn externals(&self) -> Vec<External>;
    fn run(&self, inputs: &Inputs, context: &Context<'_>) -> Result<Outputs>;
}

impl<S: Stage> Action for S {
    fn params(&self) -> Value {
        serde_json::to_value(self).expect("stage parameters serialize to JSON")
    }

    fn gathered_axes(&self) -> Vec<String> {
        Stage::gathered_axes(self)
    }

    fn externals(&self) -> Vec<External> {
        Stage::externals(self)
    }

    fn run(&self, inputs: &Inputs, context: &Context<'_>) -> Result<Outputs> {
        Stage::run(self, inputs, context)
    }
}

/// Why parameters were refused, and where: the byte range of the token in the
/// pipeline's text, or the parameter to look for.
#[derive(Debug)]
pub struct ParamFault {
    pub message: String,
    pub span: Option<std::ops::Range<usize>>,
    pub param: Option<&'static str>,
}

/// A kind as the engine sees it: one row of the table of kinds.
pub struct Kind {
    pub name: &'static str,
    pub version: u32,
    pub about: &'static str,
    pub ports: Ports,
    pub roles: &'static [Role],
    pub progressive: Option<&'static str>,
    pub lm: Option<u32>,
    /// JSON Schema of the parameters, with their docs and defaults.
    pub schema: fn() -> schemars::Schema,
    /// From the text of a pipeline, with spans.
    pub parse: fn(Spanned<DeValue<'_>>) -> Result<Box<dyn Action>, ParamFault>,
    /// From a task, where all parameters are present.
    pub revive: fn(Value) -> Result<Box<dyn Action>>,
}

impl Kind {
    pub const fn of<S: Stage>() -> Kind {
        Kind {
            name: S::KIND,
            version: S::VERSION,
            about: S::ABOUT,
            ports: S::PORTS,
            roles: S::ROLES,
            progressive: S::PROGRESSIVE,
            lm: S::LM,
            schema: || schemars::SchemaGenerator::default().into_root_schema_for::<S>(),
            parse: parse::<S>,
            revive: revive::<S>,
        }
    }

    pub fn output(&self, name: &str) -> Option<&'static OutputPort> {
        self.ports.outputs.iter().find(|port| port.name == name)
    }

    pub fn input(&self, name: &str) -> Option<&'static InputPort> {
        self.ports.inputs.iter().find(|port| port.name == name)
    }
}

fn parse<S: Stage>(params: Spanned<DeValue<'_>>) -> Result<Box<dyn Action>, ParamFault> {
    let stage = S::deserialize(ValueDeserializer::from(params)).map_err(|error| ParamFault {
        message: error.message().to_owned(),
        span: error.span(),
        param: None,
    })?;
    stage.check().map_err(|refusal| ParamFault {
        message: refusal.message,
        span: None,
        param: Some(refusal.param),
    })?;
    Ok(Box::new(stage))
}

fn revive<S: Stage>(params: Value) -> Result<Box<dyn Action>> {
    let stage: S = serde_json::from_value(params)
        .with_context(|| format!("parameters of kind `{}`", S::KIND))?;
    Ok(Box::new(stage))
}

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
    /// A file or folder below [`Context::scratch`].
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
    fn progress(&self, done: u64, total: u64, note: &str);
    fn log(&self, line: &str);
    /// A mark of a progressive kind has been reached; `outputs` are its results.
    fn reached(&self, mark: u64, outputs: Outputs) -> Result<()>;
    /// Resume state to keep, replacing an older one.
    fn snapshot(&self, mark: u64, folder: &Path) -> Result<()>;
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
    pub sink: &'a dyn Sink,
    pub held: &'a Held,
}

impl Context<'_> {
    /// A private, empty folder, gone after the stage.
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

    pub fn progress(&self, done: u64, total: u64, note: &str) {
        self.sink.progress(done, total, note);
    }

    pub fn log(&self, line: &str) {
        self.sink.log(line);
    }

    pub fn reached(&self, mark: u64, outputs: Outputs) -> Result<()> {
        self.sink.reached(mark, outputs)
    }

    pub fn snapshot(&self, mark: u64, folder: &Path) -> Result<()> {
        self.sink.snapshot(mark, folder)
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
