//! Kind `grpo`: reinforcement learning from a checkpoint on one-token prompts.
//!
//! Progressive in `updates`: prompts and actions of an update are functions of
//! the seed and the update alone, so one pass to the last budget hands over
//! each smaller one exactly as a run of its own would.
mod history;
#[cfg(test)]
mod tests;

use anyhow::{Context as _, Result, ensure};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    artifact::{
        ArtifactType, Checkpoint, Prompts,
        schema::{REWARDS, ROLLOUTS, TRAINING_LOG},
        table::{encode, encode_rows},
    },
    lm::{self, DeviceClass, Files, Model, Precision, Tokenizer},
    rl::{Convention, GrpoOptions, Objective, Trainer},
    seed::Seed,
    stage::{Context, InputPort, Inputs, OutputPort, Outputs, Ports, Produced, Refusal, Stage},
    stages::{ranges, task::label_task},
    stats::mean_of,
};

use history::History;

/// GRPO (eq. 1) from a checkpoint, with reward 1[a = y] for the label's token y:
/// each update draws prompts and n actions per prompt from the policy, then
/// takes `num_iterations` AdamW steps (0.9, 0.999, 1e-8; constant rate; all
/// parameters) on loss = -mean over prompts and actions of
/// min(rho A, clip(rho, 1 - epsilon, 1 + epsilon) A) - beta k3, with
/// rho = pi / pi_old, k3 = exp(d) - d - 1, d = log pi_ref - log pi, and the
/// checkpoint itself as reference. Groups without variance stay in the mean.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Grpo {
    /// The budget K: rollout batches learnt from, at least 1. Smaller is a
    /// prefix of larger: nested budgets cost as much as the largest.
    pub updates: u64,
    /// Constant learning rate, above 0; 1e-6 to 1e-5 for a model of 1B
    /// parameters, 1e-4 to 3e-4 for a toy.
    pub learning_rate: f64,
    /// Seed of prompts and actions. All checkpoints share its draws.
    #[serde(default)]
    pub seed: Seed,
    /// n: actions drawn per prompt, 2 to 4096; 1 is enough for an `advantage`
    /// without groups (`none`, `prob-batch`).
    #[serde(default = "default::num_generations")]
    pub num_generations: usize,
    /// Train prompts per update, without replacement, at least 1.
    #[serde(default = "default::prompts_per_update")]
    pub prompts_per_update: usize,
    /// Half width of the band in which the ratio is not clipped, above 0, below 1.
    #[serde(default = "default::epsilon")]
    pub epsilon: f64,
    /// Weight of k3, the pull towards the reference, at least 0.
    #[serde(default = "default::beta")]
    pub beta: f64,
    /// Full-batch optimizer steps per update, 1 to 1024.
    #[serde(default = "default::num_iterations")]
    pub num_iterations: usize,
    /// Gradients are scaled down to at most this global norm; 0 leaves them.
    #[serde(default = "default::max_grad_norm")]
    pub max_grad_norm: f64,
    /// Decoupled weight decay on all parameters, at least 0.
    #[serde(default)]
    pub weight_decay: f64,
    /// Actions are drawn from softmax(z / temperature) over the full
    /// vocabulary, above 0. Rewards are evaluated at 1.
    #[serde(default = "default::temperature")]
    pub temperature: f64,
    /// How rewards become advantages.
    #[serde(default)]
    pub advantage: Convention,
    /// Device class.
    #[serde(default)]
    pub device: DeviceClass,
    /// Format of forward and backward passes; the weights that steps add up in
    /// stay f32.
    #[serde(default)]
    pub dtype: Precision,
    /// Format in which AdamW keeps its two moments: `bf16` takes 4 bytes per
    /// parameter instead of 8, in the host's memory also where the model is on a GPU.
    #[serde(default)]
    pub moments: Precision,
}

