//! A pipeline as written: its sections and stages with the place of every
//! word. Checks form only; names and values mean nothing here yet.
use std::ops::Range;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::{
    diagnostic::{Diagnostic, Faults, nearest},
    pipeline::node::{Entry, Node, describe, entries},
};

/// The only form of pipeline files so far.
const FORMAT: i64 = 1;
const SECTIONS: [&str; 5] = ["pipeline", "defaults", "params", "axes", "stages"];
/// The words of a stage table that are not parameters of its kind.
pub const RESERVED: [&str; 8] = [
    "kind",
    "over",
    "inputs",
    "resources",
    "retries",
    "temp",
    "snapshots",
    "publish",
];

#[derive(Debug, Default)]
pub(super) struct Written<'t> {
    pub(super) name: String,
    pub(super) defaults: Vec<Entry<'t>>,
    pub(super) params: Vec<Entry<'t>>,
    pub(super) axes: Vec<Entry<'t>>,
    pub(super) stages: Vec<WrittenStage<'t>>,
}

#[derive(Debug)]
pub(super) struct WrittenStage<'t> {
    pub(super) name: Spanned<String>,
    /// None where the fault has been told.
    pub(super) kind: Option<Spanned<String>>,
    pub(super) over: Vec<Spanned<String>>,
    pub(super) inputs: Vec<WrittenInput>,
    /// Settings of execution: the reserved words that are not above.
    pub(super) execution: Vec<Entry<'t>>,
    pub(super) params: Vec<Entry<'t>>,
}

#[derive(Debug)]
pub(super) struct WrittenInput {
    pub(super) port: Spanned<String>,
    /// Whether brackets stand around the references.
    pub(super) list: bool,
    pub(super) references: Vec<Spanned<String>>,
}

/// A section: its name, the place of that, its entries.
type Section<'t> = (&'static str, Range<usize>, Vec<Entry<'t>>);

/// The sections of a parsed text. Faults are added; what remains is usable.
pub(super) fn read<'t>(tree: DeTable<'t>, faults: &mut Faults) -> Written<'t> {
    let mut written = Written::default();
    let mut headed = false;
    for (name, span, entries) in sections(tree, faults) {
        match name {
            "pipeline" => {
                headed = true;
                written.name = head(entries, &span, faults);
            }
            "defaults" => written.defaults.extend(entries),
            "params" => written.params.extend(named(entries, "parameter", faults)),
            "axes" => written.axes.extend(named(entries, "axis", faults)),
            _ => {
                let stages = named(entries, "stage", faults);
                let stages = stages.into_iter().filter_map(|entry| stage(entry, faults));
                written.stages.extend(stages);
            }
        }
    }
    if !headed {
        faults.push(
            Diagnostic::new("the section [pipeline] is missing")
                .at(0..0)
                .help(format!(
                    "begin with [pipeline], format = {FORMAT} and a name"
                )),
        );
    }
    written
}

/// The tables of a text as sections. An unknown one counts as the section that
/// was perhaps meant, lest everything that reads from it be told as well.
fn sections<'t>(tree: DeTable<'t>, faults: &mut Faults) -> Vec<Section<'t>> {
    let mut sections = Vec::new();
    for section in entries(tree) {
        let (key, span) = (section.key.get_ref().as_str(), section.key.span());
        let known = SECTIONS.into_iter().find(|name| *name == key);
        if known.is_none() {
            faults.push(
                Diagnostic::new(format!("unknown section `{key}`"))
                    .at(span.clone())
                    .label(format!("sections: {}", SECTIONS.join(", ")))
                    .nearest(key, SECTIONS),
            );
        }
        let Some(name) = known.or_else(|| nearest(key, SECTIONS)) else {
            continue;
        };
        match section.value.into_inner() {
            DeValue::Table(table) => sections.push((name, span, entries(table))),
            other => faults.push(
                Diagnostic::new(format!("`{key}` is a section, not {}", describe(&other)))
                    .at(span)
                    .help(format!("write [{key}] on a line of its own")),
            ),
        }
    }
    sections
}

