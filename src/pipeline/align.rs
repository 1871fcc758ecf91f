//! Alignment: along which axes a consumer meets the same coordinate, and
//! along which it gathers. Nothing is gathered without a role.
use std::collections::BTreeSet;

use toml::de::DeValue;

use crate::{
    diagnostic::{Diagnostic, Faults},
    pipeline::{
        connect::{Connection, Wiring},
        frame::Frame,
        limits,
        names::{Meaning, Names},
        params::Actions,
        syntax::WrittenStage,
    },
    stage::{Arity, Kind, Role},
};

/// What becomes of one axis of a producer.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Along {
    /// The consumer's own value; its position in the consumer's `over`.
    Shared(usize),
    /// One place that the reference fixed.
    Fixed(usize),
    /// Several places, ascending.
    Gathered(Vec<usize>),
}

/// How a connection meets each axis of its producer.
pub(super) fn along(connection: &Connection, consumer: &Frame, producer: &Frame) -> Vec<Along> {
    producer
        .over
        .iter()
        .zip(&producer.sizes)
        .map(|(axis, size)| {
            let picked = connection.picks.iter().find(|pick| pick.axis == *axis);
            match (picked, consumer.position(*axis)) {
                (Some(pick), _) if pick.single => Along::Fixed(pick.places[0]),
                (Some(pick), _) => Along::Gathered(pick.places.clone()),
                (None, Some(position)) => Along::Shared(position),
                (None, None) => Along::Gathered((0..*size).collect()),
            }
        })
        .collect()
}

/// Checks every connection of every stage whose axes are known.
pub(super) fn check(
    stages: &[WrittenStage<'_>],
    frames: &[Frame],
    actions: &[Option<Actions>],
    wiring: &Wiring,
    names: &mut Names<'_>,
    faults: &mut Faults,
) {
    for (index, stage) in stages.iter().enumerate() {
        let frame = &frames[index];
        let Some(kind) = frame.kind.filter(|_| frame.sound) else {
            continue;
        };
        let connections: Vec<(&Connection, Vec<usize>)> = wiring.connections[index]
            .iter()
            .filter(|connection| frames[connection.producer].sound)
            .map(|connection| (connection, varying(connection, frame, frames)))
            .collect();
        let roles = actions[index].as_ref().map(roles);
        let known = roles
            .iter()
            .flatten()
            .flatten()
            .all(|axis| known_role(axis, stage, kind, frame, names, faults));
        for (connection, varying) in &connections {
            let producer = &stages[connection.producer];
            let told = match (connection.port.arity, &roles) {
                (Arity::One, _) => one(connection, varying, producer, stage, names),
                (Arity::Many, Some(roles)) if known => {
                    many(connection, varying, roles, producer, stage, kind, names)
                }
                _ => None,
            };
            if let Some(fault) = told {
                let axes: Vec<&str> = producer.over.iter().map(|a| a.get_ref().as_str()).collect();
                faults.push(
                    fault
                        .at(connection.span.clone())
                        .label(format!("axes: {}", axes.join(", "))),
                );
            }
        }
    }
}

/// The axes along which a connection brings more than one instance.
fn varying(connection: &Connection, consumer: &Frame, frames: &[Frame]) -> Vec<usize> {
    let producer = &frames[connection.producer];
    along(connection, consumer, producer)
        .iter()
        .zip(&producer.over)
        .filter(|(along, _)| match along {
            Along::Gathered(places) => places.len() > 1 || connection.port.arity == Arity::Many,
            _ => false,
        })
        .map(|(_, axis)| *axis)
        .collect()
}

/// The distinct sets of axes that a stage's instances give a role.
fn roles(actions: &Actions) -> BTreeSet<Vec<String>> {
    actions
        .settled
        .iter()
        .map(|settled| settled.gathered().to_vec())
        .collect()
}

fn quoted<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    let names: Vec<String> = names
        .into_iter()
        .map(|name| format!("\"{name}\""))
        .collect();
    names.join(", ")
}

fn ticked(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(" and ")
}

fn over_with(stage: &WrittenStage<'_>, axes: &[&str]) -> String {
    let own = stage.over.iter().map(|axis| axis.get_ref().as_str());
    format!("over = [{}]", quoted(own.chain(axes.iter().copied())))
}

fn one(
    connection: &Connection,
    varying: &[usize],
    producer: &WrittenStage<'_>,
    stage: &WrittenStage<'_>,
    names: &Names<'_>,
) -> Option<Diagnostic> {
    if varying.is_empty() {
        return None;
    }
    let axes: Vec<&str> = varying
        .iter()
        .map(|axis| names.axes[*axis].name.get_ref().as_str())
        .collect();
    let port = connection.port.name;
    Some(
        Diagnostic::new(format!(
            "`{}` varies along {}, but `{port}` of `{}` takes one",
            producer.name,
            ticked(&axes),
            stage.name
        ))
        .help(format!(
            "add {}, or {}",
            over_with(stage, &axes),
            fixed(connection, varying, producer, names)
        )),
    )
}

