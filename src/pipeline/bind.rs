//! The last step: instances with their coordinates, actions and sources. All
//! has been checked, but for two sources at one place, which shows only here.
use std::sync::Arc;

use crate::{
    artifact::{Coords, show_coords},
    diagnostic::{Diagnostic, Faults},
    pipeline::{
        align::{Along, along},
        connect::{Connection, Wiring},
        frame::Frame,
        meaning::{Input, InputSource, Instance, InstanceId},
        names::Names,
        params::{Actions, Settled},
        syntax::WrittenStage,
    },
    stage::Arity,
};

/// What the binding of instances reads.
pub(super) struct Binder<'a, 't> {
    pub(super) stages: &'a [WrittenStage<'t>],
    pub(super) frames: &'a [Frame],
    pub(super) actions: &'a [Actions],
    pub(super) wiring: &'a Wiring,
    pub(super) names: &'a Names<'t>,
    /// Positions of stages in the file, producers first.
    pub(super) order: &'a [usize],
    /// Where each stage's instances start, by position in the file.
    starts: Vec<usize>,
}

/// One axis of a producer, as a walk over it needs it.
struct Walk<'a> {
    axis: &'a str,
    along: Along,
    stride: usize,
    /// Positions of the axis among all axes.
    index: usize,
}

impl<'a, 't> Binder<'a, 't> {
    pub(super) fn new(
        stages: &'a [WrittenStage<'t>],
        frames: &'a [Frame],
        actions: &'a [Actions],
        wiring: &'a Wiring,
        names: &'a Names<'t>,
        order: &'a [usize],
    ) -> Binder<'a, 't> {
        let mut starts = vec![0; stages.len()];
        let mut next = 0;
        for stage in order {
            starts[*stage] = next;
            next += frames[*stage].count();
        }
        Binder {
            stages,
            frames,
            actions,
            wiring,
            names,
            order,
            starts,
        }
    }

    /// The first instance of a stage, by position in the file.
    pub(super) fn start(&self, stage: usize) -> usize {
        self.starts[stage]
    }

    /// All instances, stage by stage.
    pub(super) fn instances(&self, faults: &mut Faults) -> Vec<Instance> {
        let mut instances = Vec::new();
        for (position, stage) in self.order.iter().enumerate() {
            let frame = &self.frames[*stage];
            let walks: Vec<(&Connection, Vec<Walk<'_>>)> = self.wiring.connections[*stage]
                .iter()
                .map(|connection| (connection, self.walks(connection, frame)))
                .collect();
            for index in 0..frame.count() {
                let digits = frame.digits(index);
                let settled = self.actions[*stage].of(&digits);
                instances.push(Instance {
                    stage: position,
                    coords: frame.coords(&digits, &self.names.axes),
                    action: Arc::clone(&settled.action),
                    params: Arc::clone(&settled.params),
                    inputs: self.inputs(*stage, &walks, &digits, settled, faults),
                });
            }
        }
        instances
    }

    /// The axes of a producer; the gathered ones in the order of their names,
    /// which is the order of coordinates.
    fn walks(&self, connection: &Connection, consumer: &Frame) -> Vec<Walk<'a>> {
        let producer = &self.frames[connection.producer];
        let mut walks: Vec<Walk<'a>> = along(connection, consumer, producer)
            .into_iter()
            .enumerate()
            .map(|(position, along)| Walk {
                axis: self.names.axes[producer.over[position]].name.get_ref(),
                along,
                stride: producer.stride(position),
                index: producer.over[position],
            })
            .collect();
        walks.sort_by_key(|walk| walk.axis);
        walks
    }

    fn inputs(
        &self,
        stage: usize,
        walks: &[(&Connection, Vec<Walk<'_>>)],
        digits: &[usize],
        settled: &Settled,
        faults: &mut Faults,
    ) -> Vec<Input> {
        let mut inputs: Vec<Input> = Vec::new();
        for (connection, walks) in walks {
            let gathered = settled.gathered();
            let mut sources = Vec::new();
            self.walk(connection, walks, digits, gathered, &mut sources);
            match inputs.last_mut() {
                Some(input) if input.port.name == connection.port.name => {
                    input.sources.extend(sources);
                    // Stable: at one place, in the order of the file.
                    input.sources.sort_by(|a, b| a.coords.cmp(&b.coords));
                    let open = self.frames[stage]
                        .kind
                        .is_some_and(|kind| kind.open.is_some());
                    if input.port.arity == Arity::Many || open {
                        self.check_places(stage, connection, input, faults);
                    }
                }
                _ => inputs.push(Input {
                    port: connection.port,
                    sources,
                }),
            }
        }
        inputs
    }

    /// Adds the sources of one connection, sorted by coordinates.
    fn walk(
        &self,
        connection: &Connection,
        walks: &[Walk<'_>],
        digits: &[usize],
        gathered: &[String],
        sources: &mut Vec<InputSource>,
    ) {
        let start = self.starts[connection.producer];
        let mut found = vec![(start, Coords::new())];
        for walk in walks {
            let place = |digit: usize| self.names.axes[walk.index].values[digit].scalar.clone();
            let named = match connection.port.arity {
                Arity::One => false,
                Arity::Many => gathered.iter().any(|axis| axis == walk.axis),
                Arity::All => true,
            };
            match &walk.along {
                Along::Shared(position) => {
                    let step = digits[*position] * walk.stride;
                    for (index, _) in &mut found {
                        *index += step;
                    }
                }
                Along::Fixed(digit) => {
                    for (index, coords) in &mut found {
                        *index += digit * walk.stride;
                        if named {
                            coords.insert(walk.axis.to_owned(), place(*digit));
                        }
                    }
                }
                Along::Gathered(places) => {
                    found = found
                        .into_iter()
                        .flat_map(|(index, coords)| {
                            places
                                .iter()
                                .map(move |digit| (index, coords.clone(), *digit))
                        })
                        .map(|(index, mut coords, digit)| {
                            if named {
                                coords.insert(walk.axis.to_owned(), place(digit));
                            }
                            (index + digit * walk.stride, coords)
                        })
                        .collect();
                }
            }
        }
        sources.extend(found.into_iter().map(|(index, coords)| InputSource {
            instance: InstanceId(index),
            output: connection.output,
            coords,
        }));
    }

    /// A gather cannot tell two sources at one place apart.
    fn check_places(
        &self,
        stage: usize,
        connection: &Connection,
        input: &Input,
        faults: &mut Faults,
    ) {
        let twice = input
            .sources
            .windows(2)
            .find(|pair| pair[0].coords.cmp(&pair[1].coords).is_eq());
        if let Some(pair) = twice {
            let place = match show_coords(&pair[0].coords) {
                place if place.is_empty() => "no coordinates".to_owned(),
                place => place,
            };
            faults.push(
                Diagnostic::new(format!(
                    "two sources of `{}` stand at the same place: {place}",
                    input.port.name
                ))
                .at(connection.span.clone())
                .label(format!(
                    "`{}` could not tell them apart",
                    self.stages[stage].name
                )),
            );
        }
    }
}
