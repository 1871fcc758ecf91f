//! How a run ends: the page for people, and the answer in five lines.
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::{
    artifact::{Artifact, ArtifactType, Body as Content, Coords, Document},
    cache::Cache,
    disk::write_beside,
    engine::{Done, Outcome, RunTotals},
    pipeline::{InstanceId, Pipeline, StageMeaning},
    progress::{duration, plural},
    report::{Body, Cost, Lineage, Phase, Surroundings, cost_sentence, page},
};

/// The page of a run that has a report.
pub(super) struct Report {
    pub(super) path: PathBuf,
    answer: Vec<String>,
}

/// Assembles `report.html` from the cached body and what belongs to this run
/// and machine alone; writes it when it differs from what lies there.
///
/// # Errors
/// When a body cannot be read or the page cannot be written.
pub(super) fn write_report(
    pipeline: &Pipeline,
    outcome: &Outcome,
    cache: &Cache,
    folder: &Path,
) -> Result<Option<Report>> {
    let Some((id, done, output)) = document(pipeline, outcome) else {
        return Ok(None);
    };
    let content = &done.outputs[output];
    let tree = cache
        .tree(&content.digest)
        .with_context(|| format!("read the body of `{}`", pipeline.label(id)))?;
    let files = tree
        .files
        .iter()
        .map(|(name, entry)| Ok((name.clone(), cache.verified(&entry.digest, entry.size)?)));
    let files: BTreeMap<String, PathBuf> = files.collect::<Result<_>>()?;
    let artifact = Artifact {
        coords: Coords::new(),
        digest: content.digest,
        body: Content::Tree(files),
    };
    let document: Document<Body> = Document::read(&artifact)?;
    let html = page(&document.body, &surroundings(pipeline, outcome));
    let path = folder.join("report.html");
    if fs::read(&path).ok().as_deref() != Some(html.as_bytes()) {
        write_beside(&path, html.as_bytes())?;
    }
    Ok(Some(Report {
        path,
        answer: document.body.answer,
    }))
}

/// The first instance with a document, its result and the output's name.
fn document<'a>(
    pipeline: &Pipeline,
    outcome: &'a Outcome,
) -> Option<(InstanceId, &'a Done, &'static str)> {
    outcome.results.iter().find_map(|(&id, done)| {
        let outputs = &pipeline.stage_of(id).outputs;
        let port = outputs
            .iter()
            .find(|port| port.artifact == ArtifactType::Document)?;
        Some((id, done, port.name))
    })
}

/// Nothing here says which stages this run executed: a page that changes with
/// every run could not be compared.
fn surroundings(pipeline: &Pipeline, outcome: &Outcome) -> Surroundings {
    let lineage = outcome.results.iter().map(|(&id, done)| Lineage {
        stage: pipeline.label(id),
        kind: pipeline.stage_of(id).kind.name.to_owned(),
        key: done.key.0.short(),
        outputs: done
            .outputs
            .iter()
            .map(|(name, content)| (name.clone(), content.digest.short()))
            .collect(),
    });
    let libraries = "candle 0.11, polars 0.55, tokenizers 0.23";
    let environment = [
        ("program", format!("vgh {}", env!("CARGO_PKG_VERSION"))),
        (
            "platform",
            format!("{} {}", std::env::consts::ARCH, std::env::consts::OS),
        ),
        ("libraries", libraries.to_owned()),
    ];
    Surroundings {
        pipeline: pipeline.name.clone(),
        toml: pipeline.text.clone(),
        environment: environment
            .map(|(name, value)| (name.to_owned(), value))
            .to_vec(),
        lineage: lineage.collect(),
        counts: vec![("instances".to_owned(), outcome.results.len() as u64)],
        cost: costs(&spent(pipeline, outcome)),
    }
}

/// What the instances of one kind took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Spent {
    pub(super) kind: String,
    phase: Phase,
    pub(super) count: usize,
    pub(super) ms: u64,
}

pub(super) fn spent(pipeline: &Pipeline, outcome: &Outcome) -> Vec<Spent> {
    let mut all: Vec<Spent> = Vec::new();
    for (&id, done) in &outcome.results {
        let stage = pipeline.stage_of(id);
        if let Some(spent) = all.iter_mut().find(|spent| spent.kind == stage.kind.name) {
            spent.count += 1;
            spent.ms += done.duration_ms;
        } else {
            all.push(Spent {
                kind: stage.kind.name.to_owned(),
                phase: phase(stage),
                count: 1,
                ms: done.duration_ms,
            });
        }
    }
    all
}

fn costs(spent: &[Spent]) -> Vec<Cost> {
    let cost = |spent: &Spent| Cost {
        kind: spent.kind.clone(),
        phase: spent.phase,
        count: spent.count,
        seconds: Some(spent.ms as f64 / 1000.0),
    };
    spent.iter().map(cost).collect()
}

/// What a kind is paid for, by what it takes and gives.
fn phase(stage: &StageMeaning) -> Phase {
    let gives = |artifact: ArtifactType| stage.outputs.iter().any(|port| port.artifact == artifact);
    // A table that was measured elsewhere cost nothing of it here.
    let imports = stage.kind.open.is_none() && stage.kind.ports.inputs.is_empty();
    let makes = [
        ArtifactType::Checkpoint,
        ArtifactType::Corpus,
        ArtifactType::Prompts,
    ];
    if makes.into_iter().any(gives) {
        Phase::Ladder
    } else if imports {
        Phase::Analysis
    } else if gives(ArtifactType::Table("rewards")) {
        Phase::Rl
    } else if ["signal", "headroom", "scores"]
        .into_iter()
        .any(|name| gives(ArtifactType::Table(name)))
    {
        Phase::Scores
    } else {
        Phase::Analysis
    }
}

/// The closing lines, but for the counts of one run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Answer {
    /// The answer, trust, cost.
    said: Vec<String>,
    /// Where to look; none where there is nothing.
    place: Option<String>,
}

impl Answer {
    /// `copies` is the folder of results, where some lie there.
    pub(super) fn of(spent: &[Spent], report: Option<&Report>, copies: Option<&Path>) -> Answer {
        let mut said: Vec<String> = report
            .map(|report| report.answer.clone())
            .unwrap_or_default();
        said.extend(cost_sentence(&costs(spent)));
        let place = match report {
            Some(report) => Some(format!("Report: {}", report.path.display())),
            None => copies.map(|folder| format!("Results: {}", folder.display())),
        };
        Answer { said, place }
    }

    /// With what the run did, told by [`counts`].
    pub(super) fn lines<'a>(&'a self, counts: &'a str) -> impl Iterator<Item = &'a str> {
        let said = self.said.iter().map(String::as_str);
        said.chain([counts]).chain(self.place.as_deref())
    }
}

/// What a run did; `slow_ms` is the time of the stages that it executed.
pub(super) fn counts(totals: &RunTotals, slow_ms: u64) -> String {
    let mut text = format!(
        "Run: {} executed, {} cached, {} failed",
        totals.executed, totals.cached, totals.failed
    );
    if totals.skipped > 0 {
        text.push_str(&format!(", {} not run", totals.skipped));
    }
    if totals.interrupted {
        text.push_str(", interrupted");
    }
    let wall = duration((totals.wall_s * 1000.0) as u64);
    if slow_ms > 0 {
        text.push_str(&format!(
            " in {wall} ({} of stage time in {})",
            duration(slow_ms),
            plural(totals.executed, "instance")
        ));
    } else {
        text.push_str(&format!(" in {wall}"));
    }
    text.push('.');
    text
}
