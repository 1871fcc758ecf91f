//! Kind `pretrain`: a small OLMo-2 trained from scratch, and its checkpoints.
//!
//! Progressive in `steps`: the data of a step, the learning rate and every
//! draw are functions of the seed and the step alone, so one pass to the last
//! mark hands over each earlier checkpoint exactly as a run of its own would.
//! The recipe is chosen by the reward curve of the ladder, never by a
//! correlation with what RL gains from it.
mod data;
mod schedule;
mod state;

use anyhow::{Context as _, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    artifact::{ArtifactType, Corpus},
    lm::{self, AdamWOptions, Config, DeviceClass, Family, Init, Precision, Tokenizer},
    seed::Seed,
    stage::{Context, InputPort, Inputs, OutputPort, Outputs, Ports, Refusal, Stage},
    stages::ranges,
};

use data::Data;
use schedule::Schedule;
use state::Training;

/// Trains a model of next tokens (mean cross-entropy in nats) with AdamW.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pretrain {
    /// Optimizer steps of this checkpoint, 1 to `decay_steps`. Smaller is a
    /// prefix of larger: a ladder costs as much as its last step.
    pub steps: u64,
    /// Steps after which the learning rate has reached its least. Changing it
    /// changes every checkpoint.
    #[serde(default = "default::decay_steps")]
    pub decay_steps: u64,
    /// Seed of weights and data order.
    #[serde(default)]
    pub seed: Seed,
    /// Device class.
    #[serde(default)]
    pub device: DeviceClass,
    /// Number format of weights, gradients and states; moments are f32.
    #[serde(default)]
    pub dtype: Precision,
    /// Width D of the residual stream, a multiple of 2 `heads`.
    #[serde(default = "default::hidden_size")]
    pub hidden_size: usize,
    /// Blocks, 1 to 128.
    #[serde(default = "default::layers")]
    pub layers: usize,
    /// Attention heads.
    #[serde(default = "default::heads")]
    pub heads: usize,
    /// Width of the gated MLP.
    #[serde(default = "default::mlp")]
    pub mlp: usize,
    /// Sequences per step.
    #[serde(default = "default::batch")]
    pub batch: usize,
    /// Tokens per sequence, and the longest text that the model reads.
    #[serde(default = "default::context")]
    pub context: usize,
    /// Largest learning rate, reached after the warm-up.
    #[serde(default = "default::learning_rate")]
    pub learning_rate: f64,
    /// Steps over which the rate rises linearly from 0, below `decay_steps`.
    #[serde(default = "default::warmup_steps")]
    pub warmup_steps: u64,
    /// Share of `learning_rate` at which the cosine ends, 0 to 1.
    #[serde(default = "default::min_lr")]
    pub min_lr: f64,
    /// Decoupled weight decay, on all parameters.
    #[serde(default = "default::weight_decay")]
    pub weight_decay: f64,
    /// Decay of the running mean of gradients, 0 to below 1.
    #[serde(default = "default::beta1")]
    pub beta1: f64,
    /// Decay of the running mean of squared gradients, 0 to below 1.
    #[serde(default = "default::beta2")]
    pub beta2: f64,
    /// Gradients are scaled down to at most this global norm.
    #[serde(default = "default::max_grad_norm")]
    pub max_grad_norm: f64,
    /// Standard deviation of the embedding at the start. Small models learn to
    /// copy late or never when it is as small as the matrices'.
    #[serde(default = "default::embedding_std")]
    pub embedding_std: f64,
    /// Standard deviation of the blocks' matrices at the start.
    #[serde(default = "default::matrix_std")]
    pub matrix_std: f64,
    /// Standard deviation of the head at the start.
    #[serde(default = "default::head_std")]
    pub head_std: f64,
    /// Base of the rotary positions.
    #[serde(default = "default::rope_theta")]
    pub rope_theta: f64,
    /// Token that ends a document; the corpus' tokenizer must know it.
    #[serde(default = "default::end_of_document")]
    pub end_of_document: String,
}

impl Stage for Pretrain {
    const KIND: &'static str = "pretrain";
    const VERSION: u32 = 1;
    const ABOUT: &'static str = "checkpoints of a small OLMo-2 trained from scratch";
    const PORTS: Ports = Ports {
        inputs: &[InputPort::one(
            "corpus",
            ArtifactType::Corpus,
            "documents and tokenizer to learn from",
        )],
        outputs: &[
            OutputPort::new(
                "checkpoint",
                ArtifactType::Checkpoint,
                "model folder that transformers loads, with vgh.json (step, tokens)",
            ),
            OutputPort::new(
                "log",
                ArtifactType::Table("pretrain-log"),
                "loss and learning rate of every step so far",
            ),
        ],
    };
    const PROGRESSIVE: Option<&'static str> = Some("steps");
    const LM: Option<u32> = Some(lm::VERSION);

