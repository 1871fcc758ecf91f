//! Selectors, `stage@axis=value,axis=a..b`: the one form in which a file and
//! the command line name instances.
use std::ops::Range;

use crate::{
    artifact::Scalar,
    diagnostic::{Diagnostic, Faults, Source, listing, nearest},
    pipeline::meaning::{InstanceId, Pipeline, StageMeaning},
};

/// A selector as written. What it names is known only beside a pipeline.
#[derive(Debug, Clone, PartialEq)]
pub struct Selector {
    pub(super) text: String,
    pub stage: String,
    /// `rewards` in `grpo.rewards`.
    pub output: Option<String>,
    /// An axis without a pick means all its values.
    pub picks: Vec<AxisPick>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct AxisPick {
    pub axis: String,
    pub pick: Pick,
    /// Bytes of the selector.
    pub(super) at: Range<usize>,
}

/// Which values of an axis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pick {
    Value(String),
    /// From and to, both included; an end may be open.
    Between(Option<String>, Option<String>),
    First,
    Last,
}

impl Selector {
    /// Reads the form; `grop@lr=x` is a selector until it meets a pipeline.
    pub fn parse(text: &str) -> Result<Selector, Faults> {
        Selector::read(text).map_err(|fault| Faults::of(Source::command_line(text), fault))
    }

    /// The same with a bare fault, whose span counts from the selector's start.
    pub(super) fn read(text: &str) -> Result<Selector, Diagnostic> {
        let refuse = |message: String, at: Range<usize>| {
            Diagnostic::new(message)
                .at(at)
                .help("a selector is stage@axis=value,axis=a..b; `first` and `last` are values")
        };
        let (head, picks) = match text.split_once('@') {
            Some((head, picks)) => (head, Some(picks)),
            None => (text, None),
        };
        let (stage, output) = match head.split_once('.') {
            Some((stage, output)) => (stage, Some(output)),
            None => (head, None),
        };
        if stage.is_empty() || output == Some("") {
            return Err(refuse(format!("`{text}` names no stage"), 0..text.len()));
        }
        let mut selector = Selector {
            text: text.to_owned(),
            stage: stage.to_owned(),
            output: output.map(str::to_owned),
            picks: Vec::new(),
        };
        let mut start = head.len() + 1;
        for part in picks.into_iter().flat_map(|picks| picks.split(',')) {
            let at = start..start + part.len();
            start = at.end + 1;
            match part.split_once('=') {
                Some((axis, value)) if !axis.is_empty() && !value.is_empty() => {
                    if selector.picks.iter().any(|pick| pick.axis == axis) {
                        return Err(refuse(format!("`{axis}` is picked twice"), at));
                    }
                    selector.picks.push(AxisPick {
                        axis: axis.to_owned(),
                        pick: Pick::read(value),
                        at,
                    });
                }
                _ => {
                    let at = if part.is_empty() { 0..text.len() } else { at };
                    return Err(refuse(format!("`{part}` is not axis=value"), at));
                }
            }
        }
        Ok(selector)
    }
}

impl Pick {
    fn read(text: &str) -> Pick {
        let end = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        match text.split_once("..") {
            Some((from, to)) => Pick::Between(end(from), end(to)),
            None if text == "first" => Pick::First,
            None if text == "last" => Pick::Last,
            None => Pick::Value(text.to_owned()),
        }
    }

    /// Whether it names one place rather than a stretch.
    pub(super) fn single(&self) -> bool {
        !matches!(self, Pick::Between(..))
    }

