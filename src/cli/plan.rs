//! `vgh plan`: what a run would execute, and why, and what it will take.
//!
//! `--json` prints one object: `pipeline`; `cached`, `run`, `maybe` (counts);
//! `cost` with `run` (what surely runs) and `at_most` (with every `maybe`),
//! see [`Cost`], and `download_bytes`, `downloads`, `unresolved` and
//! `peak_disk_bytes`, see [`DiskCost`]; `passes`, see [`Pass`]; and `instances`, producers first, each
//! with `stage`, `instance`, `state` (`cached`, `run`, `maybe`) and `reason`
//! (absent where cached), `key` (null until it is known), `because_of`
//! (producers that it waits for; for `bytes-missing` the consumers that want
//! the bytes), `compared` and `differences` (see [`Difference`]; empty where
//! cached), `estimate_ms`, `output_bytes` and `basis` (what the estimates are
//! taken from). Times in milliseconds, sizes in bytes; null is unknown.
#![expect(clippy::print_stdout, reason = "the command's output")]
use serde_json::{Value, json};

#[cfg(doc)]
use crate::engine::{Cost, DiskCost, explain::Difference};
use crate::{
    cli::{
        args, cost,
        exit::{Exit, Failure},
        explanation::{Detail, because, difference, distinct, listing},
        workplace::Workplace,
    },
    engine::{
        Pass, Plan, Planned, Reason, State,
        explain::{Explainer, Study},
        plan_forcing,
    },
    pipeline::{InstanceId, Pipeline},
    progress::plural,
};

/// Of a stage, so many different reasons are told.
const REASONS_MAX: usize = 4;

pub(super) fn plan(args: &args::Plan) -> Result<Exit, Failure> {
    let mut place = Workplace::open(&args.place)?;
    let forced = place.forced(&args.force.force)?;
    let opened = place.existing_cache()?;
    let cache = opened.as_ref().map(|(cache, index)| (cache, index));
    let externals = place.externals(cache.map(|(cache, _)| cache))?;
    let graph = place.graph();
    let plan = plan_forcing(&place.pipeline, &graph, &externals, cache, &forced);
    let mut told = Told {
        pipeline: &place.pipeline,
        plan: &plan,
        explainer: Explainer::new((&place.pipeline, &externals), &plan, cache),
    };
    let disk = plan.disk((&place.pipeline, &graph, &externals));
    if args.json {
        let (run, at_most) = cost::costs(&plan, &place.pipeline, &graph);
        let mut cost = json!(disk);
        cost["run"] = json!(run);
        cost["at_most"] = json!(at_most);
        println!("{}", told.json(&cost));
        return Ok(Exit::Done);
    }
    let mut text = if args.all {
        told.every_instance()
    } else {
        told.by_stage()
    };
    text.push_str(&passes(&plan.passes));
    let (cached, run, maybe) = plan.counts();
    let total = plural(plan.entries.len(), "instance");
    text.push_str(&format!(
        "{}: {total}: {run} to run, {maybe} maybe, {cached} cached\n",
        place.pipeline.name
    ));
    for line in cost::lines(&plan, &place.pipeline, &graph, &disk) {
        text.push_str(&format!("{line}\n"));
    }
    print!("{text}");
    Ok(Exit::Done)
}

struct Told<'a> {
    pipeline: &'a Pipeline,
    plan: &'a Plan,
    explainer: Explainer<'a>,
}