/// The section [pipeline]: checks the format and gives the name.
fn head(entries: Vec<Entry<'_>>, section: &Range<usize>, faults: &mut Faults) -> String {
    let (mut format, mut name) = (false, None);
    for Entry { key, value } in entries {
        match key.get_ref().as_str() {
            "format" => {
                format = true;
                check_format(&value, faults);
            }
            "name" => {
                name = string(&value, "name", faults);
                if let Some(name) = &name {
                    check_name("pipeline name", name, faults);
                }
                name.get_or_insert_with(|| Spanned::new(0..0, String::new()));
            }
            other => faults.push(
                Diagnostic::new(format!("unknown key `{other}` of [pipeline]"))
                    .at(key.span())
                    .label("keys: format, name")
                    .nearest(other, ["format", "name"]),
            ),
        }
    }
    if !format {
        faults.push(
            Diagnostic::new("[pipeline] does not say its format")
                .at(section.clone())
                .help(format!("add format = {FORMAT}")),
        );
    }
    if name.is_none() {
        faults.push(
            Diagnostic::new("[pipeline] has no name")
                .at(section.clone())
                .help("add name = \"...\": results/<name> holds what people read"),
        );
    }
    name.map(Spanned::into_inner).unwrap_or_default()
}

fn check_format(value: &Node<'_>, faults: &mut Faults) {
    let fault = match value.get_ref() {
        DeValue::Integer(number)
            if i64::from_str_radix(number.as_str(), number.radix()) == Ok(FORMAT) =>
        {
            return;
        }
        DeValue::Integer(number) => Diagnostic::new(format!(
            "format {number} is not known to this version of vgh"
        ))
        .help("a newer vgh may read it"),
        other => Diagnostic::new(format!("`format` is a number, not {}", describe(other))),
    };
    faults.push(
        fault
            .at(value.span())
            .label(format!("known formats: {FORMAT}")),
    );
}

/// The entries whose keys can serve as names; faults for the others.
fn named<'t>(entries: Vec<Entry<'t>>, what: &str, faults: &mut Faults) -> Vec<Entry<'t>> {
    entries
        .into_iter()
        .filter(|entry| check_name(what, &entry.key, faults))
        .collect()
}

/// Names become parts of paths, selectors and placeholders.
pub(super) fn check_name(what: &str, name: &Spanned<String>, faults: &mut Faults) -> bool {
    const LONGEST: usize = 80;
    let text = name.get_ref();
    let letters = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let sound = !text.is_empty()
        && text.len() <= LONGEST
        && text.chars().all(letters)
        && !text.starts_with('-');
    if !sound {
        faults.push(
            Diagnostic::new(
                format!("`{text}` cannot be a {what}")
                    .replace("a axis", "an axis")
                    .replace("a input", "an input"),
            )
            .at(name.span())
            .help(format!(
                "a name has letters a-z, digits, `-` and `_`, and at most {LONGEST} of them"
            )),
        );
    }
    sound
}

fn stage<'t>(entry: Entry<'t>, faults: &mut Faults) -> Option<WrittenStage<'t>> {
    let name = entry.key;
    let table = match entry.value.into_inner() {
        DeValue::Table(table) => table,
        other => {
            faults.push(
                Diagnostic::new(format!("`{name}` is a stage, not {}", describe(&other)))
                    .at(name.span())
                    .help(format!("write [stages.{name}] and its keys below")),
            );
            return None;
        }
    };
    let mut stage = WrittenStage {
        name,
        kind: None,
        over: Vec::new(),
        inputs: Vec::new(),
        execution: Vec::new(),
        params: Vec::new(),
    };
    let mut kind = false;
    for entry in entries(table) {
        match entry.key.get_ref().as_str() {
            "kind" => {
                kind = true;
                stage.kind = string(&entry.value, "kind", faults);
            }
            "over" => stage.over = over(entry.value, faults),
            "inputs" => stage.inputs = inputs(entry.value, faults),
            word if RESERVED.contains(&word) => stage.execution.push(entry),
            _ => stage.params.push(entry),
        }
    }
    if !kind {
        faults.push(
            Diagnostic::new(format!("stage `{}` has no kind", stage.name))
                .at(stage.name.span())
                .help("add kind = \"...\"; `vgh kinds` lists them"),
        );
    }
    Some(stage)
}

