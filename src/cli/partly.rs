//! A run of which only a part needs a look: files outside moved, and nothing
//! else of what the last run rested on. The part is read, planned and executed
//! as any run; of the rest is told what the proof says. Decides only whether
//! that is worth it and possible: otherwise the long way is taken.
use std::collections::{BTreeSet, HashMap};

use crate::{
    cache::{Cache, Proof, RecordIndex, StatIndex},
    cli::{
        args,
        exit::{Exit, Failure},
        note::{Detail, Note, read_places},
        rest::Rest,
        run::{Scene, finish, perform, run_id, watchers},
        unchanged::Call,
        workplace::Written,
    },
    engine::{Externals, Graph, plan},
    pipeline::{InstanceId, Pipeline, load_stages},
    stages::KINDS,
};

/// Of so many instances, how many may be looked at as a part.
pub(super) fn most(instances: usize) -> usize {
    instances / 4
}

/// Runs the part that the files that moved may have changed; none where the
/// long way must be taken.
///
/// # Errors
/// Those of a run.
pub(super) fn run(
    (args, call): (&args::Run, &Call),
    written: &Written,
    (cache, proof): (&Cache, &Proof),
    note: &Note<'_>,
) -> Result<Option<Exit>, Failure> {
    let Some(text) = (!note.head.report).then(|| proof.details()).flatten() else {
        return Ok(None);
    };
    let Some(details) = Detail::read_all(&text) else {
        return Ok(None);
    };
    let Some(part) = Part::prepare(args, written, (cache, proof), (note, &details)) else {
        return Ok(None);
    };
    let Part {
        pipeline,
        graph,
        externals,
        stat,
        mut index,
        inside,
    } = part;
    let rest = Rest {
        note,
        details: &details,
        written: &text,
        proof,
        text: &written.source.text,
        inside,
    };
    let mut plan = plan(&pipeline, &graph, &externals, Some((cache, &index)));
    plan.beside = rest.keys().collect();
    let run_id = run_id();
    let mut watchers = watchers(args, cache, &run_id)?;
    let scene = Scene {
        pipeline: &pipeline,
        graph: &graph,
        externals: &externals,
        stat: &stat,
        plan: &plan,
        rest: Some(&rest),
    };
    let (totals, answer) = perform(
        (args, Some(call)),
        &scene,
        (cache, &mut index),
        &run_id,
        &mut |event, at| {
            for watcher in &mut watchers {
                watcher.see(event, at);
            }
        },
    )?;
    let exit = finish(args, &mut watchers, &totals, &answer);
    // The process ends here: thousands of small frees would serve nobody.
    std::mem::forget((pipeline, graph, index, plan));
    Ok(Some(exit))
}

/// All that the part of a run is made from.
struct Part {
    pipeline: Pipeline,
    graph: Graph,
    externals: Externals,
    stat: StatIndex,
    index: RecordIndex,
    /// For each instance of the note where it stands in the part.
    inside: Vec<Option<InstanceId>>,
}

impl Part {
    fn prepare(
        args: &args::Run,
        written: &Written,
        (cache, proof): (&Cache, &Proof),
        (note, details): (&Note<'_>, &[Detail<'_>]),
    ) -> Option<Part> {
        if details.len() != note.instances.len() || files(details)? > proof.files() {
            return None;
        }
        let moved = proof.moved().iter().map(|place| proof.readers(*place));
        let readers: Vec<usize> = moved.map(read_places).collect::<Option<Vec<_>>>()?.concat();
        let affected = affected(&readers, details)?;
        let needed = needed(&affected, details)?;
        let named = note.instances.iter().zip(&needed);
        let stages: BTreeSet<&str> = named
            .filter(|(_, needed)| **needed)
            .map(|((stage, _), _)| *stage)
            .collect();
        let (text, folder) = (&written.source.text, written.folder.clone());
        let keep = |name: &str| stages.contains(name);
        let mut pipeline = load_stages(text, folder, KINDS, &args.place.set, &keep)?;
        pipeline.lock = written.lock.clone();
        let ids = ids(&pipeline, note, details);
        let wanted = affected.iter().zip(details);
        let targets: Vec<InstanceId> = (wanted.zip(&ids))
            .filter(|((affected, detail), _)| **affected && detail.target)
            .map(|(_, id)| *id)
            .collect::<Option<_>>()?;
        let graph = Graph::build(&pipeline, Some(&targets));
        let takes_part = |id: Option<InstanceId>| id.filter(|id| graph.is_needed(*id));
        let inside: Vec<Option<InstanceId>> = ids.into_iter().map(takes_part).collect();
        let same = inside.iter().zip(&needed);
        if !same.clone().all(|(id, needed)| id.is_some() == *needed)
            || inside.iter().flatten().count() != graph.needed().count()
        {
            return None;
        }
        let mut stat = StatIndex::load(cache);
        let externals = Externals::digest_of(&pipeline, graph.needed(), &mut stat).ok()?;
        stat.save().ok()?;
        Some(Part {
            index: RecordIndex::load(cache).ok()?,
            pipeline,
            graph,
            externals,
            stat,
            inside,
        })
    }
}

