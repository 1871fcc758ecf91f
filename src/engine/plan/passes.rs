//! The updates that progressive passes will really do.
//!
//! Instances of one family run as one pass to the largest mark, from the
//! family's snapshot where that lies below the smallest one.
use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::json;

use crate::{
    digest::Digest,
    engine::{
        key::{Manifest, mark},
        plan::{Draft, Planned, Reason, State},
    },
    pipeline::InstanceId,
};

/// What one family of a progressive kind will really compute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pass {
    pub stage: String,
    /// The instance of the last mark.
    pub instance: String,
    /// The progressive parameter: `updates`, `steps`.
    pub param: &'static str,
    /// Where resume state lets it start; 0 also where that is not known yet.
    pub from: u64,
    pub to: u64,
    /// Values that are wanted, ascending.
    pub marks: Vec<u64>,
    /// False where all its instances are `maybe`.
    pub certain: bool,
    /// Every instance that may run, by mark, ascending.
    #[serde(skip)]
    pub(super) members: Vec<(u64, InstanceId)>,
}

/// Members by mark, and whether the family's key is known.
#[derive(Default)]
struct Family {
    run: Vec<(u64, InstanceId)>,
    maybe: Vec<(u64, InstanceId)>,
    forced: bool,
    digest: Option<Digest>,
}

pub(super) fn passes(draft: &Draft<'_>) -> Vec<Pass> {
    let mut families: BTreeMap<Digest, Family> = BTreeMap::new();
    for entry in draft.entries.iter().flatten() {
        let (id, kind) = (entry.id, draft.pipeline.stage_of(entry.id).kind);
        let Some(mark) = mark(kind, draft.pipeline.instance(id)) else {
            continue;
        };
        if entry.state == State::Cached {
            continue;
        }
        let known = draft.manifest(id).map(|manifest| manifest.family(kind));
        let family = families
            .entry(known.unwrap_or_else(|| supposed_family(draft, id)))
            .or_default();
        family.digest = known;
        family.add(entry, mark);
    }
    let mut passes: Vec<(InstanceId, Pass)> = families
        .values_mut()
        .filter_map(|family| family.passes(draft))
        .collect();
    passes.sort_by_key(|(last, _)| *last);
    passes.into_iter().map(|(_, pass)| pass).collect()
}

/// Before its inputs are known: the same parameters on the same producers.
fn supposed_family(draft: &Draft<'_>, id: InstanceId) -> Digest {
    let (instance, kind) = (
        draft.pipeline.instance(id),
        draft.pipeline.stage_of(id).kind,
    );
    let shape = Manifest::shape(kind, instance, draft.externals.of(id)).family(kind);
    let sources = instance.inputs.iter().flat_map(|input| &input.sources);
    let sources: Vec<(usize, &str)> = sources
        .map(|source| (source.instance.0, source.output.name))
        .collect();
    Digest::of_json(&json!({ "shape": shape, "sources": sources }))
}

impl Family {
    fn add(&mut self, entry: &Planned, mark: u64) {
        self.forced |= entry.state == State::Run(Reason::Forced);
        match entry.state {
            State::Run(_) => self.run.push((mark, entry.id)),
            _ => self.maybe.push((mark, entry.id)),
        }
    }

    /// What surely runs is one pass; `maybe` ones are another where nothing
    /// surely runs, and go along otherwise.
    fn passes(&mut self, draft: &Draft<'_>) -> Option<(InstanceId, Pass)> {
        let certain = !self.run.is_empty();
        let mut all = [self.run.as_slice(), self.maybe.as_slice()].concat();
        all.sort_unstable();
        let members = if certain {
            &mut self.run
        } else {
            &mut self.maybe
        };
        members.sort_unstable();
        let (&(first, _), &(to, last)) = (members.first()?, members.last()?);
        let kept = || {
            (draft.cache?.0.snapshot_mark(self.digest.as_ref()?))
                .ok()
                .flatten()
        };
        // A forced pass computes everything anew.
        let from = if self.forced { None } else { kept() };
        let mut marks: Vec<u64> = members.iter().map(|(mark, _)| *mark).collect();
        marks.dedup();
        let stage = draft.pipeline.stage_of(last);
        let pass = Pass {
            stage: stage.name.clone(),
            instance: draft.pipeline.label(last),
            param: stage.kind.progressive?,
            from: from.filter(|from| *from < first).unwrap_or(0),
            to,
            marks,
            certain,
            members: all,
        };
        Some((last, pass))
    }
}
