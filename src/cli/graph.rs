//! `vgh graph`: the pipeline as a picture, coloured by state.
#![expect(clippy::print_stdout, reason = "the command's output")]
use std::collections::{BTreeMap, BTreeSet};

use crate::{
    cache::Cache,
    cli::{
        args::{self, Picture},
        exit::{Exit, Failure},
        workplace::Workplace,
    },
    diagram::{Diagram, Edge, Node, State, dot, mermaid, svg},
    engine::{Plan, State as Planned, plan as make_plan},
    pipeline::{InstanceId, Pipeline},
    runs::Past,
};

pub(super) fn graph(args: &args::Graph) -> Result<Exit, Failure> {
    let place = Workplace::open(&args.place)?;
    let opened = place.existing_cache()?;
    let cache = opened.as_ref().map(|(cache, index)| (cache, index));
    let externals = place.externals(cache.map(|(cache, _)| cache))?;
    let plan = make_plan(&place.pipeline, &place.graph(), &externals, cache);
    let failed = match cache {
        Some((cache, _)) => failed(cache, &place.pipeline)?,
        None => BTreeSet::new(),
    };
    let diagram = diagram(&place.pipeline, &plan, &failed, args.instances);
    let draw = match args.format {
        Picture::Dot => dot,
        Picture::Mermaid => mermaid,
        Picture::Svg => svg,
    };
    print!("{}", draw(&diagram));
    Ok(Exit::Done)
}

/// Instances that failed in the last run of a pipeline of this name.
fn failed(cache: &Cache, pipeline: &Pipeline) -> anyhow::Result<BTreeSet<String>> {
    let runs = Past::all(cache)?;
    let last = runs.iter().rfind(|run| run.tally.pipeline == pipeline.name);
    let failures = last.into_iter().flat_map(|run| &run.tally.failures);
    Ok(failures
        .flat_map(|failure| failure.instances.iter().cloned())
        .collect())
}

fn diagram(
    pipeline: &Pipeline,
    plan: &Plan,
    failed: &BTreeSet<String>,
    instances: bool,
) -> Diagram {
    let mut nodes: Vec<Node> = Vec::new();
    // Instance to node; consecutive instances of a stage share one unless each is drawn.
    let mut of: BTreeMap<InstanceId, usize> = BTreeMap::new();
    let mut by_stage: BTreeMap<usize, usize> = BTreeMap::new();
    let mut edges: BTreeMap<(usize, usize), BTreeSet<&str>> = BTreeMap::new();
    for entry in &plan.entries {
        let stage = pipeline.stage_of(entry.id);
        let label = pipeline.label(entry.id);
        let state = match &entry.state {
            Planned::Cached => State::Cached,
            Planned::Run(_) if failed.contains(&label) => State::Failed,
            Planned::Run(_) => State::Run,
            Planned::Maybe(_) => State::Maybe,
        };
        let fresh = nodes.len();
        let node = if instances {
            fresh
        } else {
            *by_stage
                .entry(pipeline.instance(entry.id).stage)
                .or_insert(fresh)
        };
        if node == fresh {
            nodes.push(Node {
                name: if instances { label } else { stage.name.clone() },
                kind: stage.kind.name.to_owned(),
                counts: Vec::new(),
            });
        }
        count(&mut nodes[node], state);
        of.insert(entry.id, node);
        for input in &pipeline.instance(entry.id).inputs {
            for source in &input.sources {
                if let Some(from) = of.get(&source.instance) {
                    edges
                        .entry((*from, node))
                        .or_default()
                        .insert(input.port.name);
                }
            }
        }
    }
    let edge = |((from, to), ports): ((usize, usize), BTreeSet<&str>)| Edge {
        from,
        to,
        label: ports.into_iter().collect::<Vec<_>>().join(", "),
    };
    Diagram {
        title: pipeline.name.clone(),
        nodes,
        edges: edges.into_iter().map(edge).collect(),
    }
}

fn count(node: &mut Node, state: State) {
    if let Some((_, count)) = node.counts.iter_mut().find(|(known, _)| *known == state) {
        *count += 1;
        return;
    }
    node.counts.push((state, 1));
    node.counts.sort_unstable_by_key(|(state, _)| *state);
}