/// How many files of a proof belong to instances.
fn files(details: &[Detail<'_>]) -> Option<usize> {
    let files = details.iter().map(|detail| detail.files);
    files.into_iter().try_fold(0, usize::checked_add)
}

/// The instances whose results may change with these, which stand after all
/// that they read; none if they are too many.
fn affected(readers: &[usize], details: &[Detail<'_>]) -> Option<Vec<bool>> {
    let mut affected = vec![false; details.len()];
    for reader in readers {
        *affected.get_mut(*reader)? = true;
    }
    for (i, detail) in details.iter().enumerate() {
        let mut producers = detail.producers.iter();
        affected[i] |= producers.any(|producer| affected[..i].get(*producer) == Some(&true));
    }
    let count = affected.iter().filter(|affected| **affected).count();
    (count <= most(details.len())).then_some(affected)
}

/// These, and all that they read.
fn needed(affected: &[bool], details: &[Detail<'_>]) -> Option<Vec<bool>> {
    let mut needed = affected.to_owned();
    for (i, detail) in details.iter().enumerate().rev() {
        if needed[i] {
            for producer in &detail.producers {
                *needed[..i].get_mut(*producer)? = true;
            }
        }
    }
    Some(needed)
}

/// Where the instances of a note stand in a pipeline that has some of the stages.
fn ids(pipeline: &Pipeline, note: &Note<'_>, details: &[Detail<'_>]) -> Vec<Option<InstanceId>> {
    let stages = pipeline.stages.iter();
    let stages: HashMap<&str, _> = stages
        .map(|stage| (stage.name.as_str(), &stage.instances))
        .collect();
    let id = |((stage, _), detail): (&(&str, &str), &Detail<'_>)| {
        let instances = *stages.get(stage)?;
        let place = instances.start.checked_add(detail.position)?;
        instances.contains(&place).then_some(InstanceId(place))
    };
    note.instances.iter().zip(details).map(id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Instances that read these.
    fn details(producers: &[&[usize]]) -> Vec<Detail<'static>> {
        let detail = |producers: &&[usize]| Detail {
            target: true,
            position: 0,
            files: 1,
            producers: producers.to_vec(),
            line: "",
        };
        producers.iter().map(detail).collect()
    }

    fn places(chosen: Option<Vec<bool>>) -> Option<Vec<usize>> {
        let places = |chosen: Vec<bool>| {
            let chosen = chosen.into_iter().enumerate();
            chosen.filter(|(_, is)| *is).map(|(i, _)| i).collect()
        };
        chosen.map(places)
    }

    #[test]
    fn what_reads_a_moved_file_and_all_behind_it_may_change() {
        // 0 -> 1 -> 2, 3 -> 4, 2 and 4 -> 5, and others.
        let mut producers: Vec<&[usize]> = vec![&[], &[0], &[1], &[], &[3], &[2, 4]];
        producers.resize(20, &[]);
        let details = details(&producers);
        assert_eq!(places(affected(&[0], &details)), Some(vec![0, 1, 2, 5]));
        assert_eq!(places(affected(&[4, 4], &details)), Some(vec![4, 5]));
        assert_eq!(places(affected(&[5], &details)), Some(vec![5]));
        assert_eq!(places(affected(&[], &details)), Some(vec![]));
        // More than a quarter, and one that is not there.
        assert_eq!(affected(&[0, 3], &details), None);
        assert_eq!(affected(&[20], &details), None);
        let chosen = affected(&[4], &details).unwrap();
        assert_eq!(
            places(needed(&chosen, &details)),
            Some(vec![0, 1, 2, 3, 4, 5])
        );
        let chosen = affected(&[7], &details).unwrap();
        assert_eq!(places(needed(&chosen, &details)), Some(vec![7]));
    }

    #[test]
    fn what_reads_itself_or_a_later_one_is_garbage() {
        let mut producers: Vec<&[usize]> = vec![&[], &[9]];
        producers.resize(8, &[]);
        let details = details(&producers);
        let chosen = affected(&[1], &details).unwrap();
        assert_eq!(needed(&chosen, &details), None);
    }
}
