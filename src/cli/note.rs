//! What a run leaves for the next one that is called like it: all that the next
//! one would tell if nothing moved, and what it must know to do a part again.
use std::{collections::BTreeMap, fmt::Write};

use serde::{Deserialize, Serialize};

use crate::{
    cli::answer::{Answer, Spent},
    digest::Digest,
    engine::StagePlan,
};

/// What is said once.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) pipeline: String,
    /// Digests of the variables that count; null is unset.
    pub(super) variables: BTreeMap<String, Option<Digest>>,
    pub(super) answer: Answer,
    pub(super) spent: Vec<Spent>,
    /// Whether the answer is made from all results.
    pub(super) report: bool,
}

/// What every look reads: the head, then the stage and label of each instance,
/// in the order of the pipeline.
pub(super) struct Note<'a> {
    pub(super) head: Head,
    pub(super) instances: Vec<(&'a str, &'a str)>,
}

impl<'a> Note<'a> {
    pub(super) fn read(text: &'a str) -> Option<Note<'a>> {
        let mut lines = text.split_terminator('\n');
        let head = serde_json::from_str(lines.next()?).ok()?;
        let instance = |line: &'a str| line.split_once('\t').unwrap_or((line, line));
        Some(Note {
            head,
            instances: lines.map(instance).collect(),
        })
    }

    /// None for names that the form has no room for.
    pub(super) fn write(&self) -> Option<String> {
        let mut text = serde_json::to_string(&self.head).ok()?;
        text.push('\n');
        for (stage, label) in &self.instances {
            if label.contains(['\n', '\t']) {
                return None;
            }
            text.push_str(stage);
            if stage != label {
                text.push('\t');
                text.push_str(label);
            }
            text.push('\n');
        }
        Some(text)
    }

    /// The stages as a plan counts them in which all is cached.
    pub(super) fn stages(&self) -> Vec<StagePlan> {
        let stages = self.instances.chunk_by(|(a, _), (b, _)| a == b);
        let plan = |instances: &[(&str, &str)]| StagePlan {
            stage: instances[0].0.to_owned(),
            instances: instances.len(),
            cached: instances.len(),
            ..StagePlan::default()
        };
        stages.map(plan).collect()
    }
}

/// What a partial run must know of an instance.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Detail<'a> {
    /// Whether the run asked for it.
    pub(super) target: bool,
    /// Among the instances of its stage.
    pub(super) position: usize,
    /// How many files of the proof are its own, in the order of the instances.
    pub(super) files: usize,
    /// Positions of the instances that it reads.
    pub(super) producers: Vec<usize>,
    /// Its line among the results of a run, which did not execute it.
    pub(super) line: &'a str,
}

impl<'a> Detail<'a> {
    pub(super) fn read_all(text: &'a str) -> Option<Vec<Detail<'a>>> {
        text.split_terminator('\n').map(Detail::read).collect()
    }

    fn read(line: &'a str) -> Option<Detail<'a>> {
        let mut fields = line.splitn(5, '\t');
        Some(Detail {
            target: fields.next()? == "t",
            position: fields.next()?.parse().ok()?,
            files: fields.next()?.parse().ok()?,
            producers: read_places(fields.next()?)?,
            line: fields.next()?,
        })
    }

    pub(super) fn write(&self, text: &mut String) {
        let target = if self.target { "t" } else { "" };
        let (position, files) = (self.position, self.files);
        write!(text, "{target}\t{position}\t{files}\t").expect("a string takes all");
        places(&self.producers, text);
        text.push('\t');
        text.push_str(self.line);
        text.push('\n');
    }
}

/// Positions with commas between.
pub(super) fn places(places: &[usize], text: &mut String) {
    for (i, place) in places.iter().enumerate() {
        let comma = if i > 0 { "," } else { "" };
        write!(text, "{comma}{place}").expect("a string takes all");
    }
}

pub(super) fn read_places(text: &str) -> Option<Vec<usize>> {
    let numbers = text.split(',').filter(|number| !number.is_empty());
    numbers.map(|number| number.parse().ok()).collect()
}

/// The line of an instance among the results of a run that did not execute it.
pub(super) fn unexecuted(line: &str) -> String {
    line.replacen("\"executed\":true", "\"executed\":false", 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_return_as_they_were() {
        let details = [
            Detail {
                target: true,
                position: 3,
                files: 2,
                producers: vec![0, 17],
                line: "{\"instance\":\"a\\t\"}",
            },
            Detail {
                target: false,
                position: 0,
                files: 1,
                producers: Vec::new(),
                line: "{}",
            },
        ];
        let mut text = String::new();
        for detail in &details {
            detail.write(&mut text);
        }
        assert_eq!(Detail::read_all(&text).unwrap(), details);
        assert_eq!(Detail::read_all("t\t1\tx\t\t{}\n"), None);
        assert_eq!(Detail::read_all("t\t1\n"), None);
    }

    #[test]
    fn only_the_word_executed_changes() {
        let line = r#"{"instance":"\"executed\":true","executed":true}"#;
        let expected = r#"{"instance":"\"executed\":true","executed":false}"#;
        assert_eq!(unexecuted(line), expected);
        assert_eq!(unexecuted(expected), expected);
    }
}