/// TRL's defaults, but a constant rate and the k3 weight of the paper's setting.
mod default {
    pub(super) fn num_generations() -> usize {
        8
    }
    pub(super) fn prompts_per_update() -> usize {
        24
    }
    pub(super) fn epsilon() -> f64 {
        0.2
    }
    pub(super) fn beta() -> f64 {
        0.04
    }
    pub(super) fn num_iterations() -> usize {
        1
    }
    pub(super) fn max_grad_norm() -> f64 {
        1.0
    }
    pub(super) fn temperature() -> f64 {
        1.0
    }
}

impl Stage for Grpo {
    const KIND: &'static str = "grpo";
    const VERSION: u32 = 1;
    const ABOUT: &'static str = "what GRPO gains from a checkpoint, by number of updates";
    const PORTS: Ports = Ports {
        inputs: &[
            InputPort::one(
                "checkpoint",
                ArtifactType::Checkpoint,
                "where RL starts, and the reference",
            ),
            InputPort::one(
                "prompts",
                ArtifactType::Prompts,
                "drawn from `train`, judged on `eval`",
            ),
        ],
        outputs: &[
            OutputPort::new(
                "rewards",
                ArtifactType::Table(REWARDS.name),
                "one row: mean p_y of the eval prompts before and after, and the gain",
            ),
            OutputPort::new(
                "training-log",
                ArtifactType::Table(TRAINING_LOG.name),
                "one row per update: means over its optimizer steps, extremes of the ratio",
            ),
            OutputPort::new(
                "rollouts",
                ArtifactType::Table(ROLLOUTS.name),
                "every action with reward, advantage and log-probabilities: replayable elsewhere",
            ),
        ],
    };
    const PROGRESSIVE: Option<&'static str> = Some("updates");
    const LM: Option<u32> = Some(lm::VERSION);

    fn check(&self) -> Result<(), Refusal> {
        let groups = self.advantage.of_groups();
        let alone = groups.is_none() || self.advantage == Convention::None;
        let least = if alone { 1 } else { 2 };
        ranges::whole("updates", self.updates, 1, 1_000_000)?;
        ranges::whole("num_generations", self.num_generations as u64, least, 4096)?;
        ranges::whole(
            "prompts_per_update",
            self.prompts_per_update as u64,
            1,
            1 << 20,
        )?;
        ranges::whole("num_iterations", self.num_iterations as u64, 1, 1024)?;
        ranges::positive("epsilon", self.epsilon)?;
        ranges::decay("epsilon", self.epsilon)?;
        ranges::positive("learning_rate", self.learning_rate)?;
        ranges::positive("temperature", self.temperature)?;
        ranges::not_negative("beta", self.beta)?;
        ranges::not_negative("max_grad_norm", self.max_grad_norm)?;
        ranges::not_negative("weight_decay", self.weight_decay)?;
        Ok(())
    }

    fn run(&self, inputs: &Inputs, context: &Context<'_>) -> Result<Outputs> {
        let checkpoint = Checkpoint::of(inputs.one("checkpoint")?)?;
        let tokenizer = Tokenizer::load(&Files(checkpoint.files.clone()))?;
        let prompts = Prompts::read(inputs.one("prompts")?)?;
        let mut run = Run::new(self, &checkpoint, &prompts, &tokenizer, context)?;
        let marks = context.marks();
        let (&last, earlier) = marks.split_last().context("no mark was asked for")?;
        for &mark in earlier {
            run.learn_until(mark, last, context)?;
            context.reached(mark, run.outputs(self, &checkpoint, &tokenizer)?)?;
        }
        run.learn_until(last, last, context)?;
        context.snapshot(last, &|folder| {
            run.trainer.save(folder)?;
            run.history.save(folder)
        })?;
        run.outputs(self, &checkpoint, &tokenizer)
    }
}

/// A model on its way, and what has been seen of it.
struct Run {
    trainer: Trainer,
    history: History,
}

