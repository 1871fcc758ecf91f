//! References to connections: which stage, which output, which instances of
//! it, on which port. Types are nominal; what fits must be the only one.
use std::{collections::HashMap, ops::Range};

use toml::{Spanned, de::DeValue};

use crate::{
    artifact::ArtifactType,
    diagnostic::{Diagnostic, Faults, listing, nearest},
    pipeline::{
        frame::Frame,
        names::Names,
        placeholder::part,
        ports,
        selector::{Selector, no_such_axis, no_such_stage},
        syntax::{WrittenInput, WrittenStage},
    },
    stage::{Arity, InputPort, Kind, OutputPort},
};

/// One reference on one port, resolved.
pub(super) struct Connection {
    pub(super) port: &'static InputPort,
    /// Position of the stage in the file.
    pub(super) producer: usize,
    pub(super) output: &'static OutputPort,
    pub(super) picks: Vec<Picked>,
    /// The reference's token.
    pub(super) span: Range<usize>,
}

/// The values of an axis that a reference picks.
pub(super) struct Picked {
    pub(super) axis: usize,
    /// Positions among the sorted values, ascending.
    pub(super) places: Vec<usize>,
    /// Whether it is one fixed coordinate rather than a stretch.
    pub(super) single: bool,
}

/// That one stage reads another.
pub(super) struct Edge {
    pub(super) producer: usize,
    pub(super) consumer: usize,
    pub(super) span: Range<usize>,
}

#[derive(Default)]
pub(super) struct Wiring {
    /// By consumer.
    pub(super) connections: Vec<Vec<Connection>>,
    pub(super) edges: Vec<Edge>,
}

/// Resolves all inputs of all stages; none where the faults are too many.
pub(super) fn connect<'t>(
    stages: &[WrittenStage<'t>],
    frames: &[Frame],
    names: &mut Names<'t>,
    faults: &mut Faults,
) -> Option<Wiring> {
    let mut wiring = Wiring::default();
    let mut lookup = Lookup {
        by_name: stages
            .iter()
            .enumerate()
            .map(|(i, stage)| (stage.name.get_ref().as_str(), i))
            .collect(),
        stages,
        frames,
        names,
    };
    for (consumer, stage) in stages.iter().enumerate() {
        if faults.is_full() {
            return None;
        }
        let mut connections = Vec::new();
        let kind = frames[consumer].kind;
        // The input that an unknown one was perhaps meant for.
        let mut misspelt = None;
        for input in &stage.inputs {
            let port = frames[consumer].input(input.port.get_ref());
            if let (Some(kind), None) = (kind.filter(|kind| kind.open.is_none()), port) {
                let names = kind.ports.inputs.iter().map(|port| port.name);
                misspelt = misspelt.or(nearest(input.port.get_ref(), names));
                faults.push(unknown_port(kind, &input.port));
            }
            if let Some(port) = port {
                check_list(port, input, faults);
            }
            for reference in &input.references {
                let Some((producer, selector)) = lookup.stage(reference, faults) else {
                    continue;
                };
                wiring.edges.push(Edge {
                    producer,
                    consumer,
                    span: reference.span(),
                });
                if let Some(port) = port {
                    connections
                        .extend(lookup.connection(port, producer, &selector, reference, faults));
                }
            }
        }
        if let Some(kind) = kind {
            missing(stage, kind, misspelt, stages, frames, faults);
        }
        connections.sort_by_key(|connection: &Connection| {
            let inputs = &frames[consumer].inputs;
            inputs
                .iter()
                .position(|port| port.name == connection.port.name)
        });
        if kind.is_some_and(|kind| kind.open.is_some()) {
            ports::check_alike(&connections, faults);
        }
        wiring.connections.push(connections);
    }
    Some(wiring)
}

fn unknown_port(kind: &Kind, port: &Spanned<String>) -> Diagnostic {
    let names = kind.ports.inputs.iter().map(|port| port.name);
    let fault = Diagnostic::new(format!("`{}` has no input `{port}`", kind.name)).at(port.span());
    if kind.ports.inputs.is_empty() {
        return fault.label("it has no inputs");
    }
    fault
        .label(format!("inputs: {}", listing(names.clone())))
        .nearest(port.get_ref(), names)
}

