//! What a run leaves for the next one that is called like it: all that the next
//! one would tell if nothing moved.
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

impl Head {
    /// The first line of a note.
    pub(super) fn line(&self) -> Option<String> {
        let mut text = serde_json::to_string(self).ok()?;
        text.push('\n');
        Some(text)
    }
}

/// The other lines; none for names that the form has no room for.
pub(super) fn instance_lines(instances: &[(&str, String)]) -> Option<String> {
    let mut text = String::new();
    for (stage, label) in instances {
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

/// What every look reads: the head, then the stage and label of each instance,
/// in the order of the pipeline.
pub(super) struct Note<'a> {
    pub(super) head: Head,
    pub(super) instances: Vec<(&'a str, &'a str)>,
    /// As they were written.
    pub(super) written: &'a str,
}

impl<'a> Note<'a> {
    pub(super) fn read(text: &'a str) -> Option<Note<'a>> {
        let (head, written) = text.split_once('\n')?;
        let instance = |line: &'a str| line.split_once('\t').unwrap_or((line, line));
        Some(Note {
            head: serde_json::from_str(head).ok()?,
            instances: written.split_terminator('\n').map(instance).collect(),
            written,
        })
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
