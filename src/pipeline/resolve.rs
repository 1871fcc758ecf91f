//! Text to meaning, step by step: the one place that sees the whole way. Each
//! step adds its faults and goes on with what is left.
use std::{collections::BTreeMap, path::PathBuf};

use crate::{
    artifact::Scalar,
    diagnostic::{Diagnostic, Faults, Source, listing, nearest},
    pipeline::{
        align,
        bind::Binder,
        connect::{self, Wiring},
        document, execution,
        facts::Facts,
        frame::{self, Frame},
        limits,
        lock::Lock,
        meaning::{Axis, Execution, Pipeline, StageMeaning},
        names::Names,
        order, overrides,
        params::{self, Actions},
        part, placeholder,
        syntax::{self, Written},
    },
    stage::Kind,
};

/// The meaning of a pipeline's text, or all that is wrong with it. `folder`
/// is where relative externals start; `overrides` are the values of `--set`.
pub fn load(
    source: Source,
    folder: PathBuf,
    kinds: &'static [Kind],
    overrides: &[String],
) -> Result<Pipeline, Faults> {
    let mut faults = Faults::new();
    let (text, shown) = (source.text.clone(), source.name.clone());
    faults.read(source);
    let pipeline = resolve(
        (&text, Extent::Whole),
        folder,
        kinds,
        overrides,
        &mut faults,
    );
    match pipeline {
        Some(pipeline) if faults.is_empty() => Ok(Pipeline {
            shown,
            overrides: overrides.to_vec(),
            ..pipeline
        }),
        _ => Err(faults),
    }
}

/// What is wanted of a text.
pub struct Wanted<'a> {
    pub stage: &'a dyn Fn(&str) -> bool,
    /// Of an axis; one of which nothing is wanted stays as it is.
    pub value: &'a dyn Fn(&str, &Scalar) -> bool,
}

/// The stages of a sound text that are wanted, along the values that are wanted,
/// which must be with all that they read; none where they cannot be had alone.
/// What the whole text means of their instances they mean here too, but for
/// [`Pipeline::text`] and the numbers of the instances.
pub fn load_part(
    text: &str,
    folder: PathBuf,
    kinds: &'static [Kind],
    overrides: &[String],
    wanted: &Wanted<'_>,
) -> Option<Pipeline> {
    let text = part::only(text, wanted.stage);
    let mut faults = Faults::new();
    let extent = (text.as_str(), Extent::Part(wanted));
    let pipeline = resolve(extent, folder, kinds, overrides, &mut faults)?;
    faults.is_empty().then(|| Pipeline {
        overrides: overrides.to_vec(),
        ..pipeline
    })
}

/// How much of the text is there.
#[derive(Clone, Copy)]
enum Extent<'a> {
    Whole,
    /// Others may read what nothing here reads.
    Part(&'a Wanted<'a>),
}

/// None once a fault leaves nothing to go on with.
fn resolve(
    (text, extent): (&str, Extent<'_>),
    folder: PathBuf,
    kinds: &'static [Kind],
    overrides: &[String],
    faults: &mut Faults,
) -> Option<Pipeline> {
    let written = written(text, overrides, faults)?;
    let mut names = Names::settle(&written.params, &written.axes, faults);
    let is_whole = matches!(extent, Extent::Whole);
    if let Extent::Part(wanted) = extent {
        names
            .axes
            .iter_mut()
            .for_each(|axis| axis.keep(wanted.value));
    }
    let frames = frame::all(&written, kinds, &mut names, faults)?;
    if let Some(fault) = frame::check_count(&written, &frames) {
        faults.push(fault);
        return None;
    }
    let facts = facts(&frames);
    if is_whole {
        unknown_defaults(&written, &frames, &facts, &mut names, faults);
    }
    let actions = actions(&written, &frames, &facts, &mut names, faults)?;
    let executions: Vec<Execution> = written
        .stages
        .iter()
        .zip(&frames)
        .map(|(stage, frame)| execution::settle(&stage.execution, frame.kind, &mut names, faults))
        .collect();
    let wiring = connect::connect(&written.stages, &frames, &mut names, faults)?;
    let order = order::order(&written.stages, &wiring.edges, faults);
    align::check(
        &written.stages,
        &frames,
        &actions,
        &wiring,
        &mut names,
        faults,
    );
    if is_whole {
        names.unread(faults);
    }
    if let Some(fault) = align::check_count(&written.stages, &frames, &wiring) {
        faults.push(fault);
    }
    if !faults.is_empty() {
        return None;
    }
    let actions: Vec<Actions> = actions.into_iter().collect::<Option<_>>()?;
    Some(assemble(
        &Resolved {
            written,
            frames,
            actions,
            wiring,
            names,
            order: order?,
        },
        executions,
        (text, folder),
        faults,
    ))
}

/// What stands in the text, with the values of `--set`.
fn written<'t>(text: &'t str, overrides: &'t [String], faults: &mut Faults) -> Option<Written<'t>> {
    if text.len() > limits::TEXT {
        faults.push(limits::too_large(text.len()));
        return None;
    }
    if let Some(fault) = limits::nesting(text) {
        faults.push(fault);
        return None;
    }
    let mut tree = document::parse(text, faults)?;
    overrides::apply(&mut tree, overrides, faults);
    let written = syntax::read(tree, faults);
    if written.stages.is_empty() && faults.is_empty() {
        faults.push(
            Diagnostic::new("the pipeline has no stages")
                .at(0..0)
                .help("add [stages.NAME] with a kind; `vgh kinds` lists them"),
        );
    }
    Some(written)
}

/// Everything but the instances themselves.
struct Resolved<'t> {
    written: Written<'t>,
    frames: Vec<Frame>,
    actions: Vec<Actions>,
    wiring: Wiring,
    names: Names<'t>,
    order: Vec<usize>,
}