fn check_list(port: &InputPort, input: &WrittenInput, faults: &mut Faults) {
    if let (Arity::One, true, Some(first), Some(last)) = (
        port.arity,
        input.list,
        input.references.first(),
        input.references.last(),
    ) {
        faults.push(
            Diagnostic::new(format!("`{}` takes one artifact, not a list", port.name))
                .at(first.span().start..last.span().end)
                .help(format!("write {} = \"{first}\"", port.name)),
        );
    }
}

fn missing(
    stage: &WrittenStage<'_>,
    kind: &Kind,
    misspelt: Option<&str>,
    stages: &[WrittenStage<'_>],
    frames: &[Frame],
    faults: &mut Faults,
) {
    for port in kind.ports.inputs.iter().filter(|port| port.required) {
        let written = stage
            .inputs
            .iter()
            .find(|input| input.port.get_ref() == port.name);
        let place = match (written, &stage.kind) {
            (Some(input), _) if input.references.is_empty() => input.port.span(),
            (None, Some(kind)) if misspelt != Some(port.name) => kind.span(),
            _ => continue,
        };
        let makers: Vec<&str> = stages
            .iter()
            .zip(frames)
            .filter(|(_, frame)| frame.outputs.iter().any(|output| fits(port, output)))
            .map(|(stage, _)| stage.name.get_ref().as_str())
            .filter(|name| name != stage.name.get_ref())
            .collect();
        let artifact = port.artifact.with_article();
        let fault = Diagnostic::new(format!(
            "stage `{}` has no input `{}`",
            stage.name, port.name
        ))
        .at(place)
        .label(format!("needs {} = {artifact}", port.name));
        faults.push(match makers.as_slice() {
            [] => fault.help(format!("no stage of this file makes {artifact}")),
            makers => fault.help(format!(
                "add inputs = {{ {} = \"{}\" }}; {artifact} is made by: {}",
                port.name,
                makers[0],
                listing(makers)
            )),
        });
    }
}

/// An input of type files takes whatever is in files.
fn fits(port: &InputPort, output: &OutputPort) -> bool {
    port.artifact == output.artifact || port.artifact == ArtifactType::Files
}

struct Lookup<'a, 'n, 't> {
    by_name: HashMap<&'a str, usize>,
    stages: &'a [WrittenStage<'t>],
    frames: &'a [Frame],
    names: &'n mut Names<'t>,
}

impl Lookup<'_, '_, '_> {
    /// The stage that a reference names, with the rest of the reference.
    fn stage(
        &mut self,
        reference: &Spanned<String>,
        faults: &mut Faults,
    ) -> Option<(usize, Selector)> {
        if faults.is_full() {
            return None;
        }
        let token = reference.span();
        let node = Spanned::new(token.clone(), DeValue::String(reference.get_ref().into()));
        let text = self.names.fill_plain(&node, faults, |node| {
            node.get_ref().as_str().map(str::to_owned)
        })??;
        let selector = match Selector::read(&text) {
            Ok(selector) => selector,
            Err(mut fault) => {
                let at = fault.span.take().unwrap_or(0..text.len());
                faults.push(fault.at(part(&token, &text, at)));
                return None;
            }
        };
        let found = self.by_name.get(selector.stage.as_str()).copied();
        if found.is_none() {
            let names = self
                .stages
                .iter()
                .map(|stage| stage.name.get_ref().as_str());
            faults.push(no_such_stage(&selector.stage, names).at(token));
        }
        Some((found?, selector))
    }

    fn connection(
        &self,
        port: &'static InputPort,
        producer: usize,
        selector: &Selector,
        reference: &Spanned<String>,
        faults: &mut Faults,
    ) -> Option<Connection> {
        self.frames[producer].kind?;
        let output = match output(port, &self.frames[producer].outputs, selector) {
            Ok(output) => Some(output),
            Err(fault) => {
                faults.push(fault.at(reference.span()));
                None
            }
        };
        let picks = self.picks(producer, selector, reference, faults)?;
        Some(Connection {
            port,
            producer,
            output: output?,
            picks,
            span: reference.span(),
        })
    }

    fn picks(
        &self,
        producer: usize,
        selector: &Selector,
        reference: &Spanned<String>,
        faults: &mut Faults,
    ) -> Option<Vec<Picked>> {
        let frame = &self.frames[producer];
        if !frame.sound {
            return Some(Vec::new());
        }
        let over: Vec<&str> = frame
            .over
            .iter()
            .map(|axis| self.names.axes[*axis].name.get_ref().as_str())
            .collect();
        let mut picks = Vec::new();
        let mut sound = true;
        for pick in &selector.picks {
            let place = part(&reference.span(), reference.get_ref(), pick.at.clone());
            let picked = match over.iter().position(|name| *name == pick.axis) {
                Some(position) => {
                    let axis = frame.over[position];
                    pick.pick
                        .among(&pick.axis, &self.names.axes[axis].scalars())
                        .map(|places| Picked {
                            axis,
                            places,
                            single: pick.pick.single(),
                        })
                }
                None => Err(no_such_axis(&selector.stage, &pick.axis, &over)),
            };
            match picked {
                Ok(picked) => picks.push(picked),
                Err(fault) => {
                    sound = false;
                    faults.push(fault.at(place));
                }
            }
        }
        sound.then_some(picks)
    }
}

