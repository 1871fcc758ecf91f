//! The GRPO loop: one rollout batch per update, `num_iterations` full-batch
//! optimizer steps on it, state that resumes bit for bit.
//!
//! Old, reference and new log-probabilities come from one code path, so that a
//! group without variance moves nothing in the first step: rounding noise there
//! would become an Adam step of the size of the learning rate.
use std::{collections::BTreeMap, path::Path};

use anyhow::{Context as _, Result, ensure};
use candle_core::{DType, Device, Tensor, Var};
use serde::{Deserialize, Serialize};

use crate::{
    lm::{
        AdamW, AdamWOptions, Batch, Files, Gradients, Model, Precision, clip_coefficient, log_prob,
    },
    rl::{
        Convention, Objective, Task, answer_logits, choose_prompts, draw_actions,
        policy::{in_batches, label_probabilities, softmax_rows},
    },
    seed::Seed,
};

const OPTIMIZER_FILE: &str = "adamw.safetensors";
const REFERENCE_FILE: &str = "reference.safetensors";
const REFERENCE: &str = "logits";

/// TRL's names; see the kind `grpo` for ranges.
#[derive(Debug, Clone, PartialEq)]
pub struct GrpoOptions {
    pub seed: Seed,
    pub learning_rate: f64,
    /// n, the actions per prompt.
    pub num_generations: usize,
    /// Drawn without replacement from the train prompts.
    pub prompts_per_update: usize,
    pub objective: Objective,
    /// Optimizer steps on each rollout batch.
    pub num_iterations: usize,
    /// 0 does not clip.
    pub max_grad_norm: f64,
    pub weight_decay: f64,
    /// Format of AdamW's moments.
    pub moments: Precision,
    /// The policy is softmax(z / temperature).
    pub temperature: f64,
    pub advantage: Convention,
}

impl GrpoOptions {
    fn adamw(&self) -> AdamWOptions {
        AdamWOptions {
            weight_decay: self.weight_decay,
            moments: self.moments,
            ..AdamWOptions::default()
        }
    }
}

/// One optimizer step, measured before it is taken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    pub loss: f64,
    pub k3_mean: f64,
    pub ratio_min: f64,
    pub ratio_max: f64,
    pub clip_fraction: f64,
    pub outside_fraction: f64,
    /// Over all parameters, before clipping.
    pub grad_norm: f64,
}

/// One update: its rollouts ([P, n], row by row) and its steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Update {
    /// From 0.
    pub update: u64,
    /// P prompt ids.
    pub prompts: Vec<u64>,
    pub actions: Vec<u32>,
    pub rewards: Vec<f64>,
    pub advantages: Vec<f64>,
    /// Under the policy that drew the actions, in nats.
    pub log_prob_old: Vec<f64>,
    /// Under the starting checkpoint, in nats.
    pub log_prob_reference: Vec<f64>,
    /// Mean entropy of that policy over the prompts, in nats, full vocabulary.
    pub entropy: f64,
    /// Groups whose advantages are all 0: they pull only towards the reference.
    pub zero_variance_groups: usize,
    pub steps: Vec<Step>,
}

/// A model that learns a task.
pub struct Trainer {
    options: GrpoOptions,
    task: Task,
    /// What computes.
    policy: Model,
    /// Weights that steps add up in, where the policy's dtype is too coarse.
    master: Option<Model>,
    /// The policy without gradients by its parameters, for evaluation.
    reader: Model,
    optimizer: AdamW,
    /// Logits / temperature [train prompts, V] of the starting checkpoint.
    reference: Tensor,
}

impl Trainer {
    /// Starts from `model`, which becomes the reference. Where `dtype` is not
    /// the model's own, passes are computed in `dtype` and steps are taken on
    /// the model's weights.
    pub fn new(model: Model, dtype: DType, task: Task, options: GrpoOptions) -> Result<Trainer> {
        let optimizer = AdamW::new(model.parameters(), options.adamw())?;
        let mut trainer = Trainer::with(model, dtype, task, options, optimizer)?;
        trainer.reference = trainer.reference_logits()?;
        Ok(trainer)
    }

    fn with(
        model: Model,
        dtype: DType,
        task: Task,
        options: GrpoOptions,
        optimizer: AdamW,
    ) -> Result<Trainer> {
        ensure!(!task.train.is_empty(), "there are no train prompts");
        ensure!(!task.eval.is_empty(), "there are no eval prompts");
        ensure!(
            options.num_iterations > 0 && options.num_generations > 0,
            "an update of {} iterations with {} actions per prompt",
            options.num_iterations,
            options.num_generations
        );
        let (policy, master) = if model.dtype() == dtype {
            (model, None)
        } else {
            (model.to_dtype(dtype)?, Some(model))
        };
        Ok(Trainer {
            reference: Tensor::zeros((0, 0), DType::F32, policy.device())?,
            reader: policy.without_gradients()?,
            policy,
            master,
            optimizer,
            task,
            options,
        })
    }

