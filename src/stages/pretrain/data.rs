//! Batches of training text: a function of the seed and the step alone.
use anyhow::{Context as _, Result, ensure};
use candle_core::Device;

use crate::{
    artifact::Corpus,
    lm::{Batch, Tokenizer},
    seed::Seed,
};

/// All documents one after another, and where a sequence may begin: at each
/// document and, in a long one, after every `context` tokens of it.
pub(super) struct Data {
    tokens: Vec<u32>,
    starts: Vec<usize>,
    context: usize,
}

impl Data {
    /// Tokenizes a corpus; every document ends with the token `end`.
    pub(super) fn of(
        corpus: &Corpus,
        tokenizer: &Tokenizer,
        end: &str,
        context: usize,
    ) -> Result<Data> {
        let end_id = tokenizer
            .id(end)
            .with_context(|| format!("`end_of_document`: the tokenizer has no token `{end}`"))?;
        let (mut tokens, mut starts) = (Vec::new(), Vec::new());
        for (i, document) in corpus.documents.iter().enumerate() {
            let ids = tokenizer.encode(document);
            let ids = ids.with_context(|| format!("document {i}"))?;
            let length = ids.len() + 1;
            starts.extend((0..length).step_by(context).map(|at| tokens.len() + at));
            tokens.extend(ids);
            tokens.push(end_id);
        }
        ensure!(
            tokens.len() >= context,
            "the corpus has {} tokens; a sequence needs {context}",
            tokens.len()
        );
        Ok(Data {
            tokens,
            starts,
            context,
        })
    }

    /// The batch of a step: `size` sequences of `context` tokens, their places
    /// drawn independently. The text goes on at its beginning after its end.
    pub(super) fn batch(
        &self,
        seed: Seed,
        step: u64,
        size: usize,
        device: &Device,
    ) -> Result<Batch> {
        let mut stream = seed.stream("pretrain batch", &[step]);
        let rows: Vec<Vec<u32>> = (0..size)
            .map(|_| {
                let start = self.starts[stream.below(self.starts.len())];
                let places = (start..start + self.context).map(|i| i % self.tokens.len());
                places.map(|i| self.tokens[i]).collect()
            })
            .collect();
        Batch::new(&rows, 0, device)
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use crate::lm::word_tokenizer;

    use super::*;

    fn data(documents: &[&str], context: usize) -> Result<Data> {
        let words = word_tokenizer(&["<eos>", "a", "b", "c", "d"]).unwrap();
        let corpus = Corpus {
            documents: documents.iter().map(|text| (*text).to_owned()).collect(),
            tokenizer: PathBuf::new(),
            labels: None,
        };
        Data::of(
            &corpus,
            &Tokenizer::from_bytes(&words).unwrap(),
            "<eos>",
            context,
        )
    }

    #[test]
    fn sequences_begin_at_documents_and_inside_long_ones() {
        let data = data(&["a b", "c a b c d"], 4).unwrap();
        assert_eq!(data.tokens, [1, 2, 0, 3, 1, 2, 3, 4, 0]);
        assert_eq!(data.starts, [0, 3, 7]);
        let batch = |step| data.batch(Seed(1), step, 30, &Device::Cpu).unwrap();
        let rows = batch(1);
        assert_eq!(rows.sequences(), batch(1).sequences());
        assert_ne!(rows.sequences(), batch(2).sequences());
        for row in rows.sequences() {
            let known: [&[u32]; 3] = [&[1, 2, 0, 3], &[3, 1, 2, 3], &[4, 0, 1, 2]];
            assert!(known.contains(&row.as_slice()), "{row:?}");
        }
    }

    #[test]
    fn faults() {
        let fault = |result: Result<Data>| format!("{:#}", result.err().unwrap());
        assert_eq!(
            fault(data(&["a"], 4)),
            "the corpus has 2 tokens; a sequence needs 4"
        );
        let unknown = fault(data(&["a", "zebra"], 2));
        assert!(
            unknown.starts_with("document 1: encode `zebra`"),
            "{unknown}"
        );
    }
}
