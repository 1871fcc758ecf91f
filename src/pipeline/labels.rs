//! Selectors against the names of instances alone, for runs whose pipeline may
//! have changed since.
use crate::{
    artifact::Scalar,
    diagnostic::{Faults, Source},
    pipeline::selector::Selector,
};

impl Selector {
    /// Which of these names, as [`crate::pipeline::Pipeline::label`] writes
    /// them, the selector names. None is no fault: the run did not have it.
    ///
    /// # Errors
    /// A pick that no value could meet, such as a range over text.
    pub fn among_labels(&self, labels: &[&str]) -> Result<Vec<bool>, Faults> {
        let mut chosen: Vec<bool> = labels
            .iter()
            .map(|label| stage(label) == self.stage)
            .collect();
        for pick in &self.picks {
            let values: Vec<Option<Scalar>> = labels
                .iter()
                .map(|label| coordinate(label, &pick.axis))
                .collect();
            let mut sorted: Vec<Scalar> = values
                .iter()
                .zip(&chosen)
                .filter(|(_, chosen)| **chosen)
                .filter_map(|(value, _)| value.clone())
                .collect();
            sorted.sort();
            sorted.dedup();
            if sorted.is_empty() {
                return Ok(vec![false; labels.len()]);
            }
            let picked = pick.pick.among(&pick.axis, &sorted).map_err(|fault| {
                Faults::of(Source::command_line(&self.text), fault.at(pick.at.clone()))
            })?;
            for (chosen, value) in chosen.iter_mut().zip(values) {
                *chosen &= value
                    .is_some_and(|value| picked.iter().any(|position| sorted[*position] == value));
            }
        }
        Ok(chosen)
    }
}

fn stage(label: &str) -> &str {
    label.split_once('@').map_or(label, |(stage, _)| stage)
}

fn coordinate(label: &str, axis: &str) -> Option<Scalar> {
    let (_, coords) = label.split_once('@')?;
    let mut pairs = coords.split(',').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(name, _)| *name == axis)?;
    Some(match (value.parse(), value.parse()) {
        (Ok(whole), _) => Scalar::Int(whole),
        (_, Ok(number)) => Scalar::Float(number),
        _ => Scalar::Text(value.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_picked_like_instances() {
        let labels = [
            "grpo@lr=1e-4,step=25",
            "grpo@lr=1e-4,step=100",
            "grpo@lr=3e-4,step=25",
            "corpus",
            "grpo-b@step=25",
        ];
        let picked = |text: &str| {
            let chosen = Selector::parse(text).unwrap().among_labels(&labels);
            chosen.map(|chosen| {
                let positions = (0..labels.len()).filter(|i| chosen[*i]);
                positions.collect::<Vec<usize>>()
            })
        };
        for (text, expected) in [
            ("grpo", vec![0, 1, 2]),
            ("grpo@lr=0.0001,step=last", vec![1]),
            ("grpo@step=20..30", vec![0, 2]),
            ("corpus", vec![3]),
            ("grpo@seed=1", vec![]),
            ("other", vec![]),
        ] {
            assert_eq!(picked(text).unwrap(), expected, "{text}");
        }
        let fault = picked("grpo@lr=2e-4").unwrap_err().to_string();
        assert!(fault.contains("`lr` has no value 2e-4"), "{fault}");
    }
}
