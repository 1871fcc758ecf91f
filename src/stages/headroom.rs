//! Kind `headroom`: what exponential tilting of the reward could still gain.
//!
//! One forward pass per prompt; the formulas are `theory`'s. Knows nothing of
//! costates: its alphas can change and no signal is measured again.
use anyhow::{Context as _, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    artifact::{
        ArtifactType, Split,
        schema::{HEADROOM, HEADROOM_PROMPTS},
        table::encode_rows,
    },
    lm::{self, DeviceClass, Precision},
    stage::{Context, InputPort, Inputs, OutputPort, Outputs, Ports, Produced, Refusal, Stage},
    stages::{Vocab, answers::Answers, ranges, rows::HeadroomRow},
    theory::{self, headroom_per_prompt, headroom_pooled, mean},
};

/// H per prompt = (1/alpha) log1p(p_y expm1(alpha)) - p_y (eq. 28 with reward
/// 1[a = y]) and its mean; H pooled = (1/alpha) log mean_q e^(alpha p_y) -
/// mean_q p_y (sec. 6 with reward p_y). In units of reward.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Headroom {
    /// Inverse temperature of the tilt, above 0.
    pub alpha: f64,
    /// Further alphas to report, above 0.
    pub sweep: Vec<f64>,
    /// The prompts measured on: eval, or train.
    pub split: Split,
    /// Device class of the forward pass; formulas are f64 on the host.
    pub device: DeviceClass,
    /// Number format of weights and states.
    pub dtype: Precision,
}

impl Default for Headroom {
    fn default() -> Headroom {
        Headroom {
            alpha: 1.0,
            sweep: vec![0.5, 1.0, 2.0, 5.0, 10.0],
            split: Split::Eval,
            device: DeviceClass::Cpu,
            dtype: Precision::F32,
        }
    }
}

/// A row of the table `headroom-prompts`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct PromptRow {
    step: i64,
    prompt: i64,
    vocab: String,
    alpha: f64,
    p_y: f64,
    value: f64,
}

impl Stage for Headroom {
    const KIND: &'static str = "headroom";
    const VERSION: u32 = 1;
    const ABOUT: &'static str = "headroom of a checkpoint before RL, per prompt and pooled";
    const PORTS: Ports = Ports {
        inputs: &[
            InputPort::one("checkpoint", ArtifactType::Checkpoint, "the model measured"),
            InputPort::one("prompts", ArtifactType::Prompts, "one-token prompts"),
        ],
        outputs: &[
            OutputPort::new(
                "headroom",
                ArtifactType::Table(HEADROOM.name),
                "one row per vocabulary, kind and alpha",
            ),
            OutputPort::new(
                "prompts",
                ArtifactType::Table(HEADROOM_PROMPTS.name),
                "headroom of each prompt, per vocabulary and alpha",
            ),
        ],
    };
    const LM: Option<u32> = Some(lm::VERSION);

    fn check(&self) -> Result<(), Refusal> {
        ranges::positive("alpha", self.alpha)?;
        (self.sweep.iter()).try_for_each(|&alpha| ranges::positive("sweep", alpha))
    }

    fn run(&self, inputs: &Inputs, context: &Context<'_>) -> Result<Outputs> {
        let answers = Answers::of(inputs, context, self.split, self.device, self.dtype)?;
        let (mut rows, mut prompts) = (Vec::new(), Vec::new());
        for vocab in [Vocab::Full, Vocab::Labels] {
            let pairs: Vec<(f64, f64)> = (answers.prompts.iter())
                .map(|answer| answers.policy(answer, vocab))
                .map(|policy| (policy.p_y(), policy.q_y))
                .collect();
            let p_y: Vec<f64> = pairs.iter().map(|(p, _)| *p).collect();
            for alpha in self.alphas() {
                let each = pairs.iter().map(|&(p, q)| headroom_per_prompt(p, q, alpha));
                let each: Vec<f64> = each.collect();
                for (kind, value) in [
                    (theory::Headroom::PerPrompt, mean(&each)),
                    (theory::Headroom::Pooled, headroom_pooled(&p_y, alpha)),
                ] {
                    rows.push(HeadroomRow {
                        step: answers.step,
                        tokens: Some(answers.tokens),
                        vocab: vocab.name().to_owned(),
                        kind: kind.name().to_owned(),
                        alpha,
                        value: value.context("no prompts")?,
                    });
                }
                let of_prompts = answers.prompts.iter().zip(each).zip(&p_y);
                prompts.extend(of_prompts.map(|((answer, value), &p_y)| PromptRow {
                    step: answers.step,
                    prompt: answer.prompt,
                    vocab: vocab.name().to_owned(),
                    alpha,
                    p_y,
                    value,
                }));
            }
        }
        let prompts = encode_rows(&prompts, &HEADROOM_PROMPTS)?;
        Ok(Outputs::new()
            .with("headroom", Produced::Bytes(encode_rows(&rows, &HEADROOM)?))
            .with("prompts", Produced::Bytes(prompts)))
    }
}

impl Headroom {
    /// The alpha and the sweep, ascending, each once.
    fn alphas(&self) -> Vec<f64> {
        let mut alphas = self.sweep.clone();
        alphas.push(self.alpha);
        alphas.sort_by(f64::total_cmp);
        alphas.dedup();
        alphas
    }
}

#[cfg(test)]
mod tests;