impl Run {
    /// From the checkpoint, or from resume state.
    fn new(
        grpo: &Grpo,
        checkpoint: &Checkpoint,
        prompts: &Prompts,
        tokenizer: &Tokenizer,
        context: &Context<'_>,
    ) -> Result<Run> {
        let device = grpo.device.open()?;
        let dtype = grpo.dtype.dtype();
        if let Some(resume) = context.resume() {
            let text =
                std::fs::read_to_string(checkpoint.config()?).context("read `config.json`")?;
            let task = label_task(prompts, tokenizer, &lm::Config::parse(&text)?)?;
            let trainer = Trainer::load(&resume.folder, &device, dtype, task, grpo.options())?;
            let history = History::load(&resume.folder)?;
            let seen = (trainer.updates(), history.updates.len() as u64);
            ensure!(
                seen == (resume.mark, resume.mark),
                "resume state of mark {} holds weights of {} and rollouts of {} updates",
                resume.mark,
                seen.0,
                seen.1
            );
            return Ok(Run { trainer, history });
        }
        let files = Files(checkpoint.files.clone());
        let load = || Model::load(&files, &device, candle_core::DType::F32);
        let mut model = context.take(checkpoint.digest, load)?;
        // the model that a worker holds may be of another device or dtype
        if model.dtype() != candle_core::DType::F32 || !model.device().same_device(&device) {
            model = load()?;
        }
        let task = label_task(prompts, tokenizer, model.config())?;
        let trainer = Trainer::new(model, dtype, task, grpo.options())?;
        let history = History {
            r_before: trainer.expected_reward()?,
            updates: Vec::new(),
        };
        Ok(Run { trainer, history })
    }

    fn learn_until(&mut self, mark: u64, last: u64, context: &Context<'_>) -> Result<()> {
        while self.trainer.updates() < mark {
            context.go_on()?;
            let update = self.trainer.update()?;
            let note = format!("reward {:.3}", mean_of(&update.rewards));
            self.history.updates.push(update);
            context.progress(self.trainer.updates(), last, &note);
        }
        Ok(())
    }

    /// The tables of everything so far.
    fn outputs(
        &self,
        grpo: &Grpo,
        checkpoint: &Checkpoint,
        tokenizer: &Tokenizer,
    ) -> Result<Outputs> {
        let updates = self.history.updates.len() as u64;
        let (r_before, r_after) = (self.history.r_before, self.trainer.expected_reward()?);
        let rewards = RewardRow {
            step: checkpoint.step,
            learning_rate: grpo.learning_rate,
            rl_seed: grpo.seed.0,
            updates,
            r_before,
            r_after,
            gain: r_after - r_before,
        };
        let log = encode_rows(&self.history.log(), &TRAINING_LOG)?;
        let mut rollouts = self.history.rollouts(grpo.num_generations, tokenizer)?;
        let rollouts = encode(&mut rollouts, &ROLLOUTS)?;
        Ok(Outputs::new()
            .with(
                "rewards",
                Produced::Bytes(encode_rows(&[rewards], &REWARDS)?),
            )
            .with("training-log", Produced::Bytes(log))
            .with("rollouts", Produced::Bytes(rollouts)))
    }
}

/// The row of the table `rewards`.
#[derive(Debug, Serialize)]
struct RewardRow {
    step: u64,
    learning_rate: f64,
    rl_seed: u64,
    updates: u64,
    r_before: f64,
    r_after: f64,
    gain: f64,
}

impl Grpo {
    fn options(&self) -> GrpoOptions {
        GrpoOptions {
            seed: self.seed,
            learning_rate: self.learning_rate,
            num_generations: self.num_generations,
            prompts_per_update: self.prompts_per_update,
            objective: Objective {
                epsilon_low: self.epsilon,
                epsilon_high: self.epsilon,
                beta: self.beta,
            },
            num_iterations: self.num_iterations,
            max_grad_norm: self.max_grad_norm,
            weight_decay: self.weight_decay,
            moments: self.moments,
            temperature: self.temperature,
            advantage: self.advantage,
        }
    }
}
