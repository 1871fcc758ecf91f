//! Kind `costates`: the signal of a checkpoint before any RL.
//!
//! One forward pass per prompt and products of the head with itself give every
//! reading of Sigma, IP and Lambda in closed form; no backward pass. Seeded
//! groups give the sampled estimators beside them. The formulas are `theory`'s.
mod drawn;
mod products;
mod readings;
mod tables;

use anyhow::Result;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    artifact::{
        ArtifactType, Split,
        schema::{COSTATES, SIGNAL},
        table::encode_rows,
    },
    lm::{self, DeviceClass, Precision},
    seed::Seed,
    stage::{Context, InputPort, Inputs, OutputPort, Outputs, Ports, Produced, Refusal, Stage},
    stages::{Hidden, Vocab, answers::Answers, ranges, rows::SignalRow},
    theory::{Advantage, Group},
};

use drawn::{Drawn, Rows};
use readings::Reading;
use tables::{Baselines, CostateRow, Sheet};

/// Signals and lost signals of the one-token task with reward 1[a = y]:
/// G = dR/dh = p_y s(y), s(a) = w_a - w_bar (eq. 2, 5, 9); Sigma = |G|^2;
/// E lambda_hat = m G (eq. 12), IP = m |G|^2 (eq. 24);
/// Lambda_cond = |G|^2 |m - 1| (eq. 26); Lambda_ps = |G| E|A s(a) - G| (sec. 6);
/// S = Sigma - Lambda (eq. 27). Every hidden state (post or pre final norm),
/// vocabulary (full or labels), advantage and group is a row; sums are
/// unweighted means over the prompts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Costates {
    /// Seed of the sampled groups. All checkpoints share its draws.
    pub seed: Seed,
    /// Device class of the forward pass; formulas are f64 on the host.
    pub device: DeviceClass,
    /// Number format of weights and states.
    pub dtype: Precision,
    /// n: group size of the exact forms (beside the infinite group) and of the
    /// sampled groups, 2 to 4096; take what RL runs with. The baseline
    /// `zero_var_share` is that of this n in every row.
    pub num_generations: u32,
    /// Groups sampled at each prompt, 2 to 65536; 0 leaves sampled rows out.
    pub groups: u32,
    /// Further group sizes of the exact forms, 2 to 4096 each.
    pub group_sizes: Vec<u32>,
    /// The prompts measured on: eval, or train.
    pub split: Split,
}

impl Default for Costates {
    fn default() -> Costates {
        Costates {
            seed: Seed(0),
            device: DeviceClass::Cpu,
            dtype: Precision::F32,
            num_generations: 8,
            groups: 32,
            group_sizes: Vec::new(),
            split: Split::Eval,
        }
    }
}

impl Stage for Costates {
    const KIND: &'static str = "costates";
    const VERSION: u32 = 1;
    const ABOUT: &'static str =
        "signal and lost signal of a checkpoint before RL, in every reading";
    const PORTS: Ports = Ports {
        inputs: &[
            InputPort::one("checkpoint", ArtifactType::Checkpoint, "the model measured"),
            InputPort::one("prompts", ArtifactType::Prompts, "one-token prompts"),
        ],
        outputs: &[
            OutputPort::new(
                "costates",
                ArtifactType::Table(COSTATES.name),
                "one row per prompt and reading",
            ),
            OutputPort::new(
                "signal",
                ArtifactType::Table(SIGNAL.name),
                "means over the prompts, one row per reading, with baselines",
            ),
        ],
    };
    const LM: Option<u32> = Some(lm::VERSION);

    fn check(&self) -> Result<(), Refusal> {
        const LARGEST: u64 = 4096;
        ranges::whole("num_generations", self.num_generations.into(), 2, LARGEST)?;
        if self.groups != 0 {
            ranges::whole("groups", self.groups.into(), 2, 65_536)?;
        }
        for &n in &self.group_sizes {
            ranges::whole("group_sizes", n.into(), 2, LARGEST)?;
        }
        Ok(())
    }

    fn run(&self, inputs: &Inputs, context: &Context<'_>) -> Result<Outputs> {
        let answers = Answers::of(inputs, context, self.split, self.device, self.dtype)?;
        let (mut rows, mut signals) = (Vec::new(), Vec::new());
        for vocab in [Vocab::Full, Vocab::Labels] {
            let baselines = Baselines::of(&answers, vocab, self.num_generations);
            let drawn = self.draw(&answers, vocab);
            for hidden in [Hidden::Post, Hidden::Pre] {
                context.go_on()?;
                let sheet = Sheet {
                    answers: &answers,
                    hidden,
                    vocab,
                    baselines,
                };
                let readings = readings::readings(&answers, hidden, vocab)?;
                self.exact(&sheet, &readings, &mut rows, &mut signals);
                if self.groups > 0 {
                    self.sampled(&sheet, &readings, &drawn, &mut rows, &mut signals)?;
                }
            }
        }
        Ok(Outputs::new()
            .with("costates", Produced::Bytes(encode_rows(&rows, &COSTATES)?))
            .with("signal", Produced::Bytes(encode_rows(&signals, &SIGNAL)?)))
    }
}

impl Costates {
    /// The infinite group, then finite ones, ascending.
    fn exact_groups(&self) -> Vec<Group> {
        let mut sizes = self.group_sizes.clone();
        sizes.push(self.num_generations);
        sizes.sort_unstable();
        sizes.dedup();
        let finite = sizes.into_iter().map(Group::N);
        std::iter::once(Group::Inf).chain(finite).collect()
    }

    fn draw(&self, answers: &Answers, vocab: Vocab) -> Vec<Drawn> {
        let (groups, n) = (self.groups as usize, self.num_generations as usize);
        (answers.prompts.iter())
            .map(|answer| {
                let policy = answers.policy(answer, vocab);
                Drawn::at(&policy, vocab, self.seed, answer.prompt, groups, n)
            })
            .collect()
    }

    fn exact(
        &self,
        sheet: &Sheet<'_>,
        readings: &[Reading],
        rows: &mut Vec<CostateRow>,
        signals: &mut Vec<SignalRow>,
    ) {
        for advantage in Advantage::ALL {
            for group in self.exact_groups() {
                let (prompts, signal) = sheet.exact(readings, advantage, group);
                rows.extend(prompts);
                signals.push(signal);
            }
        }
        let (prompts, signal) = sheet.prob_batch(readings);
        rows.extend(prompts);
        signals.push(signal);
    }

    fn sampled(
        &self,
        sheet: &Sheet<'_>,
        readings: &[Reading],
        drawn: &[Drawn],
        rows: &mut Vec<CostateRow>,
        signals: &mut Vec<SignalRow>,
    ) -> Result<()> {
        let head = Rows::of(sheet.answers, sheet.hidden, sheet.vocab, drawn)?;
        let pairs = readings.iter().zip(drawn);
        let parts: Vec<_> = pairs
            .map(|(reading, drawn)| drawn.parts(reading, &head))
            .collect();
        for (place, advantage) in Advantage::ALL.into_iter().enumerate() {
            let drawn: Vec<_> = parts.iter().map(|all| all[place].1.as_slice()).collect();
            let group = Group::N(self.num_generations);
            let (prompts, signal) = sheet.sampled(readings, &drawn, advantage, group);
            rows.extend(prompts);
            signals.push(signal);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
