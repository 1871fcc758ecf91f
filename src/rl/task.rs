//! The one-token label task: prompts that end right before an answer of one
//! token, tokenized by the checkpoint's own tokenizer. Never runs a model.
use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};

use crate::lm::{Config, Tokenizer};

/// A prompt as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PromptText<'a> {
    /// Names the prompt in random streams and tables.
    pub id: u64,
    pub text: &'a str,
    /// The exact text of the right token, such as ` A`.
    pub label: &'a str,
}

/// A prompt as tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    pub id: u64,
    /// Never empty.
    pub ids: Vec<u32>,
    /// y*(q), the right token.
    pub label: u32,
}

/// Prompts to learn from and prompts to be judged on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    pub train: Vec<Prompt>,
    pub eval: Vec<Prompt>,
    /// The distinct label tokens, ascending.
    pub labels: Vec<u32>,
    /// Fills shorter sequences of a batch; no real position sees it.
    pub pad: u32,
}

impl Task {
    /// Tokenizes both splits. Errors: a tokenizer larger than the vocabulary, a
    /// label that is not one token, a prompt without tokens, one id twice. A
    /// split may be empty; whoever needs it says so.
    pub fn new(
        train: &[PromptText<'_>],
        eval: &[PromptText<'_>],
        tokenizer: &Tokenizer,
        config: &Config,
    ) -> Result<Task> {
        tokenizer.check_vocabulary(config.vocab_size)?;
        let mut seen = BTreeSet::new();
        for text in train.iter().chain(eval) {
            ensure!(seen.insert(text.id), "prompt {} is there twice", text.id);
        }
        let tokenize = |texts: &[PromptText<'_>]| -> Result<Vec<Prompt>> {
            (texts.iter())
                .map(|text| {
                    Prompt::new(text, tokenizer).with_context(|| format!("prompt {}", text.id))
                })
                .collect()
        };
        let (train, eval) = (tokenize(train)?, tokenize(eval)?);
        let labels: BTreeSet<u32> = train.iter().chain(&eval).map(|p| p.label).collect();
        let pad = config.pad_token_id.unwrap_or(0);
        Ok(Task {
            train,
            eval,
            labels: labels.into_iter().collect(),
            pad: if (pad as usize) < config.vocab_size {
                pad
            } else {
                0
            },
        })
    }
}

impl Prompt {
    fn new(text: &PromptText<'_>, tokenizer: &Tokenizer) -> Result<Prompt> {
        let ids = tokenizer.encode(text.text)?;
        ensure!(!ids.is_empty(), "`{}` holds no token", text.text);
        Ok(Prompt {
            id: text.id,
            ids,
            label: tokenizer.single_token(text.label)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rl::tests_gold::{open_config, open_tokenizer};

    fn text(id: u64, label: &str) -> PromptText<'_> {
        PromptText {
            id,
            text: "Pick A over B.\nAnswer:",
            label,
        }
    }

    fn fault(train: &[PromptText<'_>], eval: &[PromptText<'_>]) -> String {
        let task = Task::new(train, eval, &open_tokenizer(), &open_config());
        format!("{:#}", task.unwrap_err())
    }

    #[test]
    fn labels_are_collected_from_both_splits() {
        let train = [text(0, " C"), text(1, " A")];
        let task = Task::new(&train, &[text(7, " A")], &open_tokenizer(), &open_config());
        let task = task.unwrap();
        assert_eq!(task.labels, [256, 258]);
        assert_eq!(
            (task.train[0].label, task.eval[0].id, task.pad),
            (258, 7, 261)
        );
        assert_eq!(task.train[1].ids, task.eval[0].ids);
    }

    #[test]
    fn faults_name_the_prompt() {
        assert_eq!(
            fault(&[text(3, " XY")], &[]),
            "prompt 3: label ` XY` is 3 tokens (Ġ, X, Y): labels must be single tokens"
        );
        assert_eq!(
            fault(&[text(3, " A")], &[text(3, " B")]),
            "prompt 3 is there twice"
        );
        let empty = PromptText {
            text: "",
            ..text(5, " A")
        };
        assert_eq!(fault(&[], &[empty]), "prompt 5: `` holds no token");
        let config = Config {
            vocab_size: 100,
            ..open_config()
        };
        let small = Task::new(&[text(0, " A")], &[], &open_tokenizer(), &config);
        assert_eq!(
            small.unwrap_err().to_string(),
            "the tokenizer has 262 tokens but the model's vocabulary is 100"
        );
    }
}
