//! The one namespace of parameters and axes: what `{name}` means, who may use
//! it, and which names nothing reads.
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use toml::de::DeValue;

use crate::{
    diagnostic::{Diagnostic, Faults, listing, nearest},
    pipeline::{
        axes::{self, Axis},
        node::{Entry, Node, describe, scalar},
        placeholder::{self, Use},
    },
};

/// Unknown names for which the nearest is sought: each is compared with all.
const COMPARED: usize = 500;

pub(super) struct Names<'t> {
    pub(super) axes: Vec<Axis<'t>>,
    params: Vec<Node<'t>>,
    by_name: BTreeMap<String, Named>,
    /// Names that something reads, or was perhaps meant to read.
    read: BTreeSet<String>,
    /// Unknown names so far.
    unknown: usize,
}

struct Named {
    meaning: Meaning,
    span: Range<usize>,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Meaning {
    /// Position in `params`.
    Param(usize),
    /// Position in `axes`.
    Axis(usize),
    /// Declared with a fault that has been told.
    Unsound,
}

impl<'t> Names<'t> {
    pub(super) fn settle(
        params: &[Entry<'t>],
        axes: &[Entry<'t>],
        faults: &mut Faults,
    ) -> Names<'t> {
        let mut names = Names {
            axes: Vec::new(),
            params: Vec::new(),
            by_name: BTreeMap::new(),
            read: BTreeSet::new(),
            unknown: 0,
        };
        for entry in params {
            let plain = plain(entry, "a parameter", faults);
            let meaning = plain.map_or(Meaning::Unsound, |node| {
                names.params.push(node);
                Meaning::Param(names.params.len() - 1)
            });
            names.declare(entry, meaning, faults);
        }
        for entry in axes {
            let axis = plain(entry, "an axis", faults).and_then(|value| {
                let key = entry.key.clone();
                axes::settle(&Entry { key, value }, faults)
            });
            let meaning = axis.map_or(Meaning::Unsound, |axis| {
                names.axes.push(axis);
                Meaning::Axis(names.axes.len() - 1)
            });
            names.declare(entry, meaning, faults);
        }
        names
    }

    fn declare(&mut self, entry: &Entry<'t>, meaning: Meaning, faults: &mut Faults) {
        let name = entry.key.get_ref();
        let span = entry.key.span();
        if let Some(other) = self.by_name.get_mut(name) {
            faults.push(
                Diagnostic::new(format!("`{name}` is both a parameter and an axis"))
                    .at(span)
                    .also(other.span.clone(), "the parameter")
                    .help("they share one namespace: rename one of them"),
            );
            // Which of them is meant is open.
            other.meaning = Meaning::Unsound;
            return;
        }
        self.by_name.insert(name.clone(), Named { meaning, span });
    }

    pub(super) fn meaning(&self, name: &str) -> Option<Meaning> {
        self.by_name.get(name).map(|named| named.meaning)
    }

    /// Takes note that something reads a name.
    pub(super) fn mark_read(&mut self, name: &str) {
        if !self.read.contains(name) {
            self.read.insert(name.to_owned());
        }
    }

    /// A fault for a name that is not declared. The name that was perhaps
    /// meant counts as read, lest it be told as unused too.
    pub(super) fn unknown(&mut self, what: &str, name: &str, axes_only: bool) -> Diagnostic {
        let fault = Diagnostic::new(format!("no {what} is named `{name}`"));
        self.unknown += 1;
        if self.unknown > COMPARED {
            return fault;
        }
        let names: Vec<&str> = self
            .by_name
            .iter()
            .filter(|(_, named)| !axes_only || !matches!(named.meaning, Meaning::Param(_)))
            .map(|(name, _)| name.as_str())
            .collect();
        let fault = if names.is_empty() {
            fault.label("the file declares none")
        } else {
            fault.label(format!("there are: {}", listing(&names)))
        };
        match nearest(name, names) {
            Some(near) => {
                let near = near.to_owned();
                self.mark_read(&near);
                fault.help(format!("did you mean `{near}`?"))
            }
            None => fault,
        }
    }

    /// Checks one placeholder; gives the axis that it reads, if it reads one.
    /// `Err` after a fault (or where the fault of its declaration was told).
    pub(super) fn check(&mut self, found: &Use, faults: &mut Faults) -> Result<Option<usize>, ()> {
        self.mark_read(&found.name);
        let mut refuse = |message: String| {
            faults.push(Diagnostic::new(message).at(found.span.clone()));
            Err(())
        };
        let name = &found.name;
        match self.meaning(name) {
            None => {
                let fault = self.unknown("parameter or axis", name, false);
                faults.push(fault.at(found.span.clone()));
                Err(())
            }
            Some(Meaning::Unsound) => Err(()),
            Some(Meaning::Param(param)) => {
                let value = self.params[param].get_ref();
                let value = match &found.field {
                    Some(field) => match value.get(field.as_str()) {
                        Some(inner) => inner.get_ref(),
                        None => return refuse(format!("`{name}` has no field `{field}`")),
                    },
                    None => value,
                };
                match in_text(found, value) {
                    Some(message) => refuse(message),
                    None => Ok(None),
                }
            }
            Some(Meaning::Axis(axis)) => match self.bad_field(axis, found) {
                Some(message) => refuse(message),
                None => Ok(Some(axis)),
            },
        }
    }

    fn bad_field(&self, axis: usize, found: &Use) -> Option<String> {
        let field = found.field.as_deref()?;
        let axis = &self.axes[axis];
        for value in &axis.values {
            let Some(record) = &value.record else {
                return Some(format!(
                    "the values of `{}` are not records: there is no field `{field}`",
                    axis.name
                ));
            };
            match record.get(field) {
                None => {
                    return Some(format!(
                        "the record `{}` of `{}` has no field `{field}`",
                        value.scalar, axis.name
                    ));
                }
                Some(node) => {
                    if let Some(message) = in_text(found, node.get_ref()) {
                        return Some(message);
                    }
                }
            }
        }
        None
    }

    /// The value of a checked placeholder; `position` gives the value of an
    /// axis.
    pub(super) fn value<'n>(
        &'n self,
        name: &str,
        field: Option<&str>,
        position: &dyn Fn(usize) -> Option<usize>,
    ) -> Option<DeValue<'n>> {
        match self.meaning(name)? {
            Meaning::Unsound => None,
            Meaning::Param(param) => {
                let node = &self.params[param];
                let node = match field {
                    Some(field) => node.get_ref().get(field)?,
                    None => node,
                };
                Some(node.get_ref().clone())
            }
            Meaning::Axis(axis) => {
                let value = &self.axes[axis].values[position(axis)?];
                match field {
                    Some(field) => Some(value.record.as_ref()?.get(field)?.get_ref().clone()),
                    None => Some(value.value()),
                }
            }
        }
    }

