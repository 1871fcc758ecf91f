//! The contract between the engine and the kinds.
//!
//! A stage kind is one struct: its fields are its TOML parameters, its
//! serialized form is its share of the cache key, `run` is its work. The
//! engine sees a [`Kind`] (one row of the table of kinds) and an [`Action`]
//! (a stage with its parameters settled). Neither side imports the other.
mod context;
mod group;
mod harmless;
mod huge_pages;
mod open;
pub mod orphans;
mod reference;
mod unit;

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use toml::{
    Spanned,
    de::{DeValue, ValueDeserializer},
};

use crate::artifact::ArtifactType;

pub use context::{Context, Held, Inputs, Outputs, Produced, Resume, Sink, Stopped};
pub use group::Group;
pub use harmless::harmless;
pub use huge_pages::allow_huge_pages;
pub use open::{ALWAYS_PASSED, Delivery, Foreign, Open, Variables, ending, is_secret, lasting};
pub use reference::{Listed, Pinned, Reference, pattern_fault};
pub use unit::Unit;

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
    #[must_use]
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
    /// What its file's name ends in (`.svg`), where the text says so; else empty.
    pub ending: &'static str,
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
            ending: "",
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
    /// For kinds whose ports the text of the pipeline names; `PORTS` is empty then.
    const OPEN: Option<Open> = None;
    /// Parameters that give axes their role in a gather.
    const ROLES: &'static [Role] = &[];
    /// The parameter in which smaller is a prefix of larger, if there is one.
    const PROGRESSIVE: Option<&'static str> = None;
    /// `lm::VERSION`, for kinds that compute with a model.
    const LM: Option<u32> = None;
    /// Whether the same parameters and inputs always give the same bytes. Only
    /// then may a pipeline call the result `temp`.
    const BITWISE: bool = true;
    /// Whether results are copied to the folder for people where the text does
    /// not say `publish`.
    const PUBLISH: bool = true;

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

    /// Revisions on a model hub that the parameters name.
    fn references(&self) -> Vec<Reference> {
        Vec::new()
    }

    /// Environment variables that the stage reads.
    fn variables(&self) -> Variables {
        Variables::default()
    }

    /// Changes the parameters into what enters the key. Externals that are
    /// parameters of their own are out already.
    fn keyed(&self, _params: &mut Map<String, Value>) {}

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
    fn references(&self) -> Vec<Reference>;
    fn variables(&self) -> Variables;
    fn keyed(&self, params: &mut Map<String, Value>);
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

    fn references(&self) -> Vec<Reference> {
        Stage::references(self)
    }

    fn variables(&self) -> Variables {
        Stage::variables(self)
    }

    fn keyed(&self, params: &mut Map<String, Value>) {
        Stage::keyed(self, params);
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

/// From the text of a pipeline, with spans, to settled parameters.
pub type Parse = fn(Spanned<DeValue<'_>>) -> Result<Box<dyn Action>, ParamFault>;

/// A kind as the engine sees it: one row of the table of kinds.
pub struct Kind {
    pub name: &'static str,
    pub version: u32,
    pub about: &'static str,
    pub ports: Ports,
    /// Whose ports the text names: ask the stage for them, not the kind.
    pub open: Option<Open>,
    pub roles: &'static [Role],
    pub progressive: Option<&'static str>,
    pub lm: Option<u32>,
    pub bitwise: bool,
    pub publish: bool,
    /// JSON Schema of the parameters, with their docs and defaults.
    pub schema: fn() -> schemars::Schema,
    /// From the text of a pipeline, with spans.
    pub parse: Parse,
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
            open: S::OPEN,
            roles: S::ROLES,
            progressive: S::PROGRESSIVE,
            lm: S::LM,
            bitwise: S::BITWISE,
            publish: S::PUBLISH,
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