    /// The positions of the picked values among `sorted`, ascending; a fault
    /// without a place for a value that is not there.
    pub(super) fn among(&self, axis: &str, sorted: &[Scalar]) -> Result<Vec<usize>, Diagnostic> {
        match self {
            Pick::Value(text) => match find(text, sorted) {
                Some(position) => Ok(vec![position]),
                None => Err(not_there(axis, text, sorted)),
            },
            // A value of that very name goes first.
            Pick::First => Ok(vec![find("first", sorted).unwrap_or(0)]),
            Pick::Last => {
                let last = sorted.len().saturating_sub(1);
                Ok(vec![find("last", sorted).unwrap_or(last)])
            }
            Pick::Between(from, to) => {
                let bound = |text: &Option<String>, open: f64| match text {
                    None => Ok(open),
                    Some(text) => text.parse::<f64>().map_err(|_| {
                        Diagnostic::new(format!("`{text}` is not a number"))
                            .help("a range such as 25..100 goes over numbers")
                    }),
                };
                let from = bound(from, f64::NEG_INFINITY)?;
                let to = bound(to, f64::INFINITY)?;
                let picked: Vec<usize> = sorted
                    .iter()
                    .enumerate()
                    .filter(|(_, value)| value.as_f64().is_some_and(|x| from <= x && x <= to))
                    .map(|(position, _)| position)
                    .collect();
                if picked.is_empty() {
                    return Err(Diagnostic::new(format!(
                        "no value of `{axis}` lies in this range"
                    ))
                    .label(format!("values: {}", listing(sorted))));
                }
                Ok(picked)
            }
        }
    }
}

/// The position of the value that a text names. Numbers compare as numbers.
fn find(text: &str, sorted: &[Scalar]) -> Option<usize> {
    let number = text.replace('_', "").parse::<f64>().ok();
    sorted
        .iter()
        .position(|value| match (value.as_f64(), number) {
            (Some(value), Some(number)) => value == number,
            (Some(_), None) => false,
            (None, _) => value.to_string() == text,
        })
}

fn not_there(axis: &str, text: &str, sorted: &[Scalar]) -> Diagnostic {
    let fault = Diagnostic::new(format!("`{axis}` has no value {text}"));
    let names: Vec<String> = sorted.iter().map(ToString::to_string).collect();
    let fault = fault.label(format!("values: {}", listing(&names)));
    let number = text.parse::<f64>().ok();
    let near: Vec<&str> = match number {
        Some(number) => {
            let above = sorted.partition_point(|value| value.as_f64().is_some_and(|x| x < number));
            let around = above.saturating_sub(1)..(above + 1).min(names.len());
            names[around].iter().map(String::as_str).collect()
        }
        None => nearest(text, names.iter().map(String::as_str))
            .into_iter()
            .collect(),
    };
    match near.as_slice() {
        [] => fault,
        near => fault.help(format!("the nearest: {}", near.join(", "))),
    }
}

/// A fault without a place for an axis that a stage is not over.
pub(super) fn no_such_axis(stage: &str, axis: &str, over: &[&str]) -> Diagnostic {
    let fault = Diagnostic::new(format!("`{stage}` does not vary along `{axis}`"));
    if over.is_empty() {
        return fault.label("it has no axes");
    }
    fault
        .label(format!("axes: {}", listing(over)))
        .nearest(axis, over.iter().copied())
}

/// A fault without a place for a stage that is not there.
pub(super) fn no_such_stage<'n>(
    stage: &str,
    names: impl Iterator<Item = &'n str> + Clone,
) -> Diagnostic {
    let fault = Diagnostic::new(format!("no stage is named `{stage}`"));
    match nearest(stage, names.clone()) {
        Some(near) => fault.help(format!("did you mean `{near}`?")),
        None => fault.help(format!("stages: {}", listing(names))),
    }
}

