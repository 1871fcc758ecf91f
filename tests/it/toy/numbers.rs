//! More toy kinds on numbers: some forget a part of their input, so that
//! different inputs give equal outputs; one counts with resume state; one has
//! two outputs; one is not deterministic.
use std::cell::Cell;

use anyhow::Result;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vgh::{
    artifact::{ArtifactType, ArtifactType::Files, schema::REWARDS, table::encode_rows},
    stage::{Context, InputPort, Inputs, OutputPort, Outputs, Ports, Produced, Role, Stage},
};

use crate::toy::{ALONG, MANY, NONE, ONE, OUT, begin, leave, out, read};

/// Its input divided and rounded down.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Floor {
    by: f64,
}

impl Stage for Floor {
    const KIND: &'static str = "floor";
    const VERSION: u32 = 1;
    const ABOUT: &'static str = "n / by, rounded down";
    const PORTS: Ports = ONE;

    fn run(&self, inputs: &Inputs, _context: &Context<'_>) -> Result<Outputs> {
        let n: f64 = read(inputs.one("n")?)?.parse()?;
        out((n / self.by).floor().to_string())
    }
}

/// `number` in an earlier release.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NumberBefore {
    value: f64,
}

impl Stage for NumberBefore {
    const KIND: &'static str = "number";
    const VERSION: u32 = 1;
    const ABOUT: &'static str = "a constant";
    const PORTS: Ports = NONE;

    fn run(&self, _inputs: &Inputs, _context: &Context<'_>) -> Result<Outputs> {
        out(self.value.to_string())
    }
}

/// Two numbers as one.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Join {}

impl Stage for Join {
    const KIND: &'static str = "join";
    const VERSION: u32 = 1;
    const ABOUT: &'static str = "7 n + m mod 1009";
    const PORTS: Ports = Ports {
        inputs: &[
            InputPort::one("n", Files, "a number"),
            InputPort::one("m", Files, "another"),
        ],
        outputs: OUT,
    };

    fn run(&self, inputs: &Inputs, _context: &Context<'_>) -> Result<Outputs> {
        let number = |port: &str| -> Result<f64> { Ok(read(inputs.one(port)?)?.parse()?) };
        out(((7.0 * number("n")? + number("m")?) % 1009.0).to_string())
    }
}

/// The sum along some axes.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Total {
    #[serde(default)]
    along: Vec<String>,
}

impl Stage for Total {
    const KIND: &'static str = "total";
    const VERSION: u32 = 1;
    const ABOUT: &'static str = "sums numbers";
    const PORTS: Ports = MANY;
    const ROLES: &'static [Role] = ALONG;

    fn gathered_axes(&self) -> Vec<String> {
        self.along.clone()
    }

    fn run(&self, inputs: &Inputs, _context: &Context<'_>) -> Result<Outputs> {
        let mut sum = 0.0;
        for artifact in inputs.all("n") {
            sum += read(artifact)?.parse::<f64>()?;
        }
        out(sum.to_string())
    }
}

/// Steps through the numbers below 97; smaller is a prefix of larger.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Climb {
    to: u64,
}

impl Stage for Climb {
    const KIND: &'static str = "climb";
    const VERSION: u32 = 1;
    const ABOUT: &'static str = "`to` times n := 3 n + 1 mod 97";
    const PORTS: Ports = ONE;
    const PROGRESSIVE: Option<&'static str> = Some("to");

    fn run(&self, inputs: &Inputs, context: &Context<'_>) -> Result<Outputs> {
        let (mut at, text) = begin(inputs, context)?;
        let mut n: f64 = text.parse()?;
        while at < self.to {
            at += 1;
            n = (3.0 * n + 1.0) % 97.0;
            if at < self.to && context.marks().contains(&at) {
                context.reached(at, out(n.to_string())?)?;
            }
        }
        leave(context, self.to, &n.to_string())?;
        out(n.to_string())
    }
}

/// Quotient and remainder.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Split {
    by: f64,
}

impl Stage for Split {
    const KIND: &'static str = "split";
    const VERSION: u32 = 1;
    const ABOUT: &'static str = "n / by, rounded down, and the rest";
    const PORTS: Ports = Ports {
        inputs: ONE.inputs,
        outputs: &[
            OutputPort::new("n", Files, "quotient"),
            OutputPort::new("rest", Files, "remainder"),
        ],
    };

    fn run(&self, inputs: &Inputs, _context: &Context<'_>) -> Result<Outputs> {
        let n: f64 = read(inputs.one("n")?)?.parse()?;
        let rest = Produced::Bytes((n % self.by).to_string().into_bytes());
        Ok(out((n / self.by).floor().to_string())?.with("rest", rest))
    }
}

thread_local! {
    /// What the next throw of `dice` in this thread shows.
    pub(crate) static DICE: Cell<f64> = const { Cell::new(1.0) };
}

/// Not deterministic: what a test puts into [`DICE`], as a table and a text.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Dice {}

#[derive(Serialize)]
struct Reward {
    step: i64,
    learning_rate: f64,
    rl_seed: i64,
    updates: i64,
    r_before: f64,
    r_after: f64,
    gain: f64,
}

impl Stage for Dice {
    const KIND: &'static str = "dice";
    const VERSION: u32 = 1;
    const ABOUT: &'static str = "a number that nobody can foretell";
    const PORTS: Ports = Ports {
        inputs: NONE.inputs,
        outputs: &[
            OutputPort::new("n", Files, "the number"),
            OutputPort::new(
                "table",
                ArtifactType::Table(REWARDS.name),
                "the same as a table",
            ),
        ],
    };

    fn run(&self, _inputs: &Inputs, _context: &Context<'_>) -> Result<Outputs> {
        let gain = DICE.get();
        let row = Reward {
            step: 1,
            learning_rate: 0.0,
            rl_seed: 0,
            updates: 1,
            r_before: 0.0,
            r_after: 0.0,
            gain,
        };
        let table = Produced::Bytes(encode_rows(&[row], &REWARDS)?);
        Ok(out(gain.to_string())?.with("table", table))
    }
}
