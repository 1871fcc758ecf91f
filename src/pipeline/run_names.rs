//! Placeholders that only the run can fill in, such as `{files.script}` and
//! `{inputs.rewards}`: which there are, and whether they are written rightly.
use std::collections::BTreeMap;

use crate::{
    diagnostic::{Diagnostic, listing},
    pipeline::{node::Entry, placeholder::Use, ports::keys_of, syntax::WrittenStage},
    stage::Kind,
};

/// The names of one stage; none for a kind that runs no foreign program.
pub(super) struct RunNames {
    texts: &'static [&'static str],
    /// `files`, `inputs` and so on, to what they hold.
    tables: BTreeMap<&'static str, Vec<String>>,
}

impl RunNames {
    pub(super) fn of(stage: &WrittenStage<'_>, defaults: &[Entry<'_>], kind: &Kind) -> RunNames {
        let Some(open) = &kind.open else {
            return RunNames {
                texts: &[],
                tables: BTreeMap::new(),
            };
        };
        let keys = |table: &&'static str| {
            let keys = keys_of(stage, defaults, table).into_iter();
            (*table, keys.map(|(key, _)| key.into_inner()).collect())
        };
        let mut tables: BTreeMap<&'static str, Vec<String>> =
            open.tables.iter().map(keys).collect();
        let inputs = stage.inputs.iter();
        let inputs = inputs.map(|input| input.port.get_ref().clone()).collect();
        tables.insert("inputs", inputs);
        RunNames {
            texts: open.texts,
            tables,
        }
    }

    /// Whether they may stand in a parameter.
    pub(super) fn may_stand_in(&self, param: &str) -> bool {
        self.texts.contains(&param)
    }

    /// Whether a placeholder of this name is one of them.
    pub(super) fn knows(&self, name: &str) -> bool {
        self.tables.contains_key(name)
    }

    /// That one of them stands in a parameter in which it may not.
    pub(super) fn misplaced(&self, found: &Use, param: &str) -> Diagnostic {
        let name = match &found.field {
            Some(field) => format!("{}.{field}", found.name),
            None => found.name.clone(),
        };
        let texts: Vec<String> = self.texts.iter().map(|text| format!("`{text}`")).collect();
        Diagnostic::new(format!("`{{{name}}}` cannot stand in `{param}`"))
            .at(found.span.clone())
            .help(format!(
                "it is known when the command runs, so it may stand in {}",
                texts.join(", ")
            ))
    }

    /// What is wrong with one of them.
    pub(super) fn check(&self, found: &Use) -> Option<Diagnostic> {
        let table = found.name.as_str();
        let known = self.tables.get(table)?;
        let names = || known.iter().map(String::as_str);
        let fault = match &found.field {
            Some(name) if known.contains(name) => return None,
            Some(name) => Diagnostic::new(format!("`{table}` has no `{name}`")),
            None => Diagnostic::new(format!("`{{{table}}}` does not say which of `{table}`")),
        };
        let fault = fault.at(found.span.clone());
        Some(match (&found.field, known.first()) {
            (_, None) => fault.label(format!("the stage has no `{table}`")),
            (None, Some(first)) => fault.help(format!("write `{{{table}.{first}}}`")),
            (Some(name), Some(_)) => fault
                .label(format!("there are: {}", listing(names())))
                .nearest(name, names()),
        })
    }
}
