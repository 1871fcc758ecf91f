//! Kind `label-copy`: one-token prompts of a corpus, frozen into two splits.
//!
//! Every prompt is a combination of template, label and distractor, used once:
//! what is measured and evaluated on was never trained on by RL. Labels and
//! templates are balanced within each split.
use std::collections::BTreeSet;

use anyhow::{Context as _, Result, bail, ensure};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    artifact::{ArtifactType, Corpus, Labels, Prompt, Prompts, Split},
    seed::{Seed, Stream},
    stage::{Context, InputPort, Inputs, OutputPort, Outputs, Ports, Produced, Refusal, Stage},
    stages::{
        ranges,
        template::{self, Combination},
    },
};

/// Draws prompts that end right before their answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LabelCopy {
    /// Seed of all draws.
    pub seed: Seed,
    /// Prompts that RL draws from, 0 to 1,000,000.
    pub train: usize,
    /// Prompts to measure and evaluate on, 1 to 1,000,000. A multiple of the
    /// number of labels balances them exactly.
    pub eval: usize,
    /// Names of the corpus' templates to use; all where empty.
    pub templates: Vec<String>,
}

impl Default for LabelCopy {
    fn default() -> LabelCopy {
        LabelCopy {
            seed: Seed(0),
            train: 96,
            eval: 48,
            templates: Vec::new(),
        }
    }
}

impl Stage for LabelCopy {
    const KIND: &'static str = "label-copy";
    const VERSION: u32 = 1;
    const ABOUT: &'static str = "label-copy prompts of a corpus in disjoint splits";
    const PORTS: Ports = Ports {
        inputs: &[InputPort::one(
            "corpus",
            ArtifactType::Corpus,
            "labels and templates",
        )],
        outputs: &[OutputPort::new(
            "prompts",
            ArtifactType::Prompts,
            "the frozen prompts, train and eval",
        )],
    };

    fn check(&self) -> Result<(), Refusal> {
        ranges::whole("train", self.train as u64, 0, 1_000_000)?;
        ranges::whole("eval", self.eval as u64, 1, 1_000_000)
    }

    fn run(&self, inputs: &Inputs, _context: &Context<'_>) -> Result<Outputs> {
        let corpus = Corpus::read(inputs.one("corpus")?)?;
        let labels = corpus.labels.context("the corpus has no labels.json")?;
        let labels = self.choose(labels)?;
        template::check(&labels).context("`labels.json`")?;
        let (wanted, there) = (self.train + self.eval, template::combinations(&labels));
        ensure!(
            wanted <= there,
            "`train` + `eval` is {wanted}; the corpus has {there} combinations of template, \
             label and distractor"
        );
        let mut used = BTreeSet::new();
        let mut rows = Vec::with_capacity(wanted);
        for (split, count) in [(Split::Train, self.train), (Split::Eval, self.eval)] {
            self.draw(&labels, split, count, &mut used, &mut rows)?;
        }
        let prompts = Prompts::new(rows)?.encode()?;
        Ok(Outputs::new().with("prompts", Produced::Bytes(prompts)))
    }
}

impl LabelCopy {
    /// The labels with the chosen templates only.
    fn choose(&self, mut labels: Labels) -> Result<Labels> {
        for name in &self.templates {
            let known = labels.templates.iter().any(|known| known.name == *name);
            let names = || labels.templates.iter().map(|known| known.name.as_str());
            ensure!(
                known,
                "`templates`: no template `{name}`; the corpus has `{}`",
                names().collect::<Vec<_>>().join("`, `")
            );
        }
        if !self.templates.is_empty() {
            let chosen = &self.templates;
            labels
                .templates
                .retain(|known| chosen.contains(&known.name));
        }
        Ok(labels)
    }

    /// Adds `count` prompts of unused combinations.
    fn draw(
        &self,
        labels: &Labels,
        split: Split,
        count: usize,
        used: &mut BTreeSet<Combination>,
        rows: &mut Vec<Prompt>,
    ) -> Result<()> {
        let place = [split as u64];
        let mut stream = self.seed.stream("label-copy prompts", &place);
        let answers = rounds(labels.labels.len(), count, &mut stream);
        let templates = rounds(labels.templates.len(), count, &mut stream);
        for (label, wanted) in answers.into_iter().zip(templates) {
            let combination = unused(labels, wanted, label, used, &mut stream)?;
            used.insert(combination);
            rows.push(Prompt {
                prompt: rows.len() as i64,
                text: combination.fill(labels, &mut stream)?,
                label: labels.labels[label].clone(),
                split,
                template: labels.templates[combination.template].name.clone(),
            });
        }
        Ok(())
    }
}

