//! From moving references to the lock file: asks the hub what they stand for,
//! and says where that cannot be told.
#![expect(clippy::print_stderr, reason = "says that a lock was written")]
use std::{collections::BTreeMap, fs, path::Path};

use anyhow::Context as _;

use crate::{
    cli::{exit::Failure, workplace::Workplace},
    diagnostic::{Diagnostic, nearest},
    disk,
    engine::Graph,
    hub::{Fault, Hooks, Hub, Ref, Settings},
    pipeline::{InstanceId, Lock, ParamPlace, Pipeline},
    progress::plural,
    stage::{Listed, Pinned, Reference},
};

/// So many of a list are named.
const NAMED_MAX: usize = 5;

/// A reference and the first instance that names it.
type Named = (InstanceId, Reference);

/// Whether the network may be used, and the lock written.
#[derive(Debug, Clone, Copy)]
pub(super) struct May {
    pub(super) ask: bool,
    pub(super) write: bool,
}

/// Resolves what a run needs and the lock does not have yet; adds it to the lock.
/// Whether there was any.
pub(super) fn settle(place: &mut Workplace, graph: &Graph, may: May) -> Result<bool, Failure> {
    let wanted = references(&place.pipeline, graph.needed());
    let missing = |(_, reference): &Named| place.pipeline.lock.entry(reference).is_none();
    let missing: Vec<Named> = wanted.into_iter().filter(missing).collect();
    if missing.is_empty() {
        return Ok(false);
    }
    let path = place.lock_path.clone();
    if !may.ask || !may.write {
        let why = if may.write {
            "--offline asks nobody: run once with a network"
        } else {
            "--locked adds nothing to the lock: run once without it"
        };
        let told = missing.iter().map(|(id, reference)| {
            let fault = Diagnostic::new(format!(
                "`{}` of {} is not in {}",
                reference.revision,
                reference.repo,
                path.display()
            ));
            (at(&place.pipeline, *id, reference), fault.help(why))
        });
        return Err(place.pipeline.faults_at(told).into());
    }
    let mut lock = place.pipeline.lock.clone();
    for (reference, pinned) in resolve(&place.pipeline, &missing)? {
        lock.pin(&reference, pinned);
    }
    write(&path, &lock)?;
    eprintln!(
        "{} resolved: {} written",
        plural(missing.len(), "reference"),
        path.display()
    );
    place.pipeline.lock = lock;
    Ok(true)
}

/// Each reference once, in the order of the instances.
pub(super) fn references(pipeline: &Pipeline, ids: impl Iterator<Item = InstanceId>) -> Vec<Named> {
    let mut seen = std::collections::BTreeSet::new();
    let mut found = Vec::new();
    for id in ids {
        for reference in pipeline.instance(id).action.references() {
            if seen.insert((reference.repo.clone(), reference.revision.clone())) {
                found.push((id, reference));
            }
        }
    }
    found
}

/// Writes the lock in one step.
pub(super) fn write(path: &Path, lock: &Lock) -> Result<(), Failure> {
    Ok(disk::write_lasting(path, lock.text().as_bytes())?)
}

/// What references stand for now, with all files of each commit.
pub(super) fn resolve(
    pipeline: &Pipeline,
    wanted: &[Named],
) -> Result<Vec<(Reference, Pinned)>, Failure> {
    let hub = Hub::new(Settings::from_env()?);
    let mut refs: BTreeMap<&str, Vec<Ref>> = BTreeMap::new();
    let mut resolved = Vec::new();
    let mut faults = Vec::new();
    for (id, reference) in wanted {
        let place = || at(pipeline, *id, reference);
        let known = match refs.get(reference.repo.as_str()) {
            Some(known) => known,
            None => match hub.refs(&reference.repo, &Hooks::SILENT) {
                Ok(known) => refs.entry(&reference.repo).or_insert(known),
                Err(error) => {
                    // One repository that is not there is one fault, not twenty.
                    faults.push((place(), told(&error)?));
                    break;
                }
            },
        };
        match pin(&hub, reference, known) {
            Ok(pinned) => resolved.push((reference.clone(), pinned)),
            Err(Trouble::Told(fault)) => faults.push((place(), *fault)),
            Err(Trouble::Error(error)) => faults.push((place(), told(&error)?)),
        }
    }
    if faults.is_empty() {
        Ok(resolved)
    } else {
        Err(pipeline.faults_at(faults).into())
    }
}

