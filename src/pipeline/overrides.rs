//! `--set KEY=VALUE`: changes to the tree of a file before anything is read
//! from it, so that a changed key is checked like a written one.
use std::borrow::Cow;

use toml::{
    Spanned,
    de::{DeArray, DeTable, DeValue},
};

use crate::{
    diagnostic::{Diagnostic, Faults, Source, listing, nearest},
    pipeline::{
        limits,
        node::{Node, moved},
        syntax,
    },
};

const FORM: &str =
    "write --set lr=3e-4 for a parameter or an axis, --set stages.grpo.beta=0 for any key";
/// What stands before an override where it is shown.
const FLAG: &str = "--set ";

/// A part of an override's key, with its place.
type Segment<'t> = Spanned<&'t str>;

/// Applies the overrides in order; the last of two for one key counts.
pub(super) fn apply<'t>(tree: &mut DeTable<'t>, overrides: &'t [String], faults: &mut Faults) {
    for text in overrides {
        let base = faults.read(Source::command_line(format!("{FLAG}{text}"))) + FLAG.len();
        let done = read(text, base).and_then(|(path, value)| set(tree, &path, value));
        if let Err(fault) = done {
            faults.push(fault);
        }
    }
}

/// The key and the value of one override.
fn read(text: &str, base: usize) -> Result<(Vec<Segment<'_>>, Node<'_>), Diagnostic> {
    let refuse = |message: &str| {
        Diagnostic::new(message)
            .at(base..base + text.len())
            .help(FORM)
    };
    let Some((key, value)) = text.split_once('=') else {
        return Err(refuse("`--set` takes a key and a value with `=` between"));
    };
    let mut path = Vec::new();
    let mut at = base;
    for part in key.split('.') {
        let name = part.trim();
        if name.is_empty() {
            return Err(refuse("the key of `--set` has an empty part"));
        }
        let start = at + (part.len() - part.trim_start().len());
        path.push(Spanned::new(start..start + name.len(), name));
        at += part.len() + 1;
    }
    let start = base + key.len() + 1 + (value.len() - value.trim_start().len());
    let value = value.trim();
    if value.is_empty() {
        return Err(refuse("`--set` gives no value"));
    }
    if path.len() > limits::NESTING {
        return Err(refuse("the key of `--set` is nested too deeply"));
    }
    if let Some(fault) = limits::nesting(value) {
        return Err(fault.at(start..start + value.len()));
    }
    match DeValue::parse(value) {
        Ok(node) => Ok((path, moved(node, start))),
        // A shell takes quotes away, so a bare word is a string.
        Err(_) if !value.starts_with(['[', '{', '"', '\'']) => {
            let text = DeValue::String(Cow::Borrowed(value));
            Ok((path, Spanned::new(start..start + value.len(), text)))
        }
        Err(error) => {
            let span = error.span().unwrap_or(0..value.len());
            Err(
                Diagnostic::new(format!("not a TOML value: {}", error.message()))
                    .at(start + span.start..start + span.end),
            )
        }
    }
}

fn set<'t>(
    tree: &mut DeTable<'t>,
    path: &[Segment<'t>],
    value: Node<'t>,
) -> Result<(), Diagnostic> {
    match path {
        [name] => set_name(tree, name, value),
        [section, rest @ ..] if syntax::is_section(section.get_ref()) => {
            if *section.get_ref() == "stages" {
                known_stage(tree, &rest[0])?;
            }
            put(tree, path, value)
        }
        [first, ..] => Err(
            Diagnostic::new(format!("`{first}` is not a section of a pipeline"))
                .at(first.span())
                .help(FORM)
                .nearest(
                    first.get_ref(),
                    ["pipeline", "defaults", "params", "axes", "stages"],
                ),
        ),
        [] => Ok(()),
    }
}