    fn check(&self) -> Result<(), Refusal> {
        const WIDTH: u64 = 1 << 16;
        ranges::whole("decay_steps", self.decay_steps, 1, 1_000_000_000)?;
        if self.steps > self.decay_steps {
            return Err(Refusal::new(
                "steps",
                format!(
                    "`steps` is {}, beyond `decay_steps` = {}: the learning rate has no value \
                     there; raise decay_steps (this changes every checkpoint)",
                    self.steps, self.decay_steps
                ),
            ));
        }
        ranges::whole("steps", self.steps, 1, self.decay_steps)?;
        ranges::whole("layers", self.layers as u64, 1, 128)?;
        ranges::whole("heads", self.heads as u64, 1, 1024)?;
        ranges::whole("hidden_size", self.hidden_size as u64, 2, WIDTH)?;
        let pairs = 2 * self.heads;
        if !self.hidden_size.is_multiple_of(pairs) {
            let text = format!(
                "`hidden_size` is {}; allowed: multiples of {pairs}, twice the `heads`",
                self.hidden_size
            );
            return Err(Refusal::new("hidden_size", text));
        }
        ranges::whole("mlp", self.mlp as u64, 1, WIDTH)?;
        ranges::whole("batch", self.batch as u64, 1, WIDTH)?;
        ranges::whole("context", self.context as u64, 2, WIDTH)?;
        ranges::whole("warmup_steps", self.warmup_steps, 0, self.decay_steps - 1)?;
        ranges::positive("learning_rate", self.learning_rate)?;
        ranges::share("min_lr", self.min_lr)?;
        ranges::not_negative("weight_decay", self.weight_decay)?;
        ranges::decay("beta1", self.beta1)?;
        ranges::decay("beta2", self.beta2)?;
        ranges::positive("max_grad_norm", self.max_grad_norm)?;
        ranges::positive("embedding_std", self.embedding_std)?;
        ranges::positive("matrix_std", self.matrix_std)?;
        ranges::positive("head_std", self.head_std)?;
        ranges::positive("rope_theta", self.rope_theta)
    }

    fn run(&self, inputs: &Inputs, context: &Context<'_>) -> Result<Outputs> {
        let corpus = Corpus::read(inputs.one("corpus")?)?;
        let tokenizer_json = std::fs::read(&corpus.tokenizer)
            .with_context(|| format!("read {}", corpus.tokenizer.display()))?;
        let tokenizer = Tokenizer::from_bytes(&tokenizer_json)?;
        let data = Data::of(&corpus, &tokenizer, &self.end_of_document, self.context)?;
        let device = self.device.open()?;
        let mut training = match context.resume() {
            Some(resume) => Training::resume(self, resume, &device)
                .with_context(|| format!("resume from step {}", resume.mark))?,
            None => Training::start(self, self.config(&tokenizer), &device)?,
        };
        let marks = context.marks();
        let last = *marks.last().context("no mark to train to")?;
        let total = self.schedule();
        while training.step() < last {
            context.go_on()?;
            let step = training.step() + 1;
            let batch = data.batch(self.seed, step, self.batch, &device)?;
            let loss = training
                .update(&batch, total.learning_rate(step))
                .with_context(|| format!("step {step}"))?;
            context.progress(step, last, &format!("loss {loss:.3}"));
            if marks.contains(&step) && step < last {
                context.reached(step, training.hand_over(context, &tokenizer_json)?)?;
            }
        }
        context.snapshot(last, &|folder| training.save(folder))?;
        training.hand_over(context, &tokenizer_json)
    }
}

impl Pretrain {
    fn config(&self, tokenizer: &Tokenizer) -> Config {
        Config {
            family: Family::Olmo2,
            hidden_size: self.hidden_size,
            num_hidden_layers: self.layers,
            num_attention_heads: self.heads,
            num_key_value_heads: self.heads,
            head_dim: self.hidden_size / self.heads,
            intermediate_size: self.mlp,
            vocab_size: tokenizer.size(),
            norm_eps: 1e-6,
            rope_theta: self.rope_theta,
            tie_word_embeddings: false,
            max_position_embeddings: self.context,
            eos_token_id: tokenizer.id(&self.end_of_document),
            pad_token_id: tokenizer.id("<pad>"),
        }
    }

    fn init(&self) -> Init {
        Init {
            embedding_std: self.embedding_std,
            matrix_std: self.matrix_std,
            head_std: self.head_std,
        }
    }

    fn optimizer(&self) -> AdamWOptions {
        AdamWOptions {
            beta1: self.beta1,
            beta2: self.beta2,
            eps: 1e-8,
            weight_decay: self.weight_decay,
            moments: Precision::F32,
        }
    }

    fn schedule(&self) -> Schedule {
        Schedule {
            peak: self.learning_rate,
            warmup_steps: self.warmup_steps,
            decay_steps: self.decay_steps,
            least: self.learning_rate * self.min_lr,
        }
    }

    /// Tokens that `steps` steps read.
    fn tokens(&self, steps: u64) -> u64 {
        steps * self.batch as u64 * self.context as u64
    }
}

/// Defaults: the recipe of the embedded ladder.
mod default {
    pub(super) fn decay_steps() -> u64 {
        400
    }
    pub(super) fn hidden_size() -> usize {
        96
    }
    pub(super) fn layers() -> usize {
        3
    }
    pub(super) fn heads() -> usize {
        4
    }
    pub(super) fn mlp() -> usize {
        256
    }
    pub(super) fn batch() -> usize {
        16
    }
    pub(super) fn context() -> usize {
        40
    }
    pub(super) fn learning_rate() -> f64 {
        1.5e-3
    }
    pub(super) fn warmup_steps() -> u64 {
        40
    }
    pub(super) fn min_lr() -> f64 {
        0.1
    }
    pub(super) fn weight_decay() -> f64 {
        0.1
    }
    pub(super) fn beta1() -> f64 {
        0.9
    }
    pub(super) fn beta2() -> f64 {
        0.95
    }
    pub(super) fn max_grad_norm() -> f64 {
        1.0
    }
    pub(super) fn embedding_std() -> f64 {
        1.0
    }
    pub(super) fn matrix_std() -> f64 {
        0.1
    }
    pub(super) fn head_std() -> f64 {
        0.1
    }
    pub(super) fn rope_theta() -> f64 {
        10_000.0
    }
    pub(super) fn end_of_document() -> String {
        "<eos>".to_owned()
    }
}

#[cfg(test)]
mod tests;
