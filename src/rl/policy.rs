//! A model as a policy over one token: logits at the answer, probabilities.
//! Never draws and never steps.
use anyhow::{Result, ensure};
use candle_core::{DType, Tensor};

use crate::{
    lm::{Batch, Model, probabilities},
    rl::Prompt,
};

/// Sequences that are only read go through the model together until they fill
/// this many positions, padding included.
const BATCH_POSITIONS: usize = 1024;

/// Logits z / temperature [B, V] at the last position of each sequence, in at
/// least f32. Gradients reach the model's parameters where it has them.
pub fn answer_logits(model: &Model, batch: &Batch, temperature: f64) -> Result<Tensor> {
    let logits = model.head(&model.forward_last(batch)?)?;
    let logits = match logits.dtype() {
        DType::F16 | DType::BF16 => logits.to_dtype(DType::F32)?,
        _ => logits,
    };
    if temperature == 1.0 {
        Ok(logits)
    } else {
        Ok((logits / temperature)?)
    }
}

/// softmax of each row of logits [B, V], in f64 from f32.
pub(super) fn softmax_rows(logits: &Tensor) -> Result<Vec<Vec<f64>>> {
    let rows = logits.detach().to_dtype(DType::F32)?.to_vec2::<f32>()?;
    rows.iter().map(|row| probabilities(row, 1.0)).collect()
}

/// p = softmax(z / temperature) over the full vocabulary for every prompt, in
/// f64, in the order given.
pub fn answer_probabilities(
    model: &Model,
    prompts: &[Prompt],
    pad: u32,
    temperature: f64,
) -> Result<Vec<Vec<f64>>> {
    let mut all = vec![Vec::new(); prompts.len()];
    for (places, batch) in in_batches(prompts, pad, model)? {
        let logits = answer_logits(model, &batch, temperature)?;
        for (place, row) in places.into_iter().zip(softmax_rows(&logits)?) {
            all[place] = row;
        }
    }
    Ok(all)
}

/// p_y of every prompt: the probability of its label's token at temperature 1.
pub(super) fn label_probabilities(model: &Model, prompts: &[Prompt], pad: u32) -> Result<Vec<f64>> {
    let mut all = vec![0.0; prompts.len()];
    for (places, batch) in in_batches(prompts, pad, model)? {
        let rows = softmax_rows(&answer_logits(model, &batch, 1.0)?)?;
        for (place, row) in places.into_iter().zip(rows) {
            let label = prompts[place].label as usize;
            ensure!(label < row.len(), "label token {label} of {}", row.len());
            all[place] = row[label];
        }
    }
    Ok(all)
}

/// Prompts of like length together, so that little is padding: each batch with
/// the places of its rows in `prompts`. The same prompts give the same batches.
pub fn in_batches(prompts: &[Prompt], pad: u32, model: &Model) -> Result<Vec<(Vec<usize>, Batch)>> {
    let mut order: Vec<usize> = (0..prompts.len()).collect();
    order.sort_by_key(|&i| prompts[i].ids.len());
    let mut batches = Vec::new();
    let mut rest = order.as_slice();
    while !rest.is_empty() {
        let fits = |n: &usize| n * prompts[rest[n - 1]].ids.len() <= BATCH_POSITIONS;
        let n = (1..=rest.len()).take_while(fits).last().unwrap_or(1);
        let (now, later) = rest.split_at(n);
        let ids: Vec<&[u32]> = now.iter().map(|&i| prompts[i].ids.as_slice()).collect();
        batches.push((now.to_vec(), Batch::new(&ids, pad, model.device())?));
        rest = later;
    }
    Ok(batches)
}