/// The output that a reference means on a port.
fn output(
    port: &InputPort,
    outputs: &[&'static OutputPort],
    selector: &Selector,
) -> Result<&'static OutputPort, Diagnostic> {
    let stage = &selector.stage;
    let shown = || {
        listing(
            outputs
                .iter()
                .map(|o| format!("{} ({})", o.name, o.artifact)),
        )
    };
    if let Some(name) = &selector.output {
        let named = outputs.iter().find(|output| output.name == name);
        return match named.copied() {
            Some(output) if fits(port, output) => Ok(output),
            Some(output) => Err(Diagnostic::new(format!(
                "`{stage}.{name}` is {}, but `{}` takes {}",
                output.artifact.with_article(),
                port.name,
                port.artifact.with_article()
            ))
            .label(format!("outputs of `{stage}`: {}", shown()))),
            None => Err(Diagnostic::new(format!("`{stage}` has no output `{name}`"))
                .label(format!("outputs: {}", shown()))
                .nearest(name, outputs.iter().map(|output| output.name))),
        };
    }
    let chosen = |wanted: &dyn Fn(&OutputPort) -> bool| -> Vec<&'static OutputPort> {
        let outputs = outputs.iter().copied();
        outputs.filter(|output| wanted(output)).collect()
    };
    let exact = chosen(&|output| output.artifact == port.artifact);
    let fitting = match exact.len() {
        0 => chosen(&|output| fits(port, output)),
        _ => exact,
    };
    // Where the text names the port, its name tells which of several is meant.
    let namesake = fitting.iter().find(|output| output.name == port.name);
    if let (Arity::All, Some(output)) = (port.arity, namesake) {
        return Ok(output);
    }
    match fitting.as_slice() {
        [output] => Ok(output),
        unclear => Err(no_single_output(port, stage, unclear, &shown())),
    }
}

/// None of a stage's outputs fits, or several do; `shown` lists them all.
fn no_single_output(
    port: &InputPort,
    stage: &str,
    fitting: &[&'static OutputPort],
    shown: &str,
) -> Diagnostic {
    if fitting.is_empty() {
        let message = format!("`{stage}` has no output that `{}` takes", port.name);
        let taken = port.artifact.with_article();
        let fault = Diagnostic::new(message).label(format!("`{}` takes {taken}", port.name));
        return fault.help(if shown.is_empty() {
            format!("`{stage}` has no outputs")
        } else {
            format!("outputs of `{stage}`: {shown}")
        });
    }
    let names = fitting.iter();
    let names = names.map(|output| format!("\"{stage}.{}\"", output.name));
    Diagnostic::new(format!(
        "`{stage}` has {} outputs that `{}` takes",
        fitting.len(),
        port.name
    ))
    .help(format!("name one: {}", listing(names)))
}