/// The reference with one value of each axis.
fn fixed(
    connection: &Connection,
    axes: &[usize],
    producer: &WrittenStage<'_>,
    names: &Names<'_>,
) -> String {
    let fixed: Vec<String> = axes
        .iter()
        .map(|axis| {
            let axis = &names.axes[*axis];
            let last = axis.written.last().map_or(0, |place| *place);
            format!("{}={}", axis.name, axis.values[last].scalar)
        })
        .collect();
    let port = connection.port.name;
    format!(
        "fix a coordinate: {port} = \"{}@{}\"",
        producer.name,
        fixed.join(",")
    )
}

fn many(
    connection: &Connection,
    varying: &[usize],
    roles: &BTreeSet<Vec<String>>,
    producer: &WrittenStage<'_>,
    stage: &WrittenStage<'_>,
    kind: &Kind,
    names: &Names<'_>,
) -> Option<Diagnostic> {
    let name = |axis: &usize| -> &str { names.axes[*axis].name.get_ref() };
    let (given, axes) = roles.iter().find_map(|given| {
        let without_role = |axis: &&usize| !given.iter().any(|role| role == name(axis));
        let missing: Vec<usize> = varying.iter().filter(without_role).copied().collect();
        (!missing.is_empty()).then_some((given, missing))
    })?;
    let missing: Vec<&str> = axes.iter().map(name).collect();
    let role = role_with(stage, kind, given, &missing);
    let ways = [
        over_with(stage, &missing),
        role.unwrap_or_else(|| fixed(connection, &axes, producer, names)),
    ];
    Some(
        Diagnostic::new(format!(
            "`{}` varies along {}, which `{}` neither keeps nor averages",
            producer.name,
            ticked(&missing),
            stage.name
        ))
        .help(format!("add {}", ways.join(", or "))),
    )
}

/// A role parameter that could take the missing axes.
fn role_with(
    stage: &WrittenStage<'_>,
    kind: &Kind,
    given: &[String],
    missing: &[&str],
) -> Option<String> {
    if let Some(role) = kind.roles.iter().rfind(|role| role.list) {
        let own = written_role(stage, role);
        let mut axes: Vec<&str> = own.iter().map(|(axis, _)| *axis).collect();
        axes.retain(|axis| given.iter().any(|name| name == axis));
        axes.extend(missing);
        return Some(format!("{} = [{}]", role.param, quoted(axes)));
    }
    let free = |role: &&Role| written_role(stage, role).is_empty();
    match (kind.roles.iter().find(free), missing) {
        (Some(role), [axis]) => Some(format!("{} = \"{axis}\"", role.param)),
        _ => None,
    }
}

/// The axes that a stage writes for a role, with their places.
fn written_role<'s>(
    stage: &'s WrittenStage<'_>,
    role: &Role,
) -> Vec<(&'s str, std::ops::Range<usize>)> {
    let entry = stage
        .params
        .iter()
        .find(|entry| entry.key.get_ref() == role.param);
    let Some(entry) = entry else {
        return Vec::new();
    };
    match entry.value.get_ref() {
        DeValue::String(text) => vec![(text.as_ref(), entry.value.span())],
        DeValue::Array(items) => items
            .iter()
            .filter_map(|item| Some((item.get_ref().as_str()?, item.span())))
            .collect(),
        _ => Vec::new(),
    }
}

/// Whether an axis that has a role is one, and not one that the stage is over.
fn known_role(
    axis: &str,
    stage: &WrittenStage<'_>,
    kind: &Kind,
    frame: &Frame,
    names: &mut Names<'_>,
    faults: &mut Faults,
) -> bool {
    names.mark_read(axis);
    let place = kind
        .roles
        .iter()
        .flat_map(|role| written_role(stage, role))
        .find(|(name, _)| *name == axis)
        .map(|(_, span)| span)
        .or_else(|| stage.kind.as_ref().map(toml::Spanned::span))
        .unwrap_or(stage.name.span());
    match names.meaning(axis) {
        None | Some(Meaning::Param(_)) => {
            let fault = names.unknown("axis", axis, true);
            faults.push(fault.at(place));
            false
        }
        Some(Meaning::Unsound) => false,
        Some(Meaning::Axis(position)) if frame.over.contains(&position) => {
            faults.push(
                Diagnostic::new(format!(
                    "stage `{}` is over `{axis}` and gathers along it",
                    stage.name
                ))
                .at(place)
                .help(format!("take `{axis}` out of `over`, or out of the roles")),
            );
            false
        }
        Some(Meaning::Axis(_)) => true,
    }
}

/// A fault if the connections between instances are more than are kept.
pub(super) fn check_count(
    stages: &[WrittenStage<'_>],
    frames: &[Frame],
    wiring: &Wiring,
) -> Option<Diagnostic> {
    let mut total = 0u128;
    for (index, connections) in wiring.connections.iter().enumerate() {
        for connection in connections {
            let each: u128 = along(connection, &frames[index], &frames[connection.producer])
                .iter()
                .map(|along| match along {
                    Along::Gathered(places) => places.len() as u128,
                    _ => 1,
                })
                .product();
            let here = each * frames[index].count() as u128;
            total += here;
            if total > limits::CONNECTIONS as u128 {
                return Some(
                    Diagnostic::new(format!(
                        "the pipeline has more than {} connections between instances",
                        limits::CONNECTIONS
                    ))
                    .at(connection.span.clone())
                    .label(format!("{here} of them are into `{}`", stages[index].name)),
                );
            }
        }
    }
    None
}
