//! Kind `copy-corpus`: the text of the embedded ladder.
//!
//! A word-level language of about 104 words in which letters are labels. Most
//! documents are plain sentences that use one letter twice; a share asks for a
//! letter that stands in the question, beside a distractor. Copying is learned
//! from both, and how well it is learned is what the ladder climbs. Letters and
//! templates are used as often as 1/rank, so that some questions are learned
//! early and others late: the climb is gradual.
mod language;

use anyhow::{Context as _, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    artifact::{ArtifactType, Corpus, Labels},
    disk,
    lm::word_tokenizer,
    seed::Seed,
    stage::{Context, Inputs, OutputPort, Outputs, Ports, Produced, Refusal, Stage},
    stages::{ranges, template::Combination},
};

/// Makes a corpus. The same parameters make the same bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CopyCorpus {
    /// Seed of all draws.
    pub seed: Seed,
    /// Documents, 1 to 10,000,000; about 12 tokens each.
    pub documents: u64,
    /// Share of label-copy documents, 0 to 1.
    pub copy_share: f64,
    /// Share of label-copy documents whose answer is a random label, 0 to 1.
    /// It bounds p_y from above: about 1 - noise.
    pub noise: f64,
    /// Labels, the letters from A on, 2 to 26.
    pub labels: usize,
}

impl Default for CopyCorpus {
    fn default() -> CopyCorpus {
        CopyCorpus {
            seed: Seed(0),
            documents: 8000,
            copy_share: 0.4,
            noise: 0.05,
            labels: 24,
        }
    }
}

impl Stage for CopyCorpus {
    const KIND: &'static str = "copy-corpus";
    const VERSION: u32 = 1;
    const ABOUT: &'static str = "text that teaches a small model to copy a label, with its \
                                 word-level tokenizer, labels and prompt templates";
    const PORTS: Ports = Ports {
        inputs: &[],
        outputs: &[OutputPort::new(
            "corpus",
            ArtifactType::Corpus,
            "documents, tokenizer, labels and templates",
        )],
    };

    fn check(&self) -> Result<(), Refusal> {
        ranges::whole("documents", self.documents, 1, 10_000_000)?;
        ranges::share("copy_share", self.copy_share)?;
        ranges::share("noise", self.noise)?;
        ranges::whole("labels", self.labels as u64, 2, 26)
    }

    fn run(&self, _inputs: &Inputs, context: &Context<'_>) -> Result<Outputs> {
        let labels = language::labels(self.labels);
        let documents: Vec<String> = (0..self.documents)
            .map(|i| self.document(&labels, i))
            .collect::<Result<_>>()?;
        let tokenizer = word_tokenizer(&language::vocabulary(&labels))?;
        let tokenizer = String::from_utf8(tokenizer).context("the tokenizer's JSON")?;
        let folder = context.scratch().join("corpus");
        disk::make_folder(&folder)?;
        Corpus::write(&folder, &documents, &tokenizer, Some(&labels))?;
        Ok(Outputs::new().with("corpus", Produced::Tree(folder)))
    }
}

impl CopyCorpus {
    /// Document `i`, a function of the parameters and `i` alone.
    fn document(&self, labels: &Labels, i: u64) -> Result<String> {
        let mut stream = self.seed.stream("copy-corpus document", &[i]);
        let label = language::zipf(labels.labels.len(), &mut stream);
        if stream.uniform() >= self.copy_share {
            return Ok(language::sentence(&labels.labels[label], &mut stream));
        }
        let template = language::zipf(labels.templates.len(), &mut stream);
        let combination = Combination::draw(labels, template, label, &mut stream);
        let noisy = stream.uniform() < self.noise;
        let answer = if noisy {
            stream.below(labels.labels.len())
        } else {
            label
        };
        let prompt = combination.fill(labels, &mut stream)?;
        Ok(format!("{prompt} {} .", labels.labels[answer]))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::{
        lm::{Files, Tokenizer},
        stages::harness::{refusal, run},
    };

    use super::*;

    fn small() -> CopyCorpus {
        CopyCorpus {
            documents: 2000,
            ..CopyCorpus::default()
        }
    }

    #[test]
    fn every_word_is_known_and_every_label_is_one_token() {
        let ran = run(&small(), &[]).unwrap();
        let corpus = Corpus::read(ran.artifact("corpus")).unwrap();
        let files = Files(ran.artifact("corpus").files().unwrap().clone());
        let tokenizer = Tokenizer::load(&files).unwrap();
        assert_eq!((corpus.documents.len(), tokenizer.size()), (2000, 104));
        for document in &corpus.documents {
            let ids = tokenizer.encode(document).unwrap();
            assert!((8..=16).contains(&ids.len()), "{document}");
        }
        for label in corpus.labels.unwrap().labels {
            tokenizer.single_token(&label).unwrap();
        }
        assert_eq!(tokenizer.id("<pad>"), Some(0));
        assert_eq!(tokenizer.id("<eos>"), Some(1));
    }

    #[test]
    fn shares_are_what_was_asked_for() {
        let ran = run(&small(), &[]).unwrap();
        let corpus = Corpus::read(ran.artifact("corpus")).unwrap();
        let copies: Vec<&String> = (corpus.documents.iter())
            .filter(|text| text.contains("answer :"))
            .collect();
        assert!((720..880).contains(&copies.len()), "{}", copies.len());
        let strange = copies.iter().filter(|text| {
            let words: Vec<&str> = text.split(' ').collect();
            let (answer, question) = (words[words.len() - 2], &words[..words.len() - 2]);
            !question.contains(&answer)
        });
        // 5 % random answers, of which 22 of 24 are neither label nor distractor
        assert!((18..60).contains(&strange.count()));
        let plain = corpus.documents.iter().filter(|t| !t.contains("answer :"));
        for text in plain {
            let mut letters: BTreeMap<&str, usize> = BTreeMap::new();
            for word in text.split(' ').filter(|word| word.len() == 1) {
                if word.chars().all(char::is_uppercase) {
                    *letters.entry(word).or_default() += 1;
                }
            }
            assert_eq!(letters.into_values().collect::<Vec<_>>(), [2], "{text}");
        }
    }

    #[test]
    fn the_seed_alone_decides() {
        let digest = |stage: &CopyCorpus| run(stage, &[]).unwrap().artifact("corpus").digest;
        assert_eq!(digest(&small()), digest(&small()));
        let other = CopyCorpus {
            seed: Seed(1),
            ..small()
        };
        assert_ne!(digest(&small()), digest(&other));
    }

    #[test]
    fn ranges_are_told() {
        let edit = |edit: fn(&mut CopyCorpus)| {
            let mut stage = small();
            edit(&mut stage);
            refusal(&stage)
        };
        assert_eq!(
            edit(|s| s.labels = 1),
            ("labels", "`labels` is 1; allowed: 2 to 26".to_owned())
        );
        assert_eq!(
            edit(|s| s.noise = 1.5),
            ("noise", "`noise` is 1.5; allowed: 0 to 1".to_owned())
        );
        assert_eq!(
            edit(|s| s.documents = 0),
            (
                "documents",
                "`documents` is 0; allowed: 1 to 10000000".to_owned()
            )
        );
    }
}