impl Told<'_> {
    fn json(&mut self, cost: &Value) -> Value {
        let entries = self.plan.entries.iter();
        let instances: Vec<Value> = entries
            .map(|entry| {
                let study = (entry.record.is_none()).then(|| self.explainer.study(entry.id, None));
                let (compared, differences) = study.map_or((None, Vec::new()), |study| {
                    (study.compared, study.differences)
                });
                let mut told = json!({
                    "stage": self.pipeline.stage_of(entry.id).name,
                    "instance": self.pipeline.label(entry.id),
                    "key": entry.key,
                    "because_of": self.labels(&entry.because_of),
                    "compared": compared,
                    "differences": differences,
                    "estimate_ms": entry.estimate_ms,
                    "output_bytes": entry.output_bytes,
                    "basis": entry.basis,
                });
                // `state` and, where there is one, `reason`.
                if let (Value::Object(told), Value::Object(state)) = (&mut told, json!(entry.state))
                {
                    told.extend(state);
                }
                told
            })
            .collect();
        let (cached, run, maybe) = self.plan.counts();
        json!({
            "pipeline": self.pipeline.name, "cached": cached, "run": run, "maybe": maybe,
            "cost": cost, "passes": self.plan.passes, "instances": instances,
        })
    }

    fn labels(&self, ids: &[InstanceId]) -> Vec<String> {
        ids.iter().map(|id| self.pipeline.label(*id)).collect()
    }

    /// Each instance that may run on a line; what is cached is counted below.
    fn every_instance(&mut self) -> String {
        let entries = self.plan.entries.iter();
        let lines = entries.map(|entry| {
            let state = match entry.state {
                State::Cached => "cached",
                State::Run(_) => "run   ",
                State::Maybe(_) => "maybe ",
            };
            let reason = self.reason(entry, Detail::Full);
            let label = self.pipeline.label(entry.id);
            format!("{state}  {label}  {reason}").trim_end().to_owned() + "\n"
        });
        lines.collect()
    }

    /// One line for each stage and reason.
    fn by_stage(&mut self) -> String {
        let stages = self.pipeline.stages.iter();
        let width = stages.map(|stage| stage.name.len()).max().unwrap_or(0);
        let mut out = String::new();
        for stage in &self.pipeline.stages {
            let entries =
                (self.plan.entries.iter()).filter(|entry| stage.instances.contains(&entry.id.0));
            let mut groups: Vec<((&'static str, String), usize)> = Vec::new();
            for entry in entries {
                let state = match entry.state {
                    State::Cached => "cached",
                    State::Run(_) => "to run",
                    State::Maybe(_) => "maybe",
                };
                let what = (state, self.reason(entry, Detail::Common));
                match groups.iter_mut().find(|(known, _)| *known == what) {
                    Some((_, count)) => *count += 1,
                    None => groups.push((what, 1)),
                }
            }
            out.push_str(&stage_lines(&stage.name, width, groups));
        }
        out
    }

    fn reason(&mut self, entry: &Planned, detail: Detail) -> String {
        let behind = listing(&self.labels(&entry.because_of), detail);
        match &entry.state {
            State::Cached => String::new(),
            State::Run(reason @ Reason::BytesMissing)
            | State::Maybe(reason @ Reason::BytesMissing) => {
                if behind.is_empty() {
                    because(reason).to_owned()
                } else {
                    format!("its bytes are gone and wanted by {behind}")
                }
            }
            State::Run(reason @ (Reason::Forced | Reason::Dropped | Reason::Unresolved)) => {
                because(reason).to_owned()
            }
            State::Maybe(_) => format!("waits for {behind}"),
            State::Run(reason) => {
                let study = self.explainer.study(entry.id, None);
                let changed = changed(&study, detail);
                match (changed.is_empty(), behind.is_empty()) {
                    (true, true) if study.compared.is_none() => "first time".to_owned(),
                    (true, true) => because(reason).to_owned(),
                    (false, true) => changed,
                    (true, false) => format!("waits for {behind}"),
                    (false, false) => format!("{changed}; waits for {behind}"),
                }
            }
        }
    }
}

/// `params.alpha  1.0 -> 2.0, ...`: what differs from the nearest result.
fn changed(study: &Study, detail: Detail) -> String {
    let differences = study.differences.iter();
    let mut said = distinct(differences.map(|one| difference(one, detail).replace("  ", " ")));
    let more = said.len().saturating_sub(REASONS_MAX);
    said.truncate(REASONS_MAX);
    if more > 0 {
        said.push(format!("{more} more"));
    }
    said.join(", ")
}

fn stage_lines(name: &str, width: usize, groups: Vec<((&'static str, String), usize)>) -> String {
    let (mut out, mut more) = (String::new(), 0);
    for (at, ((state, reason), count)) in groups.into_iter().enumerate() {
        if at >= REASONS_MAX {
            more += count;
            continue;
        }
        let name = if at == 0 { name } else { "" };
        let line = format!("{name:width$}  {count:>5} {state:6}  {reason}");
        out.push_str(line.trim_end());
        out.push('\n');
    }
    if more > 0 {
        out.push_str(&format!(
            "{:width$}  {more:>5} more for other reasons (--all lists them)\n",
            ""
        ));
    }
    out
}

/// `grpo: 1440 updates in 48 passes`, stage by stage.
fn passes(passes: &[Pass]) -> String {
    let mut stages: Vec<(&str, Vec<&Pass>)> = Vec::new();
    for pass in passes {
        match stages.iter_mut().find(|(stage, _)| *stage == pass.stage) {
            Some((_, known)) => known.push(pass),
            None => stages.push((&pass.stage, vec![pass])),
        }
    }
    let mut out = String::new();
    for (stage, passes) in stages {
        let sum = |certain: bool| -> u64 {
            let passes = passes.iter().filter(|pass| pass.certain == certain);
            passes.map(|pass| pass.to - pass.from).sum()
        };
        let (surely, maybe) = (sum(true), sum(false));
        let resumed = passes.iter().filter(|pass| pass.from > 0).count();
        let maybe = if maybe > 0 {
            format!(", {maybe} more maybe")
        } else {
            String::new()
        };
        let resumed = if resumed > 0 {
            format!(", {resumed} going on from kept states")
        } else {
            String::new()
        };
        out.push_str(&format!(
            "{stage}: `{}` advances by {surely} in {}{maybe}{resumed}\n",
            passes[0].param,
            plural(passes.len(), "pass").replace("passs", "passes"),
        ));
    }
    out
}
