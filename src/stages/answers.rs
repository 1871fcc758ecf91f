//! What a model says right after each prompt: one forward pass, in f64.
//!
//! Both measurements before RL start here. Draws nothing, keeps no gradient.
use anyhow::{Context as _, Result, ensure};
use candle_core::{DType, Tensor};

use crate::{
    artifact::{Checkpoint, Prompts, Split},
    lm::{DeviceClass, Files, Model, Observe, Precision, Tokenizer, last_positions},
    rl::{self, in_batches},
    stage::{Context, Inputs},
    stages::{
        Vocab,
        task::{borrow_model, label_task},
    },
    theory::Softmax,
};

/// The state of one prompt's last position.
pub(super) struct Answer {
    /// The prompt's id.
    pub(super) prompt: i64,
    /// The label's token.
    pub(super) label: u32,
    /// Logits z = W h (eq. 13), padded rows included, V values.
    pub(super) z: Vec<f64>,
    /// The residual u before the final norm, D values.
    pub(super) u: Vec<f64>,
}

/// A checkpoint as it answers one split of the prompts.
pub(super) struct Answers {
    pub(super) model: std::rc::Rc<Model>,
    pub(super) step: i64,
    pub(super) tokens: i64,
    /// Label tokens of the whole table, ascending.
    pub(super) labels: Vec<u32>,
    /// One per prompt, in the table's order; never empty.
    pub(super) prompts: Vec<Answer>,
}

impl Answers {
    /// From the ports `checkpoint` and `prompts`.
    pub(super) fn of(
        inputs: &Inputs,
        context: &Context<'_>,
        split: Split,
        device: DeviceClass,
        dtype: Precision,
    ) -> Result<Answers> {
        let checkpoint = Checkpoint::of(inputs.one("checkpoint")?)?;
        let prompts = Prompts::read(inputs.one("prompts")?)?;
        let tokenizer = Tokenizer::load(&Files(checkpoint.files.clone()))?;
        let model = borrow_model(context, &checkpoint, &device.open()?, dtype.dtype())?;
        let task = label_task(&prompts, &tokenizer, model.config())?;
        let asked = match split {
            Split::Train => &task.train,
            Split::Eval => &task.eval,
        };
        ensure!(
            !asked.is_empty(),
            "the prompts have no rows of split `{}`",
            match split {
                Split::Train => "train",
                Split::Eval => "eval",
            }
        );
        Ok(Answers {
            step: i64::try_from(checkpoint.step).context("the checkpoint's step")?,
            tokens: i64::try_from(checkpoint.tokens).context("the checkpoint's tokens")?,
            labels: task.labels,
            prompts: answer(&model, asked, task.pad)?,
            model,
        })
    }

    /// The policy at one prompt over a vocabulary; slots of `labels` are places
    /// in [`Answers::labels`].
    pub(super) fn policy(&self, answer: &Answer, vocab: Vocab) -> Softmax {
        match vocab {
            Vocab::Full => Softmax::new(&answer.z, answer.label as usize),
            Vocab::Labels => {
                let place = self.labels.binary_search(&answer.label);
                let place = place.expect("labels are collected from all prompts");
                Softmax::new(&self.label_logits(answer), place)
            }
        }
    }

    /// The logits of the labels alone.
    pub(super) fn label_logits(&self, answer: &Answer) -> Vec<f64> {
        let logits = self.labels.iter().map(|&label| answer.z[label as usize]);
        logits.collect()
    }
}

fn answer(model: &Model, prompts: &[rl::Prompt], pad: u32) -> Result<Vec<Answer>> {
    let frozen = model.without_gradients()?;
    let last = model.config().num_hidden_layers;
    let mut answers: Vec<Option<Answer>> = prompts.iter().map(|_| None).collect();
    for (places, batch) in in_batches(prompts, pad, model)? {
        let forward = frozen.forward(&batch, &Observe::states(&[last]))?;
        let z = rows(&frozen.head(&last_positions(&forward.post, &batch)?)?)?;
        let u = rows(&last_positions(forward.state(last)?, &batch)?)?;
        for ((place, z), u) in places.into_iter().zip(z).zip(u) {
            let prompt = &prompts[place];
            let bad = z.iter().chain(&u).filter(|x| !x.is_finite()).count();
            ensure!(
                bad == 0,
                "prompt {}: {bad} logits or states are not finite",
                prompt.id
            );
            answers[place] = Some(Answer {
                prompt: i64::try_from(prompt.id).context("a prompt's id")?,
                label: prompt.label,
                z,
                u,
            });
        }
    }
    let answers = answers.into_iter();
    Ok(answers
        .map(|answer| answer.expect("batches hold every prompt once"))
        .collect())
}

/// The rows of a matrix in f64.
fn rows(matrix: &Tensor) -> Result<Vec<Vec<f64>>> {
    Ok(matrix.to_dtype(DType::F64)?.to_vec2()?)
}