/// Sets a parameter, or restricts an axis.
fn set_name<'t>(
    tree: &mut DeTable<'t>,
    name: &Segment<'t>,
    value: Node<'t>,
) -> Result<(), Diagnostic> {
    let section = |section: &str| tree.get(section).and_then(|node| node.get_ref().as_table());
    let text = *name.get_ref();
    if section("params").is_some_and(|params| params.contains_key(text)) {
        let section = Spanned::new(name.span(), "params");
        return put(tree, &[section, name.clone()], value);
    }
    if let Some(axis) = section("axes").and_then(|axes| axes.get(text)) {
        let value = restricted(axis, value)?;
        let section = Spanned::new(name.span(), "axes");
        return put(tree, &[section, name.clone()], value);
    }
    if section("defaults").is_some_and(|defaults| defaults.contains_key(text)) {
        return Err(
            Diagnostic::new(format!("`{text}` is a default, not a parameter or an axis"))
                .at(name.span())
                .help(format!("write --set defaults.{text}=...")),
        );
    }
    let names: Vec<&str> = ["params", "axes"]
        .into_iter()
        .filter_map(section)
        .flat_map(|table| table.keys().map(|key| key.get_ref().as_ref()))
        .collect();
    Err(
        Diagnostic::new(format!("no parameter or axis is named `{text}`"))
            .at(name.span())
            .label(format!("there are: {}", listing(&names)))
            .nearest(text, names.iter().copied())
            .help(FORM),
    )
}

/// The new values of an axis. Of an axis of records the named ones remain.
fn restricted<'t>(axis: &Node<'t>, value: Node<'t>) -> Result<Node<'t>, Diagnostic> {
    let span = value.span();
    let wanted: Vec<Node<'t>> = match value.into_inner() {
        DeValue::Array(items) => items.into_iter().collect(),
        // A range, which stays one.
        table @ DeValue::Table(_) => return Ok(Spanned::new(span, table)),
        scalar => vec![Spanned::new(span.clone(), scalar)],
    };
    let records: Vec<&Node<'t>> = axis
        .get_ref()
        .as_array()
        .map(|items| {
            items
                .iter()
                .filter(|item| item.get_ref().is_table())
                .collect()
        })
        .unwrap_or_default();
    let name_of = |node: &Node<'t>| {
        node.get_ref()
            .get("name")
            .and_then(|name| name.get_ref().as_str().map(str::to_owned))
    };
    let mut kept = DeArray::new();
    for item in wanted {
        match item.get_ref().as_str() {
            Some(name) if !records.is_empty() => {
                match records.iter().find(|r| name_of(r).as_deref() == Some(name)) {
                    Some(record) => kept.push((*record).clone()),
                    None => return Err(no_record(name, &records, &item, name_of)),
                }
            }
            _ => kept.push(item),
        }
    }
    Ok(Spanned::new(span, DeValue::Array(kept)))
}

fn no_record<'t>(
    name: &str,
    records: &[&Node<'t>],
    item: &Node<'t>,
    name_of: impl Fn(&Node<'t>) -> Option<String>,
) -> Diagnostic {
    let names: Vec<String> = records
        .iter()
        .filter_map(|record| name_of(record))
        .collect();
    Diagnostic::new(format!("no record of the axis is named `{name}`"))
        .at(item.span())
        .label(format!("there are: {}", listing(&names)))
        .nearest(name, names.iter().map(String::as_str))
}

fn known_stage(tree: &DeTable<'_>, name: &Segment<'_>) -> Result<(), Diagnostic> {
    let stages = tree
        .get("stages")
        .and_then(|node| node.get_ref().as_table());
    if stages.is_some_and(|stages| stages.contains_key(*name.get_ref())) {
        return Ok(());
    }
    let names: Vec<&str> = stages
        .into_iter()
        .flat_map(|stages| stages.keys().map(|key| key.get_ref().as_ref()))
        .collect();
    let fault = Diagnostic::new(format!("no stage is named `{name}`")).at(name.span());
    Err(match nearest(name.get_ref(), names.iter().copied()) {
        Some(near) => fault.help(format!("did you mean `{near}`?")),
        None => fault.help(format!("stages: {}", listing(&names))),
    })
}

/// Puts the value at the path, making the tables on the way that are missing.
fn put<'t>(
    tree: &mut DeTable<'t>,
    path: &[Segment<'t>],
    value: Node<'t>,
) -> Result<(), Diagnostic> {
    let Some((last, way)) = path.split_last() else {
        return Ok(());
    };
    let key =
        |segment: &Segment<'t>| Spanned::new(segment.span(), Cow::Borrowed(*segment.get_ref()));
    let mut table = tree;
    for segment in way {
        let node = table
            .entry(key(segment))
            .or_insert_with(|| Spanned::new(segment.span(), DeValue::Table(DeTable::new())));
        match node.get_mut() {
            DeValue::Table(inner) => table = inner,
            _ => {
                return Err(Diagnostic::new(format!("`{segment}` is not a table"))
                    .at(segment.span())
                    .label("nothing can be set inside it"));
            }
        }
    }
    table.remove(*last.get_ref());
    table.insert(key(last), value);
    Ok(())
}
