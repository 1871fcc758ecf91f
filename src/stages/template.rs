//! Prompt templates: a text with slots in braces, filled by chance.
//!
//! Corpus and prompts are made from the same templates, so what a slot means
//! is said here and nowhere else. Knows no tokens and no files.
use anyhow::{Context as _, Result, bail, ensure};

use crate::{artifact::Labels, seed::Stream};

/// The slot of the right answer.
const LABEL: &str = "label";
/// The slot of a label that is not the answer.
const DISTRACTOR: &str = "distractor";

/// What sets one question apart from another; words in other slots are filler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Combination {
    /// Place in [`Labels::templates`].
    pub(super) template: usize,
    /// Place in [`Labels::labels`].
    pub(super) label: usize,
    /// Place in [`Labels::labels`]; never `label`.
    pub(super) distractor: usize,
}

impl Combination {
    /// A combination with this template and label, and a distractor by chance.
    pub(super) fn draw(
        labels: &Labels,
        template: usize,
        label: usize,
        stream: &mut Stream,
    ) -> Combination {
        let mut distractor = stream.below(labels.labels.len() - 1);
        if distractor >= label {
            distractor += 1;
        }
        Combination {
            template,
            label,
            distractor,
        }
    }

    /// Every combination of this template and label.
    pub(super) fn all(
        labels: &Labels,
        template: usize,
        label: usize,
    ) -> impl Iterator<Item = Combination> {
        let others = (0..labels.labels.len()).filter(move |&distractor| distractor != label);
        others.map(move |distractor| Combination {
            template,
            label,
            distractor,
        })
    }

    /// The prompt: the template with its slots filled, other slots with words
    /// by chance. Ends right before the answer.
    pub(super) fn fill(self, labels: &Labels, stream: &mut Stream) -> Result<String> {
        let template = &labels.templates[self.template];
        fill(&template.text, |slot| {
            let word = match slot {
                LABEL => labels.labels[self.label].trim(),
                DISTRACTOR => labels.labels[self.distractor].trim(),
                other => {
                    let words = labels.words.get(other).filter(|words| !words.is_empty());
                    let words =
                        words.with_context(|| format!("no words for slot `{{{other}}}`"))?;
                    &words[stream.below(words.len())]
                }
            };
            Ok(word.to_owned())
        })
        .with_context(|| format!("template `{}`", template.name))
    }
}

/// How many combinations there are.
pub(super) fn combinations(labels: &Labels) -> usize {
    let n = labels.labels.len();
    labels.templates.len() * n * n.saturating_sub(1)
}

/// Whether prompts can be made: two labels, a template, both slots in each.
pub(super) fn check(labels: &Labels) -> Result<()> {
    ensure!(
        labels.labels.len() >= 2,
        "{} labels; prompts with a distractor need at least 2",
        labels.labels.len()
    );
    ensure!(!labels.templates.is_empty(), "no templates");
    for template in &labels.templates {
        for slot in [LABEL, DISTRACTOR] {
            ensure!(
                template.text.contains(&format!("{{{slot}}}")),
                "template `{}` has no slot `{{{slot}}}`",
                template.name
            );
        }
    }
    Ok(())
}

fn fill(text: &str, mut word: impl FnMut(&str) -> Result<String>) -> Result<String> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((slot, tail)) = after.split_once('}') else {
            bail!("`{{` without `}}` in `{text}`");
        };
        filled.push_str(before);
        filled.push_str(&word(slot)?);
        rest = tail;
    }
    filled.push_str(rest);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use crate::{artifact::Template, seed::Seed};

    use super::*;

    fn labels(text: &str) -> Labels {
        Labels {
            labels: [" A", " B", " C"].map(str::to_owned).to_vec(),
            templates: vec![Template {
                name: "only".to_owned(),
                text: text.to_owned(),
            }],
            words: [("noun".to_owned(), vec!["cat".to_owned()])].into(),
        }
    }

    #[test]
    fn slots_are_filled_and_the_distractor_is_another_label() {
        let labels = labels("the {noun} has {label} , not {distractor} :");
        let mut stream = Seed(1).stream("test", &[]);
        let mut seen = [0; 3];
        for _ in 0..300 {
            let combination = Combination::draw(&labels, 0, 1, &mut stream);
            seen[combination.distractor] += 1;
        }
        assert!(seen[1] == 0 && seen[0] > 100 && seen[2] > 100, "{seen:?}");
        let combination = Combination {
            template: 0,
            label: 0,
            distractor: 2,
        };
        let text = combination.fill(&labels, &mut stream).unwrap();
        assert_eq!(text, "the cat has A , not C :");
        assert_eq!(combinations(&labels), 6);
    }

    #[test]
    fn faults() {
        let mut stream = Seed(1).stream("test", &[]);
        let combination = Combination {
            template: 0,
            label: 0,
            distractor: 1,
        };
        let mut fault = |text: &str| {
            let fault = combination.fill(&labels(text), &mut stream).unwrap_err();
            format!("{fault:#}")
        };
        assert_eq!(
            fault("{verb} {label}"),
            "template `only`: no words for slot `{verb}`"
        );
        assert_eq!(
            fault("a {label"),
            "template `only`: `{` without `}` in `a {label`"
        );
        let fault = |labels: Labels| check(&labels).unwrap_err().to_string();
        assert_eq!(
            fault(labels("{label} :")),
            "template `only` has no slot `{distractor}`"
        );
        assert_eq!(
            fault(labels("answer :")),
            "template `only` has no slot `{label}`"
        );
        let one = Labels {
            labels: vec!["A".to_owned()],
            ..labels("{label}")
        };
        assert_eq!(
            fault(one),
            "1 labels; prompts with a distractor need at least 2"
        );
    }
}