fn over(value: Node<'_>, faults: &mut Faults) -> Vec<Spanned<String>> {
    let help = "write over = [\"axis\", ...]";
    let axes = match strings(value, "over", help, faults) {
        Some((true, axes)) => axes,
        Some((false, axes)) => {
            for axis in axes {
                faults.push(
                    Diagnostic::new(format!("`over` is a list, not the string \"{axis}\""))
                        .at(axis.span())
                        .help(format!("write over = [\"{axis}\"]")),
                );
            }
            Vec::new()
        }
        None => Vec::new(),
    };
    let mut kept: Vec<Spanned<String>> = Vec::new();
    for axis in axes {
        match kept.iter().find(|other| other.get_ref() == axis.get_ref()) {
            Some(first) => faults.push(
                Diagnostic::new(format!("`over` names `{axis}` twice"))
                    .at(axis.span())
                    .also(first.span(), "first here"),
            ),
            None => kept.push(axis),
        }
    }
    kept
}

fn inputs(value: Node<'_>, faults: &mut Faults) -> Vec<WrittenInput> {
    let span = value.span();
    match value.into_inner() {
        DeValue::Table(table) => entries(table)
            .into_iter()
            .filter_map(|entry| {
                let help = "write a stage such as \"grpo\", \"grpo.rewards\" or \"grpo@budget=30\"";
                let (list, references) = strings(entry.value, entry.key.get_ref(), help, faults)?;
                Some(WrittenInput {
                    port: entry.key,
                    list,
                    references,
                })
            })
            .collect(),
        other => {
            faults.push(
                Diagnostic::new(format!("`inputs` is a table, not {}", describe(&other)))
                    .at(span)
                    .help("write inputs = { port = \"stage\" }"),
            );
            Vec::new()
        }
    }
}

/// A string, or (then `true`) a list of strings.
fn strings(
    value: Node<'_>,
    key: &str,
    help: &str,
    faults: &mut Faults,
) -> Option<(bool, Vec<Spanned<String>>)> {
    let span = value.span();
    let mut refuse = |what: &DeValue<'_>, span: Range<usize>| {
        faults.push(
            Diagnostic::new(format!("{} does not belong in `{key}`", describe(what)))
                .at(span)
                .help(help),
        );
    };
    match value.into_inner() {
        DeValue::String(text) => Some((false, vec![Spanned::new(span, text.into_owned())])),
        DeValue::Array(items) => {
            let mut strings = Vec::new();
            for item in items {
                let span = item.span();
                match item.into_inner() {
                    DeValue::String(text) => strings.push(Spanned::new(span, text.into_owned())),
                    other => refuse(&other, span),
                }
            }
            Some((true, strings))
        }
        other => {
            refuse(&other, span);
            None
        }
    }
}

fn string(value: &Node<'_>, key: &str, faults: &mut Faults) -> Option<Spanned<String>> {
    match value.get_ref() {
        DeValue::String(text) => Some(Spanned::new(value.span(), text.to_string())),
        other => {
            faults.push(
                Diagnostic::new(format!("`{key}` is a string, not {}", describe(other)))
                    .at(value.span()),
            );
            None
        }
    }
}

/// The sections that a file can have, for `--set`.
pub(super) fn is_section(name: &str) -> bool {
    SECTIONS.contains(&name)
}
