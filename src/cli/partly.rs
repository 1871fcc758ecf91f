//! A run of which only a part needs a look: files outside moved, and nothing
//! else of what the last run rested on. The part is read, planned and executed
//! as any run; of the rest is told what the proof says. Decides only whether
//! that is worth it and possible: otherwise the long way is taken.
use std::{
    collections::{BTreeSet, HashMap},
    time::SystemTime,
};

use crate::{
    artifact::Scalar,
    cache::{Cache, Proof, RecordIndex, StatIndex},
    cli::{
        args,
        details::Details,
        exit::{Exit, Failure},
        ledger::Ledger,
        note::{Note, read_places},
        rest::{Inside, Rest},
        run::{Scene, finish, perform, results_folder, run_id, watchers},
        unchanged::Call,
        workplace::Written,
    },
    engine::{Externals, Graph, plan},
    pipeline::{InstanceId, Pipeline, Wanted, load_part},
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
    (cache, proof, removals): (&Cache, &Proof, Option<SystemTime>),
    note: &Note<'_>,
) -> Result<Option<Exit>, Failure> {
    let Some((left, lines)) = (!note.head.report).then(|| proof.left()).flatten() else {
        return Ok(None);
    };
    let Some(details) = Details::read(left.details(), lines) else {
        return Ok(None);
    };
    let folder = results_folder(args).join(&note.head.pipeline);
    let copies = (details.all_files()..proof.files()).map(|place| proof.file(place));
    if Ledger::has_grown(&folder, copies) {
        return Ok(None);
    }
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
        stamp: left.stamp(),
        proof,
        removals,
        text: &written.source.text,
        inside,
    };
    let plan = plan(&pipeline, &graph, &externals, Some((cache, &index)));
    if !rest.stands(&plan) {
        return Ok(None);
    }
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
    Ok(Some(finish(args, &mut watchers, &totals, &answer)))
}

/// All that the part of a run is made from.
struct Part {
    pipeline: Pipeline,
    graph: Graph,
    externals: Externals,
    stat: StatIndex,
    index: RecordIndex,
    /// The instances that are in it, in order.
    inside: Vec<Inside>,
}

impl Part {
    fn prepare(
        args: &args::Run,
        written: &Written,
        (cache, proof): (&Cache, &Proof),
        (note, details): (&Note<'_>, &Details<'_>),
    ) -> Option<Part> {
        if details.len() != note.instances.len() || details.all_files() > proof.files() {
            return None;
        }
        let moved = proof.moved().iter().map(|place| proof.readers(*place));
        let readers: Vec<usize> = moved.map(read_places).collect::<Option<Vec<_>>>()?.concat();
        let affected = affected(&readers, details)?;
        let needed = needed(&affected, details)?;
        let names: Vec<(&str, &str)> = needed.iter().map(|i| note.instances[*i]).collect();
        let stages: BTreeSet<&str> = names.iter().map(|(stage, _)| *stage).collect();
        let places: BTreeSet<&str> = names.iter().flat_map(|(_, label)| places(label)).collect();
        let (text, folder) = (&written.source.text, written.folder.clone());
        let wanted = Wanted {
            stage: &|name| stages.contains(name),
            value: &|axis, value| places.contains(place(axis, value).as_str()),
        };
        let mut pipeline = load_part(text, folder, KINDS, &args.place.set, &wanted)?;
        pipeline.lock = written.lock.clone();
        let ids: HashMap<String, InstanceId> = (pipeline.ids())
            .map(|id| (pipeline.label(id), id))
            .collect();
        let inside = |(place, (_, label)): (&usize, &(&str, &str))| {
            Some(Inside {
                place: *place,
                id: *ids.get(*label)?,
                affected: affected[*place],
            })
        };
        let inside: Vec<Inside> = needed
            .iter()
            .zip(&names)
            .map(inside)
            .collect::<Option<_>>()?;
        let asked = |inside: &&Inside| details.is_target(inside.place);
        let targets: Vec<InstanceId> = inside
            .iter()
            .filter(asked)
            .map(|inside| inside.id)
            .collect();
        let graph = Graph::build(&pipeline, Some(&targets));
        let is_needed = |inside: &Inside| graph.is_needed(inside.id);
        if !inside.iter().all(is_needed) || inside.len() != graph.needed().count() {
            return None;
        }
        let mut stat = StatIndex::load(cache);
        let externals = Externals::digest_of(&pipeline, graph.needed(), &mut stat).ok()?;
        let unresolved = |id| !externals.of(id).unresolved.is_empty();
        if graph.needed().any(unresolved) {
            return None;
        }
        stat.save().ok()?;
        Some(Part {
            index: RecordIndex::glance(cache),
            pipeline,
            graph,
            externals,
            stat,
            inside,
        })
    }
}

