//! Token sequences of different lengths, padded on the right to one rectangle.
use anyhow::{Result, ensure};
use candle_core::{Device, Tensor};

/// B sequences padded to the longest, T. Positions count from 0 in each row.
#[derive(Debug, Clone)]
pub struct Batch {
    ids: Tensor,
    rows: Vec<Vec<u32>>,
    time: usize,
    pad: u32,
}

impl Batch {
    /// Pads with the token `pad`, which no real position ever sees. An error
    /// where there is no sequence or an empty one. The model checks ids and
    /// lengths against its own limits.
    pub fn new<S: AsRef<[u32]>>(sequences: &[S], pad: u32, device: &Device) -> Result<Batch> {
        ensure!(!sequences.is_empty(), "a batch needs at least one sequence");
        let rows: Vec<Vec<u32>> = sequences.iter().map(|s| s.as_ref().to_vec()).collect();
        for (i, row) in rows.iter().enumerate() {
            ensure!(!row.is_empty(), "sequence {i} of the batch is empty");
        }
        let time = rows.iter().map(Vec::len).max().unwrap_or(0);
        let mut ids = Vec::with_capacity(rows.len() * time);
        for row in &rows {
            ids.extend_from_slice(row);
            ids.extend(std::iter::repeat_n(pad, time - row.len()));
        }
        Ok(Batch {
            ids: Tensor::from_vec(ids, (rows.len(), time), device)?,
            rows,
            time,
            pad,
        })
    }

    /// [B, T], u32.
    pub fn ids(&self) -> &Tensor {
        &self.ids
    }

    /// B.
    pub fn size(&self) -> usize {
        self.rows.len()
    }

    /// T, the length of the longest sequence.
    pub fn time(&self) -> usize {
        self.time
    }

    /// The sequences without padding.
    pub fn sequences(&self) -> &[Vec<u32>] {
        &self.rows
    }

    /// The length of each sequence.
    pub fn lengths(&self) -> Vec<usize> {
        self.rows.iter().map(Vec::len).collect()
    }

    /// Rows of the flattened [B * T] positions that hold a token of which the
    /// next is known, and those next tokens: what a language model learns from.
    pub fn next_tokens(&self) -> (Vec<u32>, Vec<u32>) {
        let mut positions = Vec::new();
        let mut targets = Vec::new();
        for (b, row) in self.rows.iter().enumerate() {
            for (t, &next) in row.iter().skip(1).enumerate() {
                positions.push((b * self.time + t) as u32);
                targets.push(next);
            }
        }
        (positions, targets)
    }

    /// Whether a model of this vocabulary and length can read the batch.
    pub(super) fn check(&self, vocab: usize, max_positions: usize) -> Result<()> {
        ensure!(
            self.time <= max_positions,
            "a sequence of {} tokens; the model has {max_positions} positions",
            self.time
        );
        for (i, row) in self.rows.iter().enumerate() {
            for &id in row {
                ensure!(
                    (id as usize) < vocab,
                    "token {id} in sequence {i}; the model's vocabulary is {vocab}"
                );
            }
        }
        let padded = self.rows.iter().any(|row| row.len() < self.time);
        ensure!(
            !padded || (self.pad as usize) < vocab,
            "padding token {}; the model's vocabulary is {vocab}",
            self.pad
        );
        Ok(())
    }
}

/// The rows of `post` [B, T, D] at the last real position of each sequence: [B, D].
pub fn last_positions(post: &Tensor, batch: &Batch) -> Result<Tensor> {
    let (size, time, width) = post.dims3()?;
    ensure!(
        (size, time) == (batch.size(), batch.time()),
        "hidden states [{size}, {time}, ..] for a batch of [{}, {}]",
        batch.size(),
        batch.time()
    );
    let rows: Vec<u32> = (batch.rows.iter().enumerate())
        .map(|(b, row)| (b * time + row.len() - 1) as u32)
        .collect();
    let rows = Tensor::from_vec(rows, size, post.device())?;
    Ok(post.reshape((size * time, width))?.index_select(&rows, 0)?)
}

/// States [B, T, ..] as they are, or their last positions [B, ..] where a batch is
/// given: the step in a block after which no position looks at another.
pub(super) fn only_last(states: &Tensor, only: Option<&Batch>) -> Result<Tensor> {
    match only {
        None => Ok(states.clone()),
        Some(batch) => last_positions(states, batch),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pads_on_the_right_and_knows_the_targets() {
        let batch = Batch::new(&[vec![1, 2, 3], vec![4]], 9, &Device::Cpu).unwrap();
        assert_eq!(
            batch.ids().to_vec2::<u32>().unwrap(),
            [[1, 2, 3], [4, 9, 9]]
        );
        assert_eq!(batch.next_tokens(), (vec![0, 1], vec![2, 3]));
        let post = Tensor::arange(0f32, 12.0, &Device::Cpu).unwrap();
        let last = last_positions(&post.reshape((2, 3, 2)).unwrap(), &batch).unwrap();
        assert_eq!(last.to_vec2::<f32>().unwrap(), [[4.0, 5.0], [6.0, 7.0]]);
    }

    #[test]
    fn faults() {
        let fault = |result: Result<Batch>| result.unwrap_err().to_string();
        let none: &[Vec<u32>] = &[];
        assert_eq!(
            fault(Batch::new(none, 0, &Device::Cpu)),
            "a batch needs at least one sequence"
        );
        assert_eq!(
            fault(Batch::new(&[vec![1], vec![]], 0, &Device::Cpu)),
            "sequence 1 of the batch is empty"
        );
        let batch = Batch::new(&[vec![1, 7, 2]], 0, &Device::Cpu).unwrap();
        assert_eq!(
            batch.check(7, 10).unwrap_err().to_string(),
            "token 7 in sequence 0; the model's vocabulary is 7"
        );
        assert_eq!(
            batch.check(8, 2).unwrap_err().to_string(),
            "a sequence of 3 tokens; the model has 2 positions"
        );
    }
}