    /// Fills a value that belongs to a whole stage, so that no axis may stand
    /// in it, and reads it.
    pub(super) fn fill_plain<R>(
        &mut self,
        node: &Node<'_>,
        faults: &mut Faults,
        read: impl FnOnce(&Node<'_>) -> R,
    ) -> Option<R> {
        let (uses, bad) = placeholder::uses(node);
        let mut sound = bad.is_empty();
        faults.extend(bad);
        for found in uses {
            match self.check(&found, faults) {
                Ok(None) => {}
                Ok(Some(_)) => {
                    sound = false;
                    faults.push(
                        Diagnostic::new(format!("`{}` is an axis", found.name))
                            .at(found.span)
                            .help("only a parameter of the kind may vary; here an entry of [params] may stand"),
                    );
                }
                Err(()) => sound = false,
            }
        }
        if !sound {
            return None;
        }
        let filled = placeholder::fill(node, &|name, field| self.value(name, field, &|_| None));
        Some(read(&filled))
    }

    /// Faults for the names that nothing reads.
    pub(super) fn unread(&self, faults: &mut Faults) {
        for (name, named) in &self.by_name {
            if self.read.contains(name) {
                continue;
            }
            let fault = match named.meaning {
                Meaning::Param(_) => {
                    Diagnostic::new(format!("nothing reads the parameter `{name}`"))
                        .help(format!("use it in a stage as \"{{{name}}}\", or remove it"))
                }
                Meaning::Axis(_) => Diagnostic::new(format!("no stage is over the axis `{name}`"))
                    .help(format!("add over = [\"{name}\"] to a stage, or remove it")),
                Meaning::Unsound => continue,
            };
            faults.push(fault.at(named.span.clone()));
        }
    }
}

/// A value of [params] or [axes] with doubled braces read; placeholders
/// have no meaning there.
fn plain<'t>(entry: &Entry<'t>, what: &str, faults: &mut Faults) -> Option<Node<'t>> {
    let (uses, bad) = placeholder::uses(&entry.value);
    let sound = uses.is_empty() && bad.is_empty();
    faults.extend(bad);
    for found in uses {
        faults.push(
            Diagnostic::new(format!("{what} cannot refer to `{}`", found.name))
                .at(found.span)
                .help("placeholders are read in stages and [defaults]; write `{{` for a brace"),
        );
    }
    sound.then(|| placeholder::fill(&entry.value, &|_, _| None))
}

/// Why a value cannot be a part of a string.
fn in_text(found: &Use, value: &DeValue<'_>) -> Option<String> {
    let node = toml::Spanned::new(0..0, value.clone());
    (!found.whole && scalar(&node).is_err()).then(|| {
        format!(
            "`{}` is {}, which cannot stand inside a string",
            found.name,
            describe(value)
        )
    })
}