impl Pipeline {
    /// The instances that any of the selectors names, in the pipeline's
    /// order; none for no selectors. Faults show the selectors themselves.
    pub fn select(&self, selectors: &[Selector]) -> Result<Vec<InstanceId>, Faults> {
        let mut faults = Faults::new();
        let mut wanted = vec![false; self.instances.len()];
        for selector in selectors {
            let base = faults.read(Source::command_line(&*selector.text));
            match self.selected(selector) {
                Ok(found) => {
                    for id in found {
                        wanted[id] = true;
                    }
                }
                Err(mut fault) => {
                    let at = fault.span.take().unwrap_or(0..selector.text.len());
                    faults.push(fault.at(base + at.start..base + at.end));
                }
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(self.ids().filter(|id| wanted[id.0]).collect())
    }

    fn selected(&self, selector: &Selector) -> Result<Vec<usize>, Diagnostic> {
        let stage = self.stage_named(&selector.stage).ok_or_else(|| {
            let names = self.stages.iter().map(|stage| stage.name.as_str());
            no_such_stage(&selector.stage, names).at(0..selector.stage.len())
        })?;
        check_output(stage, selector)?;
        let mut picked: Vec<(&str, Vec<Scalar>)> = Vec::new();
        for AxisPick { axis, pick, at } in &selector.picks {
            let over: Vec<&str> = stage.over.iter().map(String::as_str).collect();
            let values = self
                .axes
                .iter()
                .find(|known| known.name == *axis && over.contains(&axis.as_str()))
                .map(|axis| axis.values.clone());
            let Some(mut values) = values else {
                return Err(no_such_axis(&stage.name, axis, &over).at(at.clone()));
            };
            values.sort();
            let places = pick
                .among(axis, &values)
                .map_err(|fault| fault.at(at.clone()))?;
            let chosen = places.into_iter().map(|i| values[i].clone()).collect();
            picked.push((axis, chosen));
        }
        let matches = |index: &usize| {
            let coords = &self.instances[*index].coords;
            picked.iter().all(|(axis, chosen)| {
                coords
                    .get(*axis)
                    .is_some_and(|value| chosen.binary_search(value).is_ok())
            })
        };
        Ok(stage.instances.clone().filter(matches).collect())
    }
}

fn check_output(stage: &StageMeaning, selector: &Selector) -> Result<(), Diagnostic> {
    let Some(output) = &selector.output else {
        return Ok(());
    };
    if stage.output(output).is_some() {
        return Ok(());
    }
    let names: Vec<&str> = stage.outputs.iter().map(|port| port.name).collect();
    let start = selector.stage.len() + 1;
    Err(
        Diagnostic::new(format!("`{}` has no output `{output}`", stage.name))
            .at(start..start + output.len())
            .label(format!("outputs: {}", listing(&names)))
            .nearest(output, names.iter().copied()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_is_read() {
        let selector = Selector::parse("grpo.rewards@lr=1e-4,step=25..100,seed=last").unwrap();
        assert_eq!(
            (selector.stage.as_str(), selector.output.as_deref()),
            ("grpo", Some("rewards"))
        );
        let picks: Vec<(&str, &Pick)> = selector
            .picks
            .iter()
            .map(|pick| (pick.axis.as_str(), &pick.pick))
            .collect();
        assert_eq!(
            picks,
            [
                ("lr", &Pick::Value("1e-4".into())),
                (
                    "step",
                    &Pick::Between(Some("25".into()), Some("100".into()))
                ),
                ("seed", &Pick::Last),
            ]
        );
        for bad in [
            "",
            "@lr=1",
            "a@",
            "a@lr",
            "a@=1",
            "a@lr=",
            "a@lr=1,lr=2",
            "a.",
        ] {
            assert!(Selector::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn numbers_compare_as_numbers() {
        let sorted = [Scalar::Float(1e-4), Scalar::Float(3e-4)];
        let picked = |text: &str| Pick::read(text).among("lr", &sorted).ok();
        assert_eq!(picked("0.0001"), Some(vec![0]));
        assert_eq!(picked("3.0e-4"), Some(vec![1]));
        assert_eq!(picked("2e-4"), None);
        assert_eq!(picked("2e-4.."), Some(vec![1]));
        assert_eq!(picked("..3e-4"), Some(vec![0, 1]));
        assert_eq!(picked("4e-4.."), None);
        assert_eq!(
            (picked("first"), picked("last")),
            (Some(vec![0]), Some(vec![1]))
        );
    }
}
