//! `vgh kinds`: what stages there can be, and what each takes and gives.
#![expect(clippy::print_stdout, reason = "the command's output")]
use serde_json::{Value, json};

use crate::{
    cli::{
        args,
        columns::{Side, columns},
        exit::{Exit, Failure},
    },
    diagnostic::{listing, nearest},
    form::{Parameter, parameters},
    stage::{Arity, Kind},
    stages::KINDS,
};

/// Letters of a line of text.
const WIDTH: usize = 88;

pub(super) fn kinds(args: &args::Kinds) -> Result<Exit, Failure> {
    match (&args.kind, args.json) {
        (None, false) => print!("{}", table()),
        (None, true) => println!("{}", KINDS.iter().map(json).collect::<Value>()),
        (Some(name), false) => print!("{}", text(named(name)?)),
        (Some(name), true) => println!("{}", json(named(name)?)),
    }
    Ok(Exit::Done)
}

fn named(name: &str) -> Result<&'static Kind, Failure> {
    KINDS.iter().find(|kind| kind.name == name).ok_or_else(|| {
        let names = || KINDS.iter().map(|kind| kind.name);
        let help = match nearest(name, names()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("kinds: {}", listing(names())),
        };
        Failure::Usage(format!("no kind is named `{name}`\nhelp: {help}"))
    })
}

fn json(kind: &Kind) -> Value {
    json!({
        "kind": kind.name, "version": kind.version, "about": kind.about,
        "description": description(kind), "progressive": kind.progressive,
        "parameters": parameters(kind), "inputs": kind.ports.inputs,
        "outputs": kind.ports.outputs, "roles": kind.roles,
    })
}

fn table() -> String {
    let heading = [
        ("kind", Side::Left),
        ("progressive in", Side::Left),
        ("about", Side::Left),
    ];
    let row = |kind: &Kind| {
        let progressive = kind.progressive.unwrap_or_default();
        [kind.name, progressive, kind.about].map(str::to_owned)
    };
    let rows: Vec<[String; 3]> = KINDS.iter().map(row).collect();
    format!(
        "{}\n`vgh kinds KIND` describes one.\n",
        columns(heading, &rows)
    )
}

/// The doc comment of the kind's struct: formulas and their equations.
fn description(kind: &Kind) -> String {
    let schema = (kind.schema)();
    let text = schema.get("description").and_then(Value::as_str);
    text.unwrap_or_default().to_owned()
}

fn text(kind: &Kind) -> String {
    let mut out = format!("{} (version {}): {}\n", kind.name, kind.version, kind.about);
    out.push_str(&format!("\n{}", wrapped(&description(kind), "")));
    if let Some(param) = kind.progressive {
        let told = format!(
            "Progressive in `{param}`: smaller is a prefix of larger, so several values cost as \
             much as the largest."
        );
        out.push_str(&format!("\n{}", wrapped(&told, "")));
    }
    out.push_str("\nParameters\n");
    for parameter in parameters(kind) {
        out.push_str(&described(&parameter));
    }
    out.push_str(&ports(kind));
    out
}

fn ports(kind: &Kind) -> String {
    let open = kind.open.as_ref();
    let mut out = "\nInputs\n".to_owned();
    for port in kind.ports.inputs.iter().chain(open.map(|open| &open.input)) {
        let many = match port.arity {
            Arity::One => "one",
            Arity::Many => "many",
            Arity::All => "all there are",
        };
        let optional = if port.required { "" } else { ", optional" };
        let line = format!("{}, {many}{optional}: {}", port.artifact, port.about);
        out.push_str(&port_lines(port.name, &line));
    }
    if kind.ports.inputs.is_empty() && open.is_none() {
        out.push_str("  none\n");
    }
    out.push_str("\nOutputs\n");
    for port in kind
        .ports
        .outputs
        .iter()
        .chain(open.map(|open| &open.output))
    {
        out.push_str(&port_lines(
            port.name,
            &format!("{}: {}", port.artifact, port.about),
        ));
    }
    out
}

/// A port without a name of its own is named by the pipeline.
fn port_lines(name: &str, line: &str) -> String {
    let name = if name.is_empty() { "any name" } else { name };
    format!("  {name}\n{}", wrapped(line, "      "))
}

fn described(parameter: &Parameter) -> String {
    let mut head = format!("  {}  {}", parameter.name, parameter.takes);
    if !parameter.range.is_empty() {
        head.push_str(&format!(", {}", parameter.range));
    }
    match &parameter.default {
        _ if parameter.required => head.push_str(", required"),
        Some(Value::Null) | None => head.push_str(", optional"),
        Some(value) => head.push_str(&format!(", default {value}")),
    }
    format!("{head}\n{}", wrapped(&parameter.about, "      "))
}

/// Text in lines of at most [`WIDTH`] letters.
fn wrapped(text: &str, indent: &str) -> String {
    let mut out = String::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let full = indent.len() + line.chars().count() + 1 + word.chars().count() > WIDTH;
        if full && !line.is_empty() {
            out.push_str(&format!("{indent}{line}\n"));
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        out.push_str(&format!("{indent}{line}\n"));
    }
    out
}
