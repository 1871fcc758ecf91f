//! Stages with their kind and axes known: the grid that each expands to.
//! Instances are numbered in mixed radix, axes in the order of `over`, values
//! by size.
use crate::{
    artifact::Coords,
    diagnostic::{Diagnostic, Faults, listing, nearest},
    pipeline::{
        axes::Axis,
        limits,
        names::{Meaning, Names},
        ports,
        syntax::{Written, WrittenStage},
    },
    stage::{InputPort, Kind, OutputPort},
};

pub(super) struct Frame {
    /// None where the fault has been told.
    pub(super) kind: Option<&'static Kind>,
    /// The kind's, or those that the text names; none where the kind is unknown.
    pub(super) inputs: Vec<&'static InputPort>,
    pub(super) outputs: Vec<&'static OutputPort>,
    /// Positions of axes.
    pub(super) over: Vec<usize>,
    /// The number of values of each.
    pub(super) sizes: Vec<usize>,
    /// Whether `over` is all that the file meant.
    pub(super) sound: bool,
}

impl Frame {
    /// The number of instances.
    pub(super) fn count(&self) -> usize {
        self.sizes.iter().product()
    }

    /// The position of each axis' value in the instance `index`.
    pub(super) fn digits(&self, index: usize) -> Vec<usize> {
        digits(&self.sizes, index)
    }

    /// What one step along the axis at `position` adds to the index.
    pub(super) fn stride(&self, position: usize) -> usize {
        self.sizes[position + 1..].iter().product()
    }

    /// Where in `over` an axis stands.
    pub(super) fn position(&self, axis: usize) -> Option<usize> {
        self.over.iter().position(|other| *other == axis)
    }

    pub(super) fn input(&self, name: &str) -> Option<&'static InputPort> {
        self.inputs.iter().copied().find(|port| port.name == name)
    }

    pub(super) fn coords(&self, digits: &[usize], axes: &[Axis<'_>]) -> Coords {
        let over = self.over.iter().copied();
        coords_at(over.zip(digits.iter().copied()), axes)
    }

    /// The coordinates along some of the axes, given by their positions in `over`.
    pub(super) fn coords_along(
        &self,
        positions: &[usize],
        digits: &[usize],
        axes: &[Axis<'_>],
    ) -> Coords {
        let over = positions.iter().map(|position| self.over[*position]);
        coords_at(over.zip(digits.iter().copied()), axes)
    }
}

/// From places of axes and of their values.
fn coords_at(places: impl Iterator<Item = (usize, usize)>, axes: &[Axis<'_>]) -> Coords {
    let named = |(axis, digit): (usize, usize)| {
        let axis = &axes[axis];
        let value = axis.values[digit].scalar.clone();
        (axis.name.get_ref().clone(), value)
    };
    places.map(named).collect()
}

/// Mixed-radix digits, the first the most significant.
pub(super) fn digits(sizes: &[usize], mut index: usize) -> Vec<usize> {
    let mut digits = vec![0; sizes.len()];
    for (digit, size) in digits.iter_mut().zip(sizes).rev() {
        *digit = index % size;
        index /= size;
    }
    digits
}

/// The frames of all stages, in the order of the file; none where the faults
/// are too many to go on.
pub(super) fn all(
    written: &Written<'_>,
    kinds: &'static [Kind],
    names: &mut Names<'_>,
    faults: &mut Faults,
) -> Option<Vec<Frame>> {
    let mut frames = Vec::with_capacity(written.stages.len());
    for stage in &written.stages {
        if faults.is_full() {
            return None;
        }
        let kind = kind(stage, kinds, faults);
        let (inputs, outputs) = kind
            .map(|kind| ports::of(stage, &written.defaults, kind, faults))
            .unwrap_or_default();
        let mut frame = Frame {
            kind,
            inputs,
            outputs,
            over: Vec::new(),
            sizes: Vec::new(),
            sound: true,
        };
        over(stage, &mut frame, names, faults);
        frames.push(frame);
    }
    Some(frames)
}

fn kind(
    stage: &WrittenStage<'_>,
    kinds: &'static [Kind],
    faults: &mut Faults,
) -> Option<&'static Kind> {
    let wanted = stage.kind.as_ref()?;
    let found = kinds.iter().find(|kind| kind.name == wanted.get_ref());
    if found.is_none() {
        let fault = Diagnostic::new(format!("unknown kind `{wanted}`")).at(wanted.span());
        let mut known: Vec<&str> = kinds.iter().map(|kind| kind.name).collect();
        known.sort_unstable();
        faults.push(match nearest(wanted.get_ref(), known.iter().copied()) {
            Some(near) => fault.help(format!("did you mean `{near}`?")),
            None => fault.help(format!("kinds: {}", listing(known))),
        });
    }
    found
}

fn over(stage: &WrittenStage<'_>, frame: &mut Frame, names: &mut Names<'_>, faults: &mut Faults) {
    for axis in &stage.over {
        let name = axis.get_ref();
        names.mark_read(name);
        match names.meaning(name) {
            Some(Meaning::Axis(position)) => {
                frame.over.push(position);
                frame.sizes.push(names.axes[position].values.len());
                continue;
            }
            Some(Meaning::Unsound) => {}
            Some(Meaning::Param(_)) => faults.push(
                Diagnostic::new(format!("`{name}` is a parameter, not an axis"))
                    .at(axis.span())
                    .help("move it from [params] to [axes] and give it a list of values"),
            ),
            None => {
                let fault = names.unknown("axis", name, true);
                faults.push(fault.at(axis.span()));
            }
        }
        frame.sound = false;
    }
}

/// A fault if the stages expand to more instances than are planned. Nothing
/// has been expanded yet.
pub(super) fn check_count(written: &Written<'_>, frames: &[Frame]) -> Option<Diagnostic> {
    let count = |frame: &Frame| {
        frame
            .sizes
            .iter()
            .fold(1u128, |product, size| product.saturating_mul(*size as u128))
    };
    let total = frames
        .iter()
        .fold(0u128, |sum, frame| sum.saturating_add(count(frame)));
    if total <= limits::INSTANCES as u128 {
        return None;
    }
    let (stage, frame) = written
        .stages
        .iter()
        .zip(frames)
        .max_by_key(|(_, frame)| count(frame))?;
    let span = match (stage.over.first(), stage.over.last()) {
        (Some(first), Some(last)) => first.span().start..last.span().end,
        _ => stage.name.span(),
    };
    let number = |count: u128| {
        if count == u128::MAX {
            "more than 10^38".to_owned()
        } else {
            count.to_string()
        }
    };
    Some(
        Diagnostic::new(format!(
            "the pipeline has {} instances; the limit is {}",
            number(total),
            limits::INSTANCES
        ))
        .at(span)
        .label(format!(
            "{} of them are `{}`",
            number(count(frame)),
            stage.name
        )),
    )
}
