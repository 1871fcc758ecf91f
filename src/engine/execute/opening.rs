//! The first event of a run: what the plan says, stage by stage.
use crate::{
    engine::{
        event::{EVENT_FORMAT, Event, StagePlan},
        execute::Options,
        plan::{Plan, State},
    },
    pipeline::Pipeline,
};

pub(super) fn opening(pipeline: &Pipeline, plan: &Plan, options: &Options<'_>) -> Event {
    let stages = stages(pipeline, plan);
    Event::opening(options.run, &pipeline.name, options.jobs, stages)
}

impl Event {
    /// The first event of a run in which these stages take part.
    pub fn opening(run: &str, pipeline: &str, jobs: u32, stages: Vec<StagePlan>) -> Event {
        let sum = |count: fn(&StagePlan) -> usize| stages.iter().map(count).sum();
        Event::RunStarted {
            format: EVENT_FORMAT,
            run: run.to_owned(),
            pipeline: pipeline.to_owned(),
            program: format!("vgh {}", env!("CARGO_PKG_VERSION")),
            instances: sum(|stage| stage.instances),
            cached: sum(|stage| stage.cached),
            to_run: sum(|stage| stage.to_run),
            maybe: sum(|stage| stage.maybe),
            jobs,
            stages,
        }
    }
}

/// The stages that take part, in the pipeline's order.
fn stages(pipeline: &Pipeline, plan: &Plan) -> Vec<StagePlan> {
    let named = |position: usize| StagePlan {
        stage: pipeline.stages[position].name.clone(),
        ..StagePlan::default()
    };
    let count = pipeline.stages.len();
    let mut stages: Vec<StagePlan> = (0..count).map(named).collect();
    let mut known: Vec<(u64, u64)> = vec![(0, 0); count];
    for entry in &plan.entries {
        let position = pipeline.instance(entry.id).stage;
        let stage = &mut stages[position];
        stage.instances += 1;
        match entry.state {
            State::Cached => {
                stage.cached += 1;
                continue;
            }
            State::Run(_) => stage.to_run += 1,
            State::Maybe(_) => stage.maybe += 1,
        }
        if let Some(estimate) = entry.estimate_ms {
            known[position].0 += estimate;
            known[position].1 += 1;
        }
    }
    for (stage, (sum, count)) in stages.iter_mut().zip(known) {
        stage.estimate_ms = sum.checked_div(count);
    }
    stages.retain(|stage| stage.instances > 0);
    stages
}