/// Faults for defaults that no kind has.
fn unknown_defaults<'t>(
    written: &Written<'t>,
    frames: &[Frame],
    facts: &BTreeMap<&str, Facts>,
    names: &mut Names<'t>,
    faults: &mut Faults,
) {
    for entry in &written.defaults {
        let key = entry.key.get_ref();
        for found in placeholder::uses(&entry.value).0 {
            names.mark_read(&found.name);
        }
        let unknown_kinds = frames.iter().any(|frame| frame.kind.is_none());
        if unknown_kinds || facts.values().any(|facts| facts.known.contains(key)) {
            continue;
        }
        let known = || {
            facts
                .values()
                .flat_map(|facts| facts.known.iter().map(String::as_str))
        };
        let fault = Diagnostic::new(format!("no kind of this file has a parameter `{key}`"))
            .at(entry.key.span());
        faults.push(match nearest(key, known()) {
            Some(near) => fault.help(format!("did you mean `{near}`?")),
            None if syntax::RESERVED.contains(&key.as_str()) => {
                fault.help(format!("`{key}` is set at each stage"))
            }
            None => {
                let mut known: Vec<&str> = known().collect();
                known.sort_unstable();
                known.dedup();
                fault.help(format!("parameters: {}", listing(known)))
            }
        });
    }
}

/// What is known of the kinds that are there, by name.
fn facts(frames: &[Frame]) -> BTreeMap<&'static str, Facts> {
    let mut facts = BTreeMap::new();
    for kind in frames.iter().filter_map(|frame| frame.kind) {
        facts.entry(kind.name).or_insert_with(|| Facts::of(kind));
    }
    facts
}

/// The actions of every stage; none where the faults are too many.
fn actions<'t>(
    written: &Written<'t>,
    frames: &[Frame],
    facts: &BTreeMap<&str, Facts>,
    names: &mut Names<'t>,
    faults: &mut Faults,
) -> Option<Vec<Option<Actions>>> {
    let mut actions = Vec::with_capacity(frames.len());
    for (stage, frame) in written.stages.iter().zip(frames) {
        if faults.is_full() {
            return None;
        }
        let Some(facts) = frame.kind.and_then(|kind| facts.get(kind.name)) else {
            for entry in &stage.params {
                for found in placeholder::uses(&entry.value).0 {
                    names.mark_read(&found.name);
                }
            }
            actions.push(None);
            continue;
        };
        actions.push(params::settle(
            stage,
            frame,
            &written.defaults,
            facts,
            names,
            faults,
        ));
    }
    Some(actions)
}

fn assemble(
    resolved: &Resolved<'_>,
    executions: Vec<Execution>,
    (text, folder): (&str, PathBuf),
    faults: &mut Faults,
) -> Pipeline {
    let Resolved {
        written,
        frames,
        actions,
        wiring,
        names,
        order,
    } = resolved;
    let binder = Binder::new(&written.stages, frames, actions, wiring, names, order);
    let mut executions: Vec<Option<Execution>> = executions.into_iter().map(Some).collect();
    let stages = order
        .iter()
        .filter_map(|index| {
            let (stage, frame) = (&written.stages[*index], &frames[*index]);
            let start = binder.start(*index);
            Some(StageMeaning {
                name: stage.name.get_ref().clone(),
                kind: frame.kind?,
                outputs: frame.outputs.clone(),
                over: stage
                    .over
                    .iter()
                    .map(|axis| axis.get_ref().clone())
                    .collect(),
                execution: executions[*index].take().unwrap_or_default(),
                instances: start..start + frame.count(),
            })
        })
        .collect();
    let axes = names
        .axes
        .iter()
        .map(|axis| Axis {
            name: axis.name.get_ref().clone(),
            values: axis
                .written
                .iter()
                .map(|i| axis.values[*i].scalar.clone())
                .collect(),
        })
        .collect();
    Pipeline {
        name: written.name.clone(),
        text: text.to_owned(),
        shown: None,
        overrides: Vec::new(),
        folder,
        axes,
        stages,
        instances: binder.instances(faults),
        lock: Lock::default(),
    }
}
