//! Toy kinds: pure functions on small texts, so that the engine is tested in
//! milliseconds and without a model. They are run; what a text means is tested
//! on the declarations in `sketch`.
use std::{cell::Cell, fs};

use anyhow::{Result, bail};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vgh::{
    artifact::{Artifact, ArtifactType::Files, show_coords},
    stage::{
        Context, External, InputPort, Inputs, Kind, OutputPort, Outputs, Ports, Produced, Refusal,
        Role, Stage,
    },
};

mod numbers;

use numbers::{Climb, Dice, Floor, NumberBefore, Split, Total};
pub(crate) use numbers::{DICE, Join};

pub(crate) const KINDS: &[Kind] = &all();

pub(crate) const fn all() -> [Kind; 12] {
    [
        Kind::of::<Number>(),
        Kind::of::<Double>(),
        Kind::of::<Collect>(),
        Kind::of::<Count>(),
        Kind::of::<Lines>(),
        Kind::of::<Fail>(),
        Kind::of::<Floor>(),
        Kind::of::<Total>(),
        Kind::of::<Climb>(),
        Kind::of::<Split>(),
        Kind::of::<Dice>(),
        Kind::of::<Join>(),
    ]
}

/// `number` as it was before it had the parameter `note`.
pub(crate) const fn number_without_note() -> Kind {
    Kind::of::<NumberBefore>()
}

thread_local! {
    /// Updates that `count` did in this thread, for tests of progressive passes.
    pub(crate) static UPDATES: Cell<u64> = const { Cell::new(0) };
}

const OUT: &[OutputPort] = &[OutputPort::new("n", Files, "a text")];
const ONE: Ports = Ports {
    inputs: &[InputPort::one("n", Files, "a text")],
    outputs: OUT,
};
const NONE: Ports = Ports {
    inputs: &[],
    outputs: OUT,
};

/// What gathers along the axes of the parameter `along`.
const MANY: Ports = Ports {
    inputs: &[InputPort::many("n", Files, "texts")],
    outputs: OUT,
};
const ALONG: &[Role] = &[Role {
    param: "along",
    list: true,
}];

#[expect(clippy::unnecessary_wraps, reason = "every kind ends with it")]
fn out(text: String) -> Result<Outputs> {
    Ok(Outputs::new().with("n", Produced::Bytes(text.into_bytes())))
}

/// Where a progressive kind begins: at its last snapshot, else at its input.
fn begin(inputs: &Inputs, context: &Context<'_>) -> Result<(u64, String)> {
    Ok(match context.resume() {
        Some(resume) => (resume.mark, fs::read_to_string(resume.folder.join("text"))?),
        None => (0, read(inputs.one("n")?)?),
    })
}

/// Leaves a snapshot.
fn leave(context: &Context<'_>, mark: u64, text: &str) -> Result<()> {
    context.snapshot(mark, &|folder| Ok(fs::write(folder.join("text"), text)?))
}

fn read(artifact: &Artifact) -> Result<String> {
    Ok(fs::read_to_string(artifact.file()?)?)
}

/// A constant.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Number {
    value: f64,
    #[serde(default)]
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

impl Stage for Number {
    const KIND: &'static str = "number";
    const VERSION: u32 = 1;
    const ABOUT: &'static str = "a constant";
    const PORTS: Ports = NONE;

    fn check(&self) -> Result<(), Refusal> {
        if self.value < 0.0 {
            return Err(Refusal::new(
                "value",
                format!("`value` is {}, it must not be negative", self.value),
            ));
        }
        Ok(())
    }

    fn run(&self, _inputs: &Inputs, _context: &Context<'_>) -> Result<Outputs> {
        out(self.value.to_string())
    }
}

/// Twice its input plus a constant.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Double {
    #[serde(default)]
    add: f64,
}

impl Stage for Double {
    const KIND: &'static str = "double";
    const VERSION: u32 = 1;
    const ABOUT: &'static str = "2 n + add";
    const PORTS: Ports = ONE;

    fn run(&self, inputs: &Inputs, _context: &Context<'_>) -> Result<Outputs> {
        let n: f64 = read(inputs.one("n")?)?.parse()?;
        out((2.0 * n + self.add).to_string())
    }
}

/// Everything along some axes, one line each.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Collect {
    #[serde(default)]
    along: Vec<String>,
}

impl Stage for Collect {
    const KIND: &'static str = "collect";
    const VERSION: u32 = 1;
    const ABOUT: &'static str = "gathers texts";
    const PORTS: Ports = MANY;
    const ROLES: &'static [Role] = ALONG;

    fn gathered_axes(&self) -> Vec<String> {
        self.along.clone()
    }

    fn run(&self, inputs: &Inputs, _context: &Context<'_>) -> Result<Outputs> {
        let lines = inputs.all("n").iter().map(|artifact| {
            Ok(format!(
                "{}: {}",
                show_coords(&artifact.coords),
                read(artifact)?
            ))
        });
        out(lines.collect::<Result<Vec<_>>>()?.join("\n"))
    }
}

/// Counts up from its input; smaller is a prefix of larger.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Count {
    to: u64,
}

impl Stage for Count {
    const KIND: &'static str = "count";
    const VERSION: u32 = 1;
    const ABOUT: &'static str = "n, n+1, ... after `to` updates";
    const PORTS: Ports = ONE;
    const PROGRESSIVE: Option<&'static str> = Some("to");

    fn run(&self, inputs: &Inputs, context: &Context<'_>) -> Result<Outputs> {
        let (mut at, mut text) = begin(inputs, context)?;
        while at < self.to {
            at += 1;
            UPDATES.with(|updates| updates.set(updates.get() + 1));
            text.push_str(&format!(" {at}"));
            if at < self.to && context.marks().contains(&at) {
                context.reached(at, out(text.clone())?)?;
            }
        }
        leave(context, self.to, &text)?;
        out(text)
    }
}

/// A file's lines without comments, so that an edit of a comment is cut off.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lines {
    path: String,
}

impl Stage for Lines {
    const KIND: &'static str = "lines";
    const VERSION: u32 = 1;
    const ABOUT: &'static str = "a file without its comments";
    const PORTS: Ports = NONE;

    fn externals(&self) -> Vec<External> {
        vec![External {
            param: "path",
            path: self.path.clone().into(),
        }]
    }

    fn run(&self, _inputs: &Inputs, context: &Context<'_>) -> Result<Outputs> {
        let text = fs::read_to_string(context.external("path")?)?;
        out(text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .collect::<Vec<_>>()
            .join("\n"))
    }
}

/// Fails, or panics when told so.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fail {
    #[serde(default)]
    panic: bool,
}

impl Stage for Fail {
    const KIND: &'static str = "fail";
    const VERSION: u32 = 1;
    const ABOUT: &'static str = "fails";
    const PORTS: Ports = ONE;

    fn run(&self, _inputs: &Inputs, _context: &Context<'_>) -> Result<Outputs> {
        assert!(!self.panic, "told to panic");
        bail!("told to fail")
    }
}
