//! The ports of a stage: those of its kind, or those that its text names.
use std::borrow::Cow;

use toml::{Spanned, de::DeValue};

use crate::{
    diagnostic::{Diagnostic, Faults},
    pipeline::{
        connect::Connection,
        node::{Entry, Node},
        syntax::{WrittenStage, check_name},
    },
    stage::{InputPort, Kind, OutputPort},
};

/// Inputs and outputs, in the order of the kind or of the text.
pub(super) type Ports = (Vec<&'static InputPort>, Vec<&'static OutputPort>);

/// The ports of one stage; names that cannot be one are faults and left out.
pub(super) fn of(
    stage: &WrittenStage<'_>,
    defaults: &[Entry<'_>],
    kind: &'static Kind,
    faults: &mut Faults,
) -> Ports {
    let Some(open) = &kind.open else {
        let (inputs, outputs) = (kind.ports.inputs, kind.ports.outputs);
        return (inputs.iter().collect(), outputs.iter().collect());
    };
    let mut inputs = Vec::new();
    for input in &stage.inputs {
        if check_name("input", &input.port, faults) {
            inputs.push(open.input(input.port.get_ref()));
        }
    }
    let mut outputs = Vec::new();
    for param in open.tables {
        for (key, value) in keys_of(stage, defaults, param) {
            if check_name(&format!("name of `{param}`"), &key, faults) && *param == open.outputs {
                let place = value.get_ref().as_str().unwrap_or_default();
                outputs.push(open.output(key.get_ref(), place));
            }
        }
    }
    (inputs, outputs)
}

/// The entries of a parameter that is a table, in the order of the text, where
/// the stage or else the defaults of the file set it.
pub(super) fn keys_of<'a, 't>(
    stage: &'a WrittenStage<'t>,
    defaults: &'a [Entry<'t>],
    param: &str,
) -> Vec<(Spanned<String>, &'a Node<'t>)> {
    let named = |entry: &&Entry<'t>| entry.key.get_ref() == param;
    let found = stage.params.iter().find(named);
    let entry = found.or_else(|| defaults.iter().find(named));
    let Some(DeValue::Table(table)) = entry.map(|entry| entry.value.get_ref()) else {
        return Vec::new();
    };
    let named = |key: &Spanned<Cow<'_, str>>| Spanned::new(key.span(), key.get_ref().to_string());
    let entries = table.iter().map(|(key, value)| (named(key), value));
    let mut entries: Vec<_> = entries.collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

/// What is delivered on one port is of one kind.
pub(super) fn check_alike(connections: &[Connection], faults: &mut Faults) {
    for pair in connections.windows(2) {
        let [first, next] = pair else { continue };
        let (one, other) = (first.output, next.output);
        let same = one.artifact == other.artifact && one.delivery() == other.delivery();
        if first.port.name == next.port.name && !same {
            let shown = |output: &OutputPort| match output.ending {
                "" => output.artifact.to_string(),
                ending => format!("{} (`{ending}`)", output.artifact),
            };
            faults.push(
                Diagnostic::new(format!(
                    "input `{}` would hold {} and {}",
                    next.port.name,
                    shown(one),
                    shown(other)
                ))
                .at(next.span.clone())
                .help("give each an input of its own"),
            );
        }
    }
}
