//! The loss of language modelling.
use anyhow::{Result, ensure};
use candle_core::Tensor;

use super::{Batch, Model, Observe, ops};

/// The mean negative log-likelihood of every next token in the batch, in nats.
/// The head is run on positions with a target only. Padding has no target.
pub fn next_token_loss(model: &Model, batch: &Batch) -> Result<Tensor> {
    let (positions, targets) = batch.next_tokens();
    ensure!(
        !targets.is_empty(),
        "no sequence has a second token to learn"
    );
    let n = targets.len();
    let post = model.forward(batch, &Observe::default())?.post;
    let (size, time, width) = post.dims3()?;
    let mut rows = post.reshape((size * time, width))?;
    if n < size * time {
        let positions = Tensor::from_vec(positions, n, rows.device())?;
        rows = rows.index_select(&positions, 0)?;
    }
    let targets = Tensor::from_vec(targets, (n, 1), rows.device())?;
    let log_prob = ops::log_prob(&model.head(&rows)?, &targets)?;
    Ok((log_prob.mean_all()? * -1.0)?)
}
