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
    let (cached, to_run, maybe) = plan.counts();
    Event::RunStarted {
        format: EVENT_FORMAT,
        run: options.run.to_owned(),
        pipeline: pipeline.name.clone(),
        program: format!("vgh {}", env!("CARGO_PKG_VERSION")),
        instances: plan.entries.len(),
        cached,
        to_run,
        maybe,
        jobs: options.jobs,
        stages: stages(pipeline, plan),
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
