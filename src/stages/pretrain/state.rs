//! A training under way: model, optimizer and log; handed over, saved, resumed.
use std::path::Path;

use anyhow::{Result, ensure};
use candle_core::{DType, Device};
use serde::{Deserialize, Serialize};

use crate::{
    artifact::{Position, schema, table},
    disk,
    lm::{AdamW, Batch, Config, Files, Gradients, Model, clip_coefficient, next_token_loss},
    stage::{Context, Outputs, Produced, Resume},
};

use super::Pretrain;

const OPTIMIZER: &str = "optimizer.safetensors";
const LOG: &str = "log.parquet";

/// A row of the table `pretrain-log`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Row {
    step: u64,
    loss_nats: f64,
    learning_rate: f64,
    /// Before clipping.
    grad_norm: f64,
}

pub(super) struct Training<'a> {
    recipe: &'a Pretrain,
    model: Model,
    optimizer: AdamW,
    log: Vec<Row>,
}

impl<'a> Training<'a> {
    pub(super) fn start(
        recipe: &'a Pretrain,
        config: Config,
        device: &Device,
    ) -> Result<Training<'a>> {
        let model = Model::init(config, &recipe.init(), recipe.seed, device)?;
        let model = match recipe.dtype.dtype() {
            DType::F32 => model,
            other => model.to_dtype(other)?,
        };
        let optimizer = AdamW::new(model.parameters(), recipe.optimizer())?;
        Ok(Training {
            recipe,
            model,
            optimizer,
            log: Vec::new(),
        })
    }

    /// Goes on from what [`Training::save`] wrote.
    pub(super) fn resume(
        recipe: &'a Pretrain,
        resume: &Resume,
        device: &Device,
    ) -> Result<Training<'a>> {
        let files = Files::of_folder(&resume.folder)?;
        let model = Model::load(&files, device, recipe.dtype.dtype())?;
        let optimizer = AdamW::load(
            files.get(OPTIMIZER)?,
            model.parameters(),
            recipe.optimizer(),
        )?;
        let log = table::read(files.get(LOG)?, &schema::PRETRAIN_LOG)?;
        let log = table::decode_rows(&log)?;
        let training = Training {
            recipe,
            model,
            optimizer,
            log,
        };
        ensure!(
            training.step() == resume.mark && training.log.len() as u64 == resume.mark,
            "the state holds step {} and {} rows of the log",
            training.step(),
            training.log.len()
        );
        Ok(training)
    }

    /// Writes the resume state: weights, moments, log. Weights are kept in
    /// f32, which holds bf16 exactly.
    pub(super) fn save(&self, folder: &Path) -> Result<()> {
        self.model.save(folder)?;
        self.optimizer.save(&folder.join(OPTIMIZER))?;
        let path = folder.join(LOG);
        disk::write(&path, self.log_table()?)
    }

    /// Steps taken.
    pub(super) fn step(&self) -> u64 {
        self.optimizer.steps()
    }

    /// One optimizer step; its loss in nats per token.
    pub(super) fn update(&mut self, batch: &Batch, learning_rate: f64) -> Result<f64> {
        let loss = next_token_loss(&self.model, batch)?;
        let gradients = Gradients::of(&loss, self.model.parameters())?;
        let grad_norm = gradients.global_norm()?;
        let scale = clip_coefficient(grad_norm, self.recipe.max_grad_norm);
        self.optimizer
            .step(self.model.parameters(), &gradients, learning_rate, scale)?;
        let loss_nats = loss.to_dtype(DType::F64)?.to_scalar::<f64>()?;
        ensure!(loss_nats.is_finite(), "the loss is {loss_nats}");
        self.log.push(Row {
            step: self.step(),
            loss_nats,
            learning_rate,
            grad_norm,
        });
        Ok(loss_nats)
    }

    /// The outputs of the step reached.
    pub(super) fn hand_over(&self, context: &Context<'_>, tokenizer: &[u8]) -> Result<Outputs> {
        let step = self.step();
        let folder = context.scratch().join(format!("checkpoint-{step}"));
        self.model.save(&folder)?;
        let path = folder.join("tokenizer.json");
        disk::write(&path, tokenizer)?;
        let tokens = self.recipe.tokens(step);
        Position { step, tokens }.write(&folder)?;
        Ok(Outputs::new()
            .with("checkpoint", Produced::Tree(folder))
            .with("log", Produced::Bytes(self.log_table()?)))
    }

    fn log_table(&self) -> Result<Vec<u8>> {
        table::encode_rows(&self.log, &schema::PRETRAIN_LOG)
    }
}
