//! Gradients by hidden states: one backward pass gives the empirical costates
//! of a sequence at every position and every chosen layer.
use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use candle_core::{DType, Tensor};

use super::{Batch, Model, Observe, ops};

/// A completion o after a prompt, with a detached weight A_k for each token.
#[derive(Debug, Clone)]
pub struct Sequence {
    pub prompt: Vec<u32>,
    pub completion: Vec<u32>,
    /// A_k, one per token of the completion.
    pub weights: Vec<f64>,
}

/// Gradients of sum_k A_k log pi(o_k) for one sequence of n completion tokens.
///
/// Row t belongs to the state whose logits score o_t (0-based). By causality
/// only the terms k >= t reach it, so row t is lambda_hat_t^(l) (eq. 14 read at
/// layer l; at the last layer only the term k = t remains).
#[derive(Debug, Clone)]
pub struct Costates {
    /// log pi(o_k) in nats at temperature 1.
    pub log_prob: Vec<f64>,
    /// By h_l before the final norm, [n, D] for each layer asked for.
    pub hidden: BTreeMap<usize, Tensor>,
    /// By the final norm's output, [n, D].
    pub post: Tensor,
    /// By the input embedding of o_t itself, [n, D]: the gradient of the part
    /// k > t; the last row is zero.
    pub embedding: Tensor,
}

/// The costates of every sequence, from one forward and one backward pass over
/// all of them. `pad` fills shorter sequences.
pub fn costates(
    model: &Model,
    sequences: &[Sequence],
    layers: &[usize],
    pad: u32,
) -> Result<Vec<Costates>> {
    let mut tokens = Vec::with_capacity(sequences.len());
    for (i, sequence) in sequences.iter().enumerate() {
        ensure!(
            !sequence.prompt.is_empty() && !sequence.completion.is_empty(),
            "sequence {i} has an empty prompt or completion"
        );
        ensure!(
            sequence.weights.len() == sequence.completion.len(),
            "sequence {i} has {} weights for {} tokens",
            sequence.weights.len(),
            sequence.completion.len()
        );
        tokens.push([sequence.prompt.as_slice(), &sequence.completion].concat());
    }
    let frozen = model.without_gradients()?;
    let batch = Batch::new(&tokens, pad, model.device())?;
    let mut tapped = vec![0];
    tapped.extend(layers.iter().filter(|&&l| l != 0));
    let forward = frozen.forward(&batch, &Observe::gradients(&tapped))?;
    let log_prob = completion_log_prob(&frozen, &forward.post, &batch, sequences)?; // [N, 1]
    let weights: Vec<f64> = sequences.iter().flat_map(|s| s.weights.clone()).collect();
    let weights = Tensor::from_vec(weights, log_prob.dims2()?, &candle_core::Device::Cpu)?
        .to_dtype(model.dtype())?
        .to_device(model.device())?;
    (&log_prob * weights)?.sum_all()?.backward()?;
    let log_prob = log_prob.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?;
    let post = forward.gradient_post()?;
    let embedding = forward.gradient(0)?;
    let mut done = 0;
    let mut all = Vec::with_capacity(sequences.len());
    for (b, sequence) in sequences.iter().enumerate() {
        let n = sequence.completion.len();
        let first = sequence.prompt.len() - 1;
        let rows = |gradient: &Tensor, start: usize| gradient.get(b)?.narrow(0, start, n);
        let hidden = |&l: &usize| -> Result<_> { Ok((l, rows(&forward.gradient(l)?, first)?)) };
        all.push(Costates {
            log_prob: log_prob[done..done + n].to_vec(),
            hidden: layers.iter().map(hidden).collect::<Result<_>>()?,
            post: rows(&post, first)?,
            embedding: rows(&embedding, first + 1)?,
        });
        done += n;
    }
    Ok(all)
}

/// log pi of all completion tokens, sequence after sequence: [N, 1].
fn completion_log_prob(
    model: &Model,
    post: &Tensor,
    batch: &Batch,
    sequences: &[Sequence],
) -> Result<Tensor> {
    let (size, time, width) = post.dims3()?;
    let mut rows = Vec::new();
    let mut targets = Vec::new();
    for (b, sequence) in sequences.iter().enumerate() {
        for (t, &token) in sequence.completion.iter().enumerate() {
            rows.push((b * batch.time() + sequence.prompt.len() - 1 + t) as u32);
            targets.push(token);
        }
    }
    let n = rows.len();
    let rows = Tensor::from_vec(rows, n, post.device())?;
    let targets = Tensor::from_vec(targets, (n, 1), post.device())?;
    let scored = post.reshape((size * time, width))?.index_select(&rows, 0)?;
    Ok(ops::log_prob(&model.head(&scored)?, &targets)?)
}
