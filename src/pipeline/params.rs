//! A stage's parameters: which the kind has, which are missing, what
//! placeholders make of them, and the kind's own judgement. Each distinct
//! combination of values is parsed once and shared by its instances.
use std::{borrow::Cow, collections::BTreeSet, ops::Range, sync::Arc};

use serde_json::Value;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::{
    artifact::show_coords,
    diagnostic::{Diagnostic, Faults, listing, nearest},
    pipeline::{
        facts::Facts,
        frame::{self, Frame},
        names::Names,
        node::{Entry, Node},
        param_fault::{Refused, contains, readable},
        placeholder,
        run_names::RunNames,
        syntax::{RESERVED, WrittenStage},
    },
    stage::{Action, Kind, ParamFault},
};

/// The actions of a stage's instances.
pub(super) struct Actions {
    /// Positions in `over` of the axes that the parameters depend on.
    varying: Vec<usize>,
    sizes: Vec<usize>,
    /// In mixed radix over `varying`.
    pub(super) settled: Vec<Settled>,
}

pub(super) struct Settled {
    pub(super) action: Arc<dyn Action>,
    pub(super) params: Arc<Value>,
    /// The axes that have a role.
    gathered: Vec<String>,
}

impl Settled {
    pub(super) fn gathered(&self) -> &[String] {
        &self.gathered
    }
}

impl Actions {
    /// The action of the instance with these digits.
    pub(super) fn of(&self, digits: &[usize]) -> &Settled {
        let index = self
            .varying
            .iter()
            .zip(&self.sizes)
            .fold(0, |index, (position, size)| {
                index * size + digits[*position]
            });
        &self.settled[index]
    }
}

/// The entries of a stage with the defaults of the file, faults told.
struct Sheet<'a, 't> {
    stage: &'a WrittenStage<'t>,
    kind: &'static Kind,
    /// The place of the kind's name, for what has no place of its own.
    token: Range<usize>,
    entries: Vec<Entry<'t>>,
    run: RunNames,
    /// Keys that are missing or were left out after a fault.
    holes: BTreeSet<String>,
}

/// The actions of one stage; none after a fault.
pub(super) fn settle<'t>(
    stage: &WrittenStage<'t>,
    frame: &Frame,
    defaults: &[Entry<'t>],
    facts: &Facts,
    names: &mut Names<'t>,
    faults: &mut Faults,
) -> Option<Actions> {
    let kind = frame.kind?;
    let mut sheet = Sheet {
        stage,
        kind,
        token: stage.kind.as_ref()?.span(),
        entries: Vec::new(),
        run: RunNames::of(stage, defaults, kind),
        holes: BTreeSet::new(),
    };
    let misspelt = sheet.take_known(defaults, facts, faults);
    let missing = |name: &&String| {
        let written = (sheet.entries.iter()).any(|entry| entry.key.get_ref() == *name);
        !written && !misspelt.contains(*name)
    };
    let missing: Vec<&String> = facts.required.iter().filter(missing).collect();
    for name in &missing {
        sheet.holes.insert((*name).clone());
        faults.push(
            Diagnostic::new(format!("stage `{}` does not set `{name}`", stage.name))
                .at(sheet.token.clone())
                .label(format!("needs {}", listing(&missing))),
        );
    }
    sheet.holes.extend(misspelt);
    let axes = sheet.check_placeholders(frame, names, faults);
    if !frame.sound {
        return None;
    }
    let mut varying: Vec<usize> = (axes.iter())
        .filter_map(|axis| frame.position(*axis))
        .collect();
    varying.sort_unstable();
    sheet.parse_all(frame, varying, facts, names, faults)
}

