//! Declarations without work, for tests of what a pipeline's text means: ports,
//! parameters and roles like those of the real kinds, held still while those
//! change, and a pipeline of them. Never run; what runs is in `toy`.
use anyhow::{Result, bail};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vgh::{
    artifact::ArtifactType,
    stage::{Context, InputPort, Inputs, Kind, OutputPort, Outputs, Ports, Refusal, Role, Stage},
};

pub(crate) const KINDS: &[Kind] = &[
    Kind::of::<CopyCorpus>(),
    Kind::of::<CopyCorpora>(),
    Kind::of::<Relay>(),
    Kind::of::<Pretrain>(),
    Kind::of::<LabelCopy>(),
    Kind::of::<Headroom>(),
    Kind::of::<Scores>(),
    Kind::of::<Grpo>(),
    Kind::of::<Impact>(),
    Kind::of::<Report>(),
];

const SCORES: ArtifactType = ArtifactType::Table("scores");
const REWARDS: ArtifactType = ArtifactType::Table("rewards");
const HEADROOM: ArtifactType = ArtifactType::Table("headroom");
const LOG: ArtifactType = ArtifactType::Table("training-log");

const fn input(name: &'static str, artifact: ArtifactType) -> InputPort {
    InputPort::one(name, artifact, "")
}

const fn output(name: &'static str, artifact: ArtifactType) -> OutputPort {
    OutputPort::new(name, artifact, "")
}

/// What a declaration without work has in common with all others.
macro_rules! no_work {
    () => {
        const VERSION: u32 = 1;
        const ABOUT: &'static str = "";

        fn run(&self, _: &Inputs, _: &Context<'_>) -> Result<Outputs> {
            bail!("a sketch does no work")
        }
    };
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CopyCorpus {
    #[serde(default)]
    seed: u64,
    #[serde(default)]
    text: String,
}

impl Stage for CopyCorpus {
    const KIND: &'static str = "copy-corpus";
    const PORTS: Ports = Ports {
        inputs: &[],
        outputs: &[output("corpus", ArtifactType::Corpus)],
    };
    no_work!();
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CopyCorpora {}

impl Stage for CopyCorpora {
    const KIND: &'static str = "copy-corpora";
    const PORTS: Ports = Ports {
        inputs: &[],
        outputs: &[
            output("small", ArtifactType::Corpus),
            output("large", ArtifactType::Corpus),
        ],
    };
    no_work!();
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Relay {}

impl Stage for Relay {
    const KIND: &'static str = "relay";
    const PORTS: Ports = Ports {
        inputs: &[input("corpus", ArtifactType::Corpus)],
        outputs: &[output("corpus", ArtifactType::Corpus)],
    };
    no_work!();
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pretrain {
    steps: u32,
    decay_steps: u32,
    #[serde(default)]
    seed: u64,
}

impl Stage for Pretrain {
    const KIND: &'static str = "pretrain";
    const PORTS: Ports = Ports {
        inputs: &[input("corpus", ArtifactType::Corpus)],
        outputs: &[output("checkpoint", ArtifactType::Checkpoint)],
    };
    const PROGRESSIVE: Option<&'static str> = Some("steps");

    fn check(&self) -> Result<(), Refusal> {
        if self.steps > self.decay_steps {
            return Err(Refusal::new(
                "steps",
                format!(
                    "`steps` is {}, beyond `decay_steps` = {}",
                    self.steps, self.decay_steps
                ),
            ));
        }
        Ok(())
    }
    no_work!();
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LabelCopy {
    #[serde(default)]
    seed: u64,
}

impl Stage for LabelCopy {
    const KIND: &'static str = "label-copy";
    const PORTS: Ports = Ports {
        inputs: &[input("corpus", ArtifactType::Corpus)],
        outputs: &[output("prompts", ArtifactType::Prompts)],
    };
    no_work!();
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Headroom {
    #[serde(default = "one")]
    alpha: f64,
}

fn one() -> f64 {
    1.0
}

impl Stage for Headroom {
    const KIND: &'static str = "headroom";
    const PORTS: Ports = Ports {
        inputs: &[
            input("checkpoint", ArtifactType::Checkpoint),
            input("prompts", ArtifactType::Prompts),
        ],
        outputs: &[output("headroom", HEADROOM)],
    };

    fn check(&self) -> Result<(), Refusal> {
        if (0.0..=1.0).contains(&self.alpha) {
            return Ok(());
        }
        Err(Refusal::new(
            "alpha",
            format!("`alpha` lies in [0, 1], not at {}", self.alpha),
        ))
    }
    no_work!();
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scores {
    ladder: String,
}

impl Stage for Scores {
    const KIND: &'static str = "scores";
    const PORTS: Ports = Ports {
        inputs: &[InputPort::many("headroom", HEADROOM, "")],
        outputs: &[output("scores", SCORES)],
    };
    const ROLES: &'static [Role] = &[Role {
        param: "ladder",
        list: false,
    }];

    fn gathered_axes(&self) -> Vec<String> {
        vec![self.ladder.clone()]
    }
    no_work!();
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Advantage {
    Mean,
    Standardized,
}

fn mean() -> Advantage {
    Advantage::Mean
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Grpo {
    updates: u32,
    learning_rate: f64,
    #[serde(default)]
    beta: f64,
    #[serde(default = "mean")]
    advantage: Advantage,
    #[serde(default)]
    seed: u64,
    #[serde(default)]
    note: String,
}

impl Stage for Grpo {
    const KIND: &'static str = "grpo";
    const PORTS: Ports = Ports {
        inputs: &[
            input("checkpoint", ArtifactType::Checkpoint),
            input("prompts", ArtifactType::Prompts),
        ],
        outputs: &[
            output("rewards", REWARDS),
            output("training-log", LOG),
            output("checkpoint", ArtifactType::Checkpoint),
        ],
    };
    const PROGRESSIVE: Option<&'static str> = Some("updates");

    fn check(&self) -> Result<(), Refusal> {
        if self.learning_rate > 0.0 {
            return Ok(());
        }
        Err(Refusal::new(
            "learning_rate",
            format!("`learning_rate` is above 0, not {}", self.learning_rate),
        ))
    }
    no_work!();
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Impact {
    ladder: String,
    budgets: String,
    #[serde(default)]
    replicates: Vec<String>,
}

impl Stage for Impact {
    const KIND: &'static str = "impact";
    const PORTS: Ports = Ports {
        inputs: &[
            input("scores", SCORES),
            InputPort::many("rewards", REWARDS, ""),
        ],
        outputs: &[output("impact", ArtifactType::Table("impact"))],
    };
    const ROLES: &'static [Role] = &[
        Role {
            param: "ladder",
            list: false,
        },
        Role {
            param: "budgets",
            list: false,
        },
        Role {
            param: "replicates",
            list: true,
        },
    ];

    fn gathered_axes(&self) -> Vec<String> {
        let mut axes = vec![self.ladder.clone(), self.budgets.clone()];
        axes.extend(self.replicates.clone());
        axes
    }
    no_work!();
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Report {
    #[serde(default)]
    title: String,
}

impl Stage for Report {
    const KIND: &'static str = "report";
    const PORTS: Ports = Ports {
        inputs: &[
            InputPort::all("impact", ArtifactType::Table("impact"), ""),
            InputPort::all("rewards", REWARDS, "").optional(),
        ],
        outputs: &[output("body", ArtifactType::Document)],
    };
    no_work!();
}

/// The quickstart's form, smaller.
pub(crate) const GOOD: &str = include_str!("sketch.toml");
