//! The place of a parameter's value, looked up again in the text: for what is
//! found wrong only after the pipeline was read, such as a file that is missing.
use std::ops::Range;

use toml::de::DeTable;

use crate::{
    diagnostic::{Diagnostic, Faults, Source},
    pipeline::{document, meaning::Pipeline, overrides},
};

/// A parameter of a stage; `files.script` is an entry of the table `files`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParamPlace<'a> {
    pub stage: &'a str,
    pub param: &'a str,
}

impl Pipeline {
    /// Faults of parameters, each at the value in the file or on the command line.
    pub fn faults_at<'a>(
        &self,
        found: impl IntoIterator<Item = (ParamPlace<'a>, Diagnostic)>,
    ) -> Faults {
        let mut faults = Faults::new();
        faults.read(Source {
            name: self.shown.clone(),
            text: self.text.clone(),
        });
        let mut tree = document::parse(&self.text, &mut faults).unwrap_or_default();
        overrides::apply(&mut tree, &self.overrides, &mut faults);
        for (place, fault) in found {
            faults.push(match span(&tree, &place) {
                Some(span) => fault.at(span),
                None => fault,
            });
        }
        faults
    }
}

/// The value at the stage, else that of the defaults.
fn span(tree: &DeTable<'_>, place: &ParamPlace<'_>) -> Option<Range<usize>> {
    let own = table(tree, "stages").and_then(|stages| table(stages, place.stage));
    let tables = [own, table(tree, "defaults")];
    tables
        .into_iter()
        .flatten()
        .find_map(|table| span_in(table, place.param))
}

fn table<'a, 't>(tree: &'a DeTable<'t>, name: &str) -> Option<&'a DeTable<'t>> {
    tree.get(name)?.get_ref().as_table()
}

/// As far into the value as the text has tables of its own.
fn span_in(table: &DeTable<'_>, param: &str) -> Option<Range<usize>> {
    let mut path = param.split('.');
    let mut node = table.get(path.next()?)?;
    for name in path {
        match node.get_ref().get(name) {
            Some(inner) => node = inner,
            None => break,
        }
    }
    Some(node.span())
}