impl<'t> Sheet<'_, 't> {
    /// Takes the entries that the kind has. Gives the required names that
    /// unknown keys were perhaps meant for.
    fn take_known(
        &mut self,
        defaults: &[Entry<'t>],
        facts: &Facts,
        faults: &mut Faults,
    ) -> BTreeSet<String> {
        let mut misspelt = BTreeSet::new();
        for entry in &self.stage.params {
            let key = entry.key.get_ref();
            if facts.known.contains(key) {
                self.entries.push(entry.clone());
                continue;
            }
            let fault = Diagnostic::new(format!("`{}` has no parameter `{key}`", self.kind.name))
                .at(entry.key.span());
            let known = facts.known.iter().map(String::as_str);
            faults.push(match nearest(key, known.clone().chain(RESERVED)) {
                Some(near) => {
                    if facts.required.iter().any(|name| name == near) {
                        misspelt.insert(near.to_owned());
                    }
                    fault.help(format!("did you mean `{near}`?"))
                }
                None if facts.known.is_empty() => fault.label("the kind has no parameters"),
                None => fault.help(format!("parameters: {}", listing(known))),
            });
        }
        for entry in defaults {
            let key = entry.key.get_ref();
            let written = self.entries.iter().any(|own| own.key.get_ref() == key);
            if facts.known.contains(key) && !written {
                self.entries.push(entry.clone());
            }
        }
        misspelt
    }

    /// Leaves out the entries with bad placeholders; gives the axes that the
    /// others read.
    fn check_placeholders(
        &mut self,
        frame: &Frame,
        names: &mut Names<'t>,
        faults: &mut Faults,
    ) -> BTreeSet<usize> {
        let mut axes = BTreeSet::new();
        for entry in std::mem::take(&mut self.entries) {
            let (uses, bad) = placeholder::uses(&entry.value);
            let mut sound = bad.is_empty();
            faults.extend(bad);
            let template = self.run.may_stand_in(entry.key.get_ref());
            for mut found in uses {
                if self.run.knows(&found.name) && (template || names.meaning(&found.name).is_none())
                {
                    let told = if template {
                        self.run.check(&found)
                    } else {
                        Some(self.run.misplaced(&found, entry.key.get_ref()))
                    };
                    sound &= told.is_none();
                    faults.extend(told);
                    continue;
                }
                // Whatever its type, in a template it becomes a part of a text.
                found.whole &= !template;
                match names.check(&found, faults) {
                    Ok(None) => {}
                    Ok(Some(axis)) if frame.over.contains(&axis) => {
                        axes.insert(axis);
                    }
                    Ok(Some(axis)) => {
                        sound = false;
                        if frame.sound {
                            let axis = names.axes[axis].name.get_ref();
                            faults.push(self.not_over(axis).at(found.span));
                        }
                    }
                    Err(()) => sound = false,
                }
            }
            if sound {
                self.entries.push(entry);
            } else {
                self.holes.insert(entry.key.into_inner());
            }
        }
        axes
    }

    fn not_over(&self, axis: &str) -> Diagnostic {
        let mut over: Vec<String> = self.stage.over.iter().map(|a| format!("\"{a}\"")).collect();
        over.push(format!("\"{axis}\""));
        Diagnostic::new(format!(
            "stage `{}` reads the axis `{axis}` but is not over it",
            self.stage.name
        ))
        .help(format!("add over = [{}]", over.join(", ")))
    }

    /// A value with its placeholders filled in, but for those of the run.
    fn filled<'v>(
        &self,
        entry: &Entry<'v>,
        names: &'v Names<'_>,
        position: &dyn Fn(usize) -> Option<usize>,
    ) -> Spanned<DeValue<'v>> {
        if !self.run.may_stand_in(entry.key.get_ref()) {
            return placeholder::fill(&entry.value, &|name, field| {
                names.value(name, field, position)
            });
        }
        placeholder::fill_template(&entry.value, &|name, field| {
            let ours = !self.run.knows(name);
            ours.then(|| names.value(name, field, position))?
        })
    }

    fn parse_all(
        mut self,
        frame: &Frame,
        varying: Vec<usize>,
        facts: &Facts,
        names: &Names<'t>,
        faults: &mut Faults,
    ) -> Option<Actions> {
        let sizes: Vec<usize> = varying
            .iter()
            .map(|position| frame.sizes[*position])
            .collect();
        let count: usize = sizes.iter().product();
        let (still, moving): (Vec<Entry<'t>>, Vec<Entry<'t>>) = std::mem::take(&mut self.entries)
            .into_iter()
            .partition(|entry| !placeholder::has_braces(&entry.value));
        let base: DeTable<'_> = still.iter().map(pair).collect();
        let mut settled = Vec::with_capacity(count);
        let mut refused: Vec<Refused> = Vec::new();
        for index in 0..count {
            let chosen = frame::digits(&sizes, index);
            let position = |axis: usize| {
                let own = frame.position(axis)?;
                let place = varying.iter().position(|other| *other == own)?;
                Some(chosen[place])
            };
            let fill = || {
                let mut table = base.clone();
                for entry in &moving {
                    table.insert(key(entry), self.filled(entry, names, &position));
                }
                table
            };
            match self.parse(&fill, facts, index, &mut refused) {
                Some(action) if refused.is_empty() && self.holes.is_empty() => {
                    settled.push(Settled {
                        params: Arc::new(action.params()),
                        gathered: action.gathered_axes(),
                        action: Arc::from(action),
                    });
                }
                _ => {}
            }
        }
        if refused.is_empty() && self.holes.is_empty() {
            return Some(Actions {
                varying,
                sizes,
                settled,
            });
        }
        for refusal in refused {
            // Whether another combination has no such fault.
            let depends = refusal.count < count
                || moving
                    .iter()
                    .any(|entry| Some(entry.value.span()) == refusal.fault.span);
            faults.push(if depends && !varying.is_empty() {
                let chosen = frame::digits(&sizes, refusal.first);
                let at = show_coords(&frame.coords_along(&varying, &chosen, &names.axes));
                refusal.fault.note(format!("in {}@{at}", self.stage.name))
            } else {
                refusal.fault
            });
        }
        None
    }

    /// Parses one combination. After a fault the parameter is left out and
    /// the rest is parsed again, so that all its faults are found.
    fn parse<'n>(
        &self,
        table: &dyn Fn() -> DeTable<'n>,
        facts: &Facts,
        index: usize,
        refused: &mut Vec<Refused>,
    ) -> Option<Box<dyn Action>> {
        let mut left_out: Vec<String> = Vec::new();
        let rest = |left_out: &[String]| {
            let mut table = table();
            for key in left_out {
                table.remove(key.as_str());
            }
            table
        };
        loop {
            let whole = self.holes.is_empty() && left_out.is_empty();
            let node = Spanned::new(self.token.clone(), DeValue::Table(rest(&left_out)));
            let fault = match (self.kind.parse)(node) {
                Ok(action) => return whole.then_some(action),
                Err(fault) => fault,
            };
            let (fault, param) = self.told(&fault, &rest(&left_out), facts, whole)?;
            Refused::note(refused, fault, index);
            left_out.push(param?);
        }
    }

    /// The fault to show, and the parameter to leave out before going on.
    /// None where it only follows from what was left out before.
    fn told(
        &self,
        fault: &ParamFault,
        table: &DeTable<'_>,
        facts: &Facts,
        whole: bool,
    ) -> Option<(Diagnostic, Option<String>)> {
        if let Some(param) = fault.param {
            // A relation between parameters says nothing once one is missing.
            if !whole {
                return None;
            }
            let told = Diagnostic::new(fault.message.clone());
            if let Some(node) = table.get(param) {
                return Some((told.at(node.span()), None));
            }
            let label = facts
                .defaults
                .get(param)
                .map(|value| format!("`{param}` is {value} by default"));
            let told = told.at(self.token.clone()).label(label.unwrap_or_default());
            return Some((told, None));
        }
        let inside = fault.span.clone().and_then(|span| {
            table.iter().find_map(|(key, value)| {
                let place = value.span();
                let within =
                    (place.start <= span.start && span.end <= place.end) || contains(value, &span);
                within.then(|| (key.get_ref().to_string(), span.clone()))
            })
        });
        match inside {
            Some((key, span)) => Some((readable(&key, &fault.message).at(span), Some(key))),
            None if whole => Some((
                Diagnostic::new(format!("stage `{}`: {}", self.stage.name, fault.message))
                    .at(self.token.clone()),
                None,
            )),
            None => None,
        }
    }
}

fn key<'e>(entry: &'e Entry<'_>) -> Spanned<Cow<'e, str>> {
    Spanned::new(entry.key.span(), Cow::Borrowed(entry.key.get_ref()))
}

fn pair<'e, 't: 'e>(entry: &'e Entry<'t>) -> (Spanned<Cow<'e, str>>, Node<'e>) {
    (key(entry), entry.value.clone())
}