enum Trouble {
    Told(Box<Diagnostic>),
    Error(anyhow::Error),
}

impl From<anyhow::Error> for Trouble {
    fn from(error: anyhow::Error) -> Trouble {
        Trouble::Error(error)
    }
}

fn pin(hub: &Hub, reference: &Reference, known: &[Ref]) -> Result<Pinned, Trouble> {
    let revision = &reference.revision;
    let (name, commit) = if let Some(found) = choose(revision, known)? {
        (found.name.clone(), found.commit.clone())
    } else {
        let commit = hub.commit(&reference.repo, revision, &Hooks::SILENT)?;
        (revision.clone(), commit)
    };
    let listed = hub.listing(&reference.repo, &commit, &Hooks::SILENT)?;
    let file = |file: crate::hub::RemoteFile| {
        let (size, id) = (file.size, file.id);
        (file.path, Listed { size, id })
    };
    let pinned = Pinned {
        repo: reference.repo.clone(),
        name,
        commit,
        files: listed.into_iter().map(file).collect(),
    };
    match unusable(&pinned, reference) {
        None => Ok(pinned),
        Some(fault) => Err(Trouble::Told(Box::new(fault))),
    }
}

/// The branch or tag that a revision names; none if it must be a commit.
fn choose<'k>(revision: &str, known: &'k [Ref]) -> Result<Option<&'k Ref>, Trouble> {
    if !revision.contains(['*', '?', '[']) {
        return Ok(known.iter().find(|found| found.name == revision));
    }
    let pattern = glob::Pattern::new(revision).map_err(anyhow::Error::from)?;
    let matching: Vec<&Ref> = known
        .iter()
        .filter(|found| pattern.matches(&found.name))
        .collect();
    match matching.as_slice() {
        [one] => Ok(Some(*one)),
        [] => Err(Trouble::Told(Box::new(none_matches(revision, known)))),
        several => {
            let names = listed(several.iter().map(|found| found.name.as_str()));
            let fault = Diagnostic::new(format!(
                "`{revision}` matches {} branches and tags",
                several.len()
            ));
            Err(Trouble::Told(Box::new(
                fault
                    .label(names)
                    .help("write enough of the name to mean one"),
            )))
        }
    }
}

/// Names the neighbours of a step that has no checkpoint, else what is alike.
fn none_matches(revision: &str, known: &[Ref]) -> Diagnostic {
    let fault = Diagnostic::new(format!("no branch or tag matches `{revision}`"));
    let wanted = step_of(revision);
    let alike = |(before, _): &(&str, u64)| wanted.is_some_and(|wanted| wanted.0 == *before);
    let mut steps: Vec<(u64, &str)> = known
        .iter()
        .filter_map(|found| {
            let (_, step) = step_of(&found.name).filter(alike)?;
            Some((step, found.name.as_str()))
        })
        .collect();
    steps.sort_unstable();
    if let Some((_, wanted)) = wanted.filter(|_| !steps.is_empty()) {
        let after = steps.partition_point(|(step, _)| *step < wanted);
        let around = &steps[after.saturating_sub(1)..(after + 1).min(steps.len())];
        let names = listed(around.iter().map(|(_, name)| *name));
        return fault
            .label("no checkpoint of this step")
            .help(format!("around it: {names}"));
    }
    let names = known.iter().map(|found| found.name.as_str());
    match nearest(revision.trim_matches('*'), names.clone()) {
        Some(near) => fault.help(format!("did you mean `{near}`?")),
        None => fault.help(format!("there are: {}", listed(names))),
    }
}

/// What stands before `step` in a name, and the number behind it.
fn step_of(name: &str) -> Option<(&str, u64)> {
    let (before, rest) = name.split_once("step")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some((before, digits.parse().ok()?))
}