    /// How many updates were made.
    pub fn updates(&self) -> u64 {
        self.optimizer.steps() / self.options.num_iterations as u64
    }

    pub fn model(&self) -> &Model {
        &self.policy
    }

    pub fn task(&self) -> &Task {
        &self.task
    }

    /// p_y of every eval prompt, at temperature 1 whatever the policy's is.
    pub fn label_probabilities(&self) -> Result<Vec<f64>> {
        label_probabilities(&self.reader, &self.task.eval, self.task.pad)
    }

    /// R = E_q p_y over the eval prompts.
    pub fn expected_reward(&self) -> Result<f64> {
        let p_y = self.label_probabilities()?;
        Ok(p_y.iter().sum::<f64>() / p_y.len() as f64)
    }

    /// Draws prompts and actions, and learns from them.
    pub fn update(&mut self) -> Result<Update> {
        let (seed, n, update) = (
            self.options.seed,
            self.options.num_generations,
            self.updates(),
        );
        let (count, total) = (self.options.prompts_per_update, self.task.train.len());
        let chosen = choose_prompts(seed, update, count, total)?;
        self.learn(&chosen, |ids, p| Ok(draw_actions(seed, update, ids, n, p)))
    }

    /// Learns from recorded actions [P, n] of train prompts (by place).
    pub fn replay(&mut self, chosen: &[usize], actions: &[u32]) -> Result<Update> {
        self.learn(chosen, |_, _| Ok(actions.to_vec()))
    }

    fn learn(
        &mut self,
        chosen: &[usize],
        act: impl FnOnce(&[u64], &[Vec<f64>]) -> Result<Vec<u32>>,
    ) -> Result<Update> {
        let update = self.updates();
        let prompts: Vec<_> = chosen.iter().map(|&i| &self.task.train[i]).collect();
        let sequences: Vec<&[u32]> = prompts.iter().map(|p| p.ids.as_slice()).collect();
        let batch = Batch::new(&sequences, self.task.pad, self.policy.device())?;
        let ids: Vec<u64> = prompts.iter().map(|p| p.id).collect();
        let labels: Vec<u32> = prompts.iter().map(|p| p.label).collect();

        let logits = answer_logits(&self.policy, &batch, self.options.temperature)?;
        let p = softmax_rows(&logits)?;
        let actions = act(&ids, &p)?;
        let shape = (chosen.len(), self.options.num_generations);
        ensure!(
            actions.len() == shape.0 * shape.1,
            "{} actions for {} prompts with {} each",
            actions.len(),
            shape.0,
            shape.1
        );
        let p_y: Vec<f64> = (p.iter().zip(&labels))
            .map(|(p, &y)| p[y as usize])
            .collect();
        let (rewards, advantages) = self.options.advantage.judge(&actions, &labels, &p_y);
        let tokens = Tensor::from_slice(&actions, shape, self.policy.device())?;
        let first = log_prob(&logits, &tokens)?;
        let log_prob_old = host(&first)?;
        let log_prob_reference = self.reference_log_prob(chosen, &tokens, &log_prob_old)?;
        let mut made = Update {
            update,
            entropy: mean_entropy(&p),
            zero_variance_groups: (advantages.chunks(shape.1))
                .filter(|group| group.iter().all(|&a| a == 0.0))
                .count(),
            prompts: ids,
            actions,
            rewards,
            advantages,
            log_prob_old,
            log_prob_reference,
            steps: Vec::new(),
        };
        let mut now = first;
        for iteration in 0..self.options.num_iterations {
            if iteration > 0 {
                let logits = answer_logits(&self.policy, &batch, self.options.temperature)?;
                now = log_prob(&logits, &tokens)?;
            }
            let step = self.step(&now, &made);
            let step = step.with_context(|| format!("update {update}, iteration {iteration}"))?;
            made.steps.push(step);
        }
        Ok(made)
    }

    /// One optimizer step on log-probabilities [P, n] of the present policy.
    fn step(&mut self, log_prob: &Tensor, made: &Update) -> Result<Step> {
        let now = self.options.objective.evaluate(
            &host(log_prob)?,
            &made.log_prob_old,
            &made.log_prob_reference,
            &made.advantages,
        )?;
        let linear = linear_loss(log_prob, &now.coefficients)?;
        let gradients = Gradients::of(&linear, self.policy.parameters())?;
        let grad_norm = gradients.global_norm()?;
        let scale = match self.options.max_grad_norm {
            0.0 => 1.0,
            max => clip_coefficient(grad_norm, max),
        };
        let parameters = self.master.as_ref().unwrap_or(&self.policy).parameters();
        let rate = self.options.learning_rate;
        self.optimizer.step(parameters, &gradients, rate, scale)?;
        if self.master.is_some() {
            self.policy
                .restore(&converted(parameters, self.policy.dtype())?)?;
        }
        Ok(Step {
            loss: now.loss,
            k3_mean: now.k3_mean,
            ratio_min: now.ratio_min,
            ratio_max: now.ratio_max,
            clip_fraction: now.clip_fraction,
            outside_fraction: now.outside_fraction,
            grad_norm,
        })
    }