/// An unused combination of this label, with this template where one is left.
fn unused(
    labels: &Labels,
    wanted: usize,
    label: usize,
    used: &BTreeSet<Combination>,
    stream: &mut Stream,
) -> Result<Combination> {
    let templates = labels.templates.len();
    for template in (wanted..templates).chain(0..wanted) {
        let all = Combination::all(labels, template, label);
        let free: Vec<Combination> = all.filter(|one| !used.contains(one)).collect();
        if !free.is_empty() {
            return Ok(free[stream.below(free.len())]);
        }
    }
    bail!(
        "no combination is left for label `{}`: fewer prompts, or more templates",
        labels.labels[label]
    )
}

/// `count` places below `n`, each as often as any other but for one: random
/// orders one after another.
fn rounds(n: usize, count: usize, stream: &mut Stream) -> Vec<usize> {
    let mut places = Vec::with_capacity(count + n);
    while places.len() < count {
        places.extend(stream.permutation(n));
    }
    places.truncate(count);
    places
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::{
        artifact::Artifact,
        stages::{
            copy_corpus::CopyCorpus,
            harness::{Ran, run},
        },
    };

    use super::*;

    fn corpus(labels: usize) -> Ran {
        let stage = CopyCorpus {
            documents: 3,
            labels,
            ..CopyCorpus::default()
        };
        run(&stage, &[]).unwrap()
    }

    fn prompts(stage: &LabelCopy, corpus: &Artifact) -> Prompts {
        let ran = run(stage, &[("corpus", corpus)]).unwrap();
        Prompts::read(ran.artifact("prompts")).unwrap()
    }

    /// Template, label and distractor of a prompt, read from its text.
    fn combination(prompt: &Prompt) -> (String, String, String) {
        let letters = prompt.text.split(' ').filter(|word| {
            word.len() == 1 && word.chars().all(char::is_uppercase) && *word != prompt.label
        });
        let letters: Vec<&str> = letters.collect();
        assert_eq!(letters.len(), 1, "{}", prompt.text);
        (
            prompt.template.clone(),
            prompt.label.clone(),
            letters[0].to_owned(),
        )
    }

    #[test]
    fn splits_are_disjoint_and_balanced() {
        let corpus = corpus(24);
        let prompts = prompts(&LabelCopy::default(), corpus.artifact("corpus"));
        let mut seen = BTreeSet::new();
        for (split, count) in [(Split::Train, 96), (Split::Eval, 48)] {
            let rows = prompts.split(split);
            assert_eq!(rows.len(), count);
            let (mut labels, mut templates) = (BTreeMap::new(), BTreeMap::new());
            for row in rows {
                assert!(row.text.ends_with("answer :"), "{}", row.text);
                assert!(seen.insert(combination(row)), "{}", row.text);
                *labels.entry(&row.label).or_insert(0) += 1;
                *templates.entry(&row.template).or_insert(0) += 1;
            }
            assert_eq!(labels.len(), 24);
            assert!(labels.values().all(|&n| n == count / 24), "{labels:?}");
            assert!(templates.values().all(|&n| n == count / 6), "{templates:?}");
        }
    }

    #[test]
    fn all_combinations_can_be_used_up_and_no_more() {
        let corpus = corpus(3);
        let corpus = corpus.artifact("corpus");
        let stage = |train, eval| LabelCopy {
            train,
            eval,
            ..LabelCopy::default()
        };
        assert_eq!(prompts(&stage(24, 12), corpus).rows().len(), 36);
        let fault = run(&stage(25, 12), &[("corpus", corpus)]).err().unwrap();
        assert_eq!(
            fault.to_string(),
            "`train` + `eval` is 37; the corpus has 36 combinations of template, label and \
             distractor"
        );
    }

    #[test]
    fn the_seed_alone_decides() {
        let corpus = corpus(24);
        let corpus = corpus.artifact("corpus");
        let digest = |stage: &LabelCopy| {
            let ran = run(stage, &[("corpus", corpus)]).unwrap();
            ran.artifact("prompts").digest
        };
        let default = LabelCopy::default();
        assert_eq!(digest(&default), digest(&default));
        let other = LabelCopy {
            seed: Seed(1),
            ..default.clone()
        };
        assert_ne!(digest(&default), digest(&other));
    }

    #[test]
    fn templates_are_chosen_by_name() {
        let corpus = corpus(24);
        let corpus = corpus.artifact("corpus");
        let stage = |name: &str| LabelCopy {
            templates: vec![name.to_owned()],
            ..LabelCopy::default()
        };
        let rows = prompts(&stage("pick"), corpus);
        assert!(rows.rows().iter().all(|row| row.template == "pick"));
        let fault = run(&stage("pik"), &[("corpus", corpus)]).err().unwrap();
        assert_eq!(
            fault.to_string(),
            "`templates`: no template `pik`; the corpus has `label`, `pick`, `not`, `key`, \
             `right`, `skip`"
        );
    }
}