/// Why the files of a commit are of no use, if they are.
fn unusable(pinned: &Pinned, reference: &Reference) -> Option<Diagnostic> {
    let ends =
        |pinned: &Pinned, ending: &str| pinned.files.keys().any(|path| path.ends_with(ending));
    let wanted = pinned.only(&reference.files);
    if ends(&wanted, ".safetensors") {
        return None;
    }
    let at = format!("{} at `{}`", pinned.repo, pinned.name);
    let pickles = [".bin", ".pt", ".pth", ".ckpt"];
    if !ends(pinned, ".safetensors") && pickles.iter().any(|ending| ends(pinned, ending)) {
        return Some(
            Diagnostic::new(format!("{at} has only pickle files"))
                .label("no `*.safetensors`")
                .help(
                    "loading a pickle can run anybody's code, so only safetensors are read: look \
                     for a converted revision, or convert it yourself and use `local-checkpoint`",
                ),
        );
    }
    let patterns = reference.files.join(", ");
    let fault = Diagnostic::new(format!("no safetensors file of {at} is among `files`"));
    Some(fault.help(format!(
        "the patterns are {patterns}; there are {}",
        listed(pinned.files.keys().map(String::as_str))
    )))
}

fn listed<'n>(names: impl Iterator<Item = &'n str> + Clone) -> String {
    let count = names.clone().count();
    let shown: Vec<String> = names
        .take(NAMED_MAX)
        .map(|name| format!("`{name}`"))
        .collect();
    match count.saturating_sub(NAMED_MAX) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// The hub's own word as a fault of the text; other errors as they are.
fn told(error: &anyhow::Error) -> Result<Diagnostic, Failure> {
    match error.downcast_ref::<Fault>() {
        Some(fault) => Ok(Diagnostic::new(fault.to_string())),
        None => Err(Failure::Effect(anyhow::anyhow!("{error:#}"))),
    }
}

fn at<'p>(pipeline: &'p Pipeline, id: InstanceId, reference: &Reference) -> ParamPlace<'p> {
    ParamPlace {
        stage: &pipeline.stage_of(id).name,
        param: reference.param,
    }
}

/// The lock of a pipeline file and its text; an empty one where there is none.
pub(super) fn read(path: &Path) -> Result<(Lock, String), Failure> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => {
            let error = anyhow::Error::from(error).context(format!("read {}", path.display()));
            return Err(Failure::Effect(error));
        }
    };
    let lock = Lock::parse(&text).with_context(|| path.display().to_string());
    let lock = lock.map_err(|error| Failure::Usage(format!("{error:#}")))?;
    Ok((lock, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Vec<Ref> {
        let names = [
            "main",
            "stage1-step100-tokens1B",
            "stage1-step200-tokens2B",
            "stage2-step100-tokens9B",
        ];
        let found = |name: &str| Ref {
            name: name.to_owned(),
            commit: "0".repeat(40),
        };
        names.map(found).into()
    }

    fn fault(revision: &str) -> String {
        match choose(revision, &known()) {
            Err(Trouble::Told(fault)) => format!("{} / {:?}", fault.message, fault.remarks),
            _ => panic!("{revision} is resolved"),
        }
    }

    #[test]
    fn exactly_one_branch_or_tag_must_match() {
        let known = known();
        let chosen = |revision: &str| {
            choose(revision, &known)
                .ok()
                .flatten()
                .map(|f| f.name.as_str())
        };
        assert_eq!(chosen("stage1-step100-*"), Some("stage1-step100-tokens1B"));
        assert_eq!(chosen("main"), Some("main"));
        assert_eq!(chosen("0123abc"), None);
        assert!(fault("*step100*").starts_with("`*step100*` matches 2 branches and tags"));
        assert!(fault("stage1-step150-*").contains("stage1-step100-tokens1B"));
        assert!(fault("stage1-step150-*").contains("stage1-step200-tokens2B"));
        assert!(fault("mian*").contains("did you mean `main`?"));
    }
}