    /// Before the first step the policy is the reference itself. Later the two
    /// differ by more than the rounding that other batches cause.
    fn reference_log_prob(
        &self,
        chosen: &[usize],
        tokens: &Tensor,
        log_prob_old: &[f64],
    ) -> Result<Vec<f64>> {
        if self.optimizer.steps() == 0 {
            return Ok(log_prob_old.to_vec());
        }
        let rows: Vec<u32> = chosen.iter().map(|&i| i as u32).collect();
        let rows = Tensor::from_vec(rows, chosen.len(), self.reference.device())?;
        host(&log_prob(&self.reference.index_select(&rows, 0)?, tokens)?)
    }

    fn reference_logits(&self) -> Result<Tensor> {
        let prompts = &self.task.train;
        let mut rows = vec![0u32; prompts.len()];
        let mut parts = Vec::new();
        let mut next = 0;
        for (places, batch) in in_batches(prompts, self.task.pad, &self.reader)? {
            for place in places {
                rows[place] = next;
                next += 1;
            }
            parts.push(answer_logits(
                &self.reader,
                &batch,
                self.options.temperature,
            )?);
        }
        let rows = Tensor::from_vec(rows, prompts.len(), self.policy.device())?;
        Ok(Tensor::cat(&parts, 0)?.index_select(&rows, 0)?.detach())
    }

    /// Writes weights, moments and the reference: all that [`Trainer::load`] needs.
    pub fn save(&self, folder: &Path) -> Result<()> {
        self.master.as_ref().unwrap_or(&self.policy).save(folder)?;
        self.optimizer.save(&folder.join(OPTIMIZER_FILE))?;
        let path = folder.join(REFERENCE_FILE);
        let reference = self.reference.to_device(&Device::Cpu)?;
        reference
            .save_safetensors(REFERENCE, &path)
            .with_context(|| format!("write {}", path.display()))
    }

    /// Goes on from a saved state with the same task, options and dtypes as
    /// before, bit for bit.
    pub fn load(
        folder: &Path,
        device: &Device,
        dtype: DType,
        task: Task,
        options: GrpoOptions,
    ) -> Result<Trainer> {
        let model = Model::load(&Files::of_folder(folder)?, device, DType::F32)?;
        let path = folder.join(OPTIMIZER_FILE);
        let optimizer = AdamW::load(&path, model.parameters(), options.adamw())?;
        let mut trainer = Trainer::with(model, dtype, task, options, optimizer)?;
        let steps = trainer.optimizer.steps();
        ensure!(
            steps.is_multiple_of(trainer.options.num_iterations as u64),
            "the state has {steps} steps, no multiple of `num_iterations`"
        );
        let path = folder.join(REFERENCE_FILE);
        let mut tensors = candle_core::safetensors::load(&path, device)
            .with_context(|| format!("read {}", path.display()))?;
        let reference = tensors.remove(REFERENCE);
        let reference = reference.with_context(|| format!("{}", path.display()))?;
        let expected = (trainer.task.train.len(), trainer.policy.config().vocab_size);
        ensure!(
            reference.dims() == [expected.0, expected.1],
            "the reference is {:?}, not {expected:?}",
            reference.dims()
        );
        trainer.reference = reference;
        Ok(trainer)
    }
}

/// A scalar whose gradient by every parameter is that of the loss: the
/// log-probabilities [P, n] weighted by their coefficients, which are constants.
pub(super) fn linear_loss(log_prob: &Tensor, coefficients: &[f64]) -> Result<Tensor> {
    let weights = Tensor::from_slice(coefficients, log_prob.shape(), log_prob.device())?;
    Ok((log_prob * weights.to_dtype(log_prob.dtype())?)?.sum_all()?)
}

fn host(tensor: &Tensor) -> Result<Vec<f64>> {
    let tensor = tensor.detach().to_dtype(DType::F64)?;
    Ok(tensor.flatten_all()?.to_vec1()?)
}

fn converted(parameters: &BTreeMap<String, Var>, dtype: DType) -> Result<BTreeMap<String, Tensor>> {
    (parameters.iter())
        .map(|(name, var)| Ok((name.clone(), var.as_detached_tensor().to_dtype(dtype)?)))
        .collect()
}

/// Mean over rows of -sum p log p, in nats.
fn mean_entropy(rows: &[Vec<f64>]) -> f64 {
    let entropy = |p: &Vec<f64>| -> f64 {
        let terms = p.iter().filter(|&&p| p > 0.0);
        -terms.map(|p| p * p.ln()).sum::<f64>()
    };
    rows.iter().map(entropy).sum::<f64>() / rows.len() as f64
}
