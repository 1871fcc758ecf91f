//! From artifacts to what a learning loop or a measurement takes: the model of
//! a checkpoint, and the prompts in its own tokens.
use std::rc::Rc;

use anyhow::{Context as _, Result};
use candle_core::Device;

use crate::{
    artifact::{Checkpoint, Prompt, Prompts, Split},
    lm::{Config, Files, Model, Tokenizer},
    rl::{PromptText, Task},
    stage::Context,
};

/// Both splits in the checkpoint's tokens. The labels are those of the whole
/// table, so that they do not change with the split that is looked at.
pub(super) fn label_task(
    prompts: &Prompts,
    tokenizer: &Tokenizer,
    config: &Config,
) -> Result<Task> {
    let texts = |split| -> Result<Vec<PromptText<'_>>> {
        prompts.split(split).into_iter().map(text).collect()
    };
    Task::new(
        &texts(Split::Train)?,
        &texts(Split::Eval)?,
        tokenizer,
        config,
    )
}

fn text(prompt: &Prompt) -> Result<PromptText<'_>> {
    let id = u64::try_from(prompt.prompt);
    Ok(PromptText {
        id: id.with_context(|| format!("prompt {} has an id below 0", prompt.prompt))?,
        text: &prompt.text,
        label: &prompt.label,
    })
}

/// The model of a checkpoint, to read: the worker's own if it holds this one
/// on the device and in the dtype.
pub(super) fn borrow_model(
    context: &Context<'_>,
    checkpoint: &Checkpoint,
    device: &Device,
    dtype: candle_core::DType,
) -> Result<Rc<Model>> {
    let files = Files(checkpoint.files.clone());
    let load = || Model::load(&files, device, dtype);
    let model = context.borrow(checkpoint.digest, load)?;
    if model.dtype() == dtype && model.device().same_device(device) {
        return Ok(model);
    }
    Ok(Rc::new(load()?))
}