/// The instances whose results may change with these, which stand after all
/// that they read; none if they are too many.
fn affected(readers: &[usize], details: &Details<'_>) -> Option<Vec<bool>> {
    let mut affected = vec![false; details.len()];
    for reader in readers {
        *affected.get_mut(*reader)? = true;
    }
    for i in 0..details.len() {
        let mut producers = details.producers(i).iter();
        affected[i] |= producers.any(|producer| affected[..i].get(*producer) == Some(&true));
    }
    let count = affected.iter().filter(|affected| **affected).count();
    (count <= most(details.len())).then_some(affected)
}

/// These, and all that they read.
fn needed(affected: &[bool], details: &Details<'_>) -> Option<Vec<usize>> {
    let mut needed = affected.to_owned();
    for i in (0..details.len()).rev() {
        if needed[i] {
            for producer in details.producers(i) {
                *needed[..i].get_mut(*producer)? = true;
            }
        }
    }
    Some((0..needed.len()).filter(|i| needed[*i]).collect())
}

/// The coordinates in the label of an instance.
fn places(label: &str) -> impl Iterator<Item = &str> {
    let coords = label.split_once('@').map(|(_, coords)| coords.split(','));
    coords.into_iter().flatten()
}

/// One coordinate as labels have it.
fn place(axis: &str, value: &Scalar) -> String {
    format!("{axis}={value}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::details::tests::written;

    fn chosen(chosen: Option<Vec<bool>>) -> Option<Vec<usize>> {
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
        let (text, lines) = written(&producers);
        let details = Details::read(&text, lines).unwrap();
        assert_eq!(chosen(affected(&[0], &details)), Some(vec![0, 1, 2, 5]));
        assert_eq!(chosen(affected(&[4, 4], &details)), Some(vec![4, 5]));
        assert_eq!(chosen(affected(&[5], &details)), Some(vec![5]));
        assert_eq!(chosen(affected(&[], &details)), Some(vec![]));
        // More than a quarter, and one that is not there.
        assert_eq!(affected(&[0, 3], &details), None);
        assert_eq!(affected(&[20], &details), None);
        let behind = affected(&[4], &details).unwrap();
        assert_eq!(needed(&behind, &details), Some(vec![0, 1, 2, 3, 4, 5]));
        let alone = affected(&[7], &details).unwrap();
        assert_eq!(needed(&alone, &details), Some(vec![7]));
    }

    #[test]
    fn what_reads_itself_or_a_later_one_is_garbage() {
        let mut producers: Vec<&[usize]> = vec![&[], &[9]];
        producers.resize(8, &[]);
        let (text, lines) = written(&producers);
        let details = Details::read(&text, lines).unwrap();
        let chosen = affected(&[1], &details).unwrap();
        assert_eq!(needed(&chosen, &details), None);
    }

    #[test]
    fn coordinates_are_found_in_labels() {
        let found: Vec<&str> = places("grpo@lr=1e-4,step=25").collect();
        assert_eq!(found, ["lr=1e-4", "step=25"]);
        assert_eq!(places("corpus").count(), 0);
        assert_eq!(place("step", &Scalar::Int(25)), "step=25");
    }
}
