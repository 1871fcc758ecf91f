//! The kind `recommend`: its parameters, ports and joins.
use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail, ensure};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    artifact::{
        ArtifactType,
        schema::{IMPACT, IMPACT_SEEDS, PREDICTIONS, RECOMMENDATION, SCORES_WIDE},
        table::{encode_rows, read_rows},
    },
    stage::{Context, InputPort, Inputs, OutputPort, Outputs, Ports, Produced, Refusal, Stage},
    stages::{
        ranges,
        recommend::{
            ladder::{Ladder, Measured},
            rules,
        },
        rows::{
            ImpactRow, PredictionRow, SeedRow, Target, WideRow, WideScore, by_learning_rate,
            step_difference,
        },
    },
};

/// N* = argmax of the score (eq. 31), the argmax of predicted final reward
/// r_before + gain, and the earliest checkpoint within `tolerance` of it, beside
/// both literal scores, Sigma, p(1-p), r_before, the last checkpoint and a random
/// pick. Regret = largest measured objective minus that of the pick, in reward
/// units and divided by max - min; ties in a score go to the earliest step.
/// Without `impact` the picks are uncalibrated; without RL seeds nothing is said
/// to be distinguishable.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Recommend {
    /// The score whose argmax is the recommendation.
    #[serde(default)]
    pub score: WideScore,
    /// How far below the largest predicted final reward the earliest checkpoint
    /// may lie, reward units, 0 or more.
    #[serde(default = "default_tolerance")]
    pub tolerance: f64,
}

fn default_tolerance() -> f64 {
    0.02
}

impl Stage for Recommend {
    const KIND: &'static str = "recommend";
    const VERSION: u32 = 1;
    const ABOUT: &'static str = "from which checkpoint to start RL, by each rule, with regret";
    const PORTS: Ports = Ports {
        inputs: &[
            InputPort::one(
                "scores",
                ArtifactType::Table(SCORES_WIDE.name),
                "scores by checkpoint",
            ),
            InputPort::one(
                "impact",
                ArtifactType::Table(IMPACT.name),
                "measured gains, for regret",
            )
            .optional(),
            InputPort::one(
                "seeds",
                ArtifactType::Table(IMPACT_SEEDS.name),
                "gains by RL seed, for what can be distinguished",
            )
            .optional(),
            InputPort::one(
                "predictions",
                ArtifactType::Table(PREDICTIONS.name),
                "predicted gains, for the final reward",
            )
            .optional(),
        ],
        outputs: &[OutputPort::new(
            "recommendation",
            ArtifactType::Table(RECOMMENDATION.name),
            "one row per learning rate and rule",
        )],
    };

    fn check(&self) -> Result<(), Refusal> {
        ranges::not_negative("tolerance", self.tolerance)
    }

    fn run(&self, inputs: &Inputs, context: &Context<'_>) -> Result<Outputs> {
        let mut scores: Vec<WideRow> = read_rows(inputs.one("scores")?, &SCORES_WIDE)?;
        scores.sort_by_key(|row| row.step);
        ensure!(!scores.is_empty(), "there are no scores");
        let impact: Vec<ImpactRow> = optional(inputs, "impact", &IMPACT)?;
        let seeds: Vec<SeedRow> = optional(inputs, "seeds", &IMPACT_SEEDS)?;
        let predictions: Vec<PredictionRow> = optional(inputs, "predictions", &PREDICTIONS)?;
        let mut rows = Vec::new();
        for (rate, impact) in by_learning_rate(&impact, |r| (r.learning_rate, r.step)) {
            let ladder = Ladder {
                learning_rate: Some(rate),
                scores: &scores,
                measured: measured(rate, &scores, &impact, &seeds)?,
                predicted: predicted(rate, &predictions),
                predicted_from: predictions.first().map(|row| row.score.clone()),
            };
            rows.extend(rules::rows(&ladder, self.score, self.tolerance));
        }
        if impact.is_empty() {
            context.log("no impact: the picks are uncalibrated");
            let ladder = Ladder {
                learning_rate: None,
                scores: &scores,
                measured: BTreeMap::new(),
                predicted: BTreeMap::new(),
                predicted_from: None,
            };
            rows = rules::rows(&ladder, self.score, self.tolerance);
        }
        let bytes = encode_rows(&rows, &RECOMMENDATION)?;
        Ok(Outputs::new().with("recommendation", Produced::Bytes(bytes)))
    }
}

fn optional<T: serde::de::DeserializeOwned>(
    inputs: &Inputs,
    port: &str,
    schema: &crate::artifact::schema::Schema,
) -> Result<Vec<T>> {
    inputs
        .optional(port)
        .map_or_else(|| Ok(Vec::new()), |artifact| read_rows(artifact, schema))
}

/// The gains of one learning rate by step, with those of each RL seed.
fn measured(
    rate: f64,
    scores: &[WideRow],
    impact: &[&ImpactRow],
    seeds: &[SeedRow],
) -> Result<BTreeMap<i64, Measured>> {
    let scored: BTreeSet<i64> = scores.iter().map(|row| row.step).collect();
    let steps: BTreeSet<i64> = impact.iter().map(|row| row.step).collect();
    if let Some(difference) = step_difference(("scores", &scored), ("impact rows", &steps)) {
        bail!("at learning rate {rate:e}, {difference}");
    }
    let mut measured = BTreeMap::new();
    for row in impact {
        let own = seeds
            .iter()
            .filter(|seed| seed.step == row.step && seed.learning_rate.total_cmp(&rate).is_eq());
        let by_seed = own.map(|seed| (seed.rl_seed, (seed.gain_mean, seed.r_after_mean)));
        let entry = Measured {
            gain: row.gain_mean,
            final_reward: row.r_after_mean,
            by_seed: by_seed.collect(),
        };
        measured.insert(row.step, entry);
    }
    Ok(measured)
}

/// Predicted gain_mean of one learning rate by step.
fn predicted(rate: f64, predictions: &[PredictionRow]) -> BTreeMap<i64, f64> {
    let target = Target::GainMean.name();
    let own = predictions
        .iter()
        .filter(|row| row.target == target && row.learning_rate.total_cmp(&rate).is_eq());
    own.filter_map(|row| Some((row.step, row.predicted?)))
        .collect()
}
