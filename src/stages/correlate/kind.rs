//! The kind `correlate`: its parameters and ports.
use anyhow::{Result, ensure};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    artifact::{
        ArtifactType,
        schema::{COMPARISONS, IMPACT, IMPACT_SEEDS, READINGS, SCORES, SENSITIVITY, VERDICT},
        table::{encode_rows, read_rows},
    },
    seed::Seed,
    stage::{Context, InputPort, Inputs, OutputPort, Outputs, Ports, Produced, Refusal, Stage},
    stages::{
        correlate::{
            ladder::{Ladder, Variables},
            readings, sensitivity, verdict,
        },
        ranges,
        rows::{ImpactRow, ScoreRow, SeedRow, by_learning_rate},
    },
    stats::{BootstrapRows, PermutationRows},
};

/// Spearman's rho of every score and baseline with gain_mean, each gain_k and
/// r_after_mean over checkpoints, per learning rate: percentile bootstrap,
/// two-sided permutation p (alone, and against the largest |rho| of all rows),
/// partial rho given r_before, difference to p(1-p). One primary test: the
/// primary score against gain_mean. Figure 5 beside it. Within one ladder all
/// p-values and intervals are descriptive: they assume exchangeable checkpoints.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Correlate {
    /// Seed of the resamples and permutations, which all scores share.
    #[serde(default)]
    pub seed: Seed,
    /// Permutations B, 99 to 1000000; p = (1 + count) / (B + 1).
    #[serde(default = "default_permutations")]
    pub permutations: u32,
    /// Bootstrap resamples, 100 to 1000000.
    #[serde(default = "default_bootstraps")]
    pub bootstraps: u32,
    /// The score of the primary test, by its name in the long table.
    #[serde(default = "default_primary")]
    pub primary: String,
    /// The learning rate of the primary test, if one was named beforehand; then
    /// all other rates are exploratory.
    #[serde(default)]
    pub primary_learning_rate: Option<f64>,
}

fn default_permutations() -> u32 {
    PermutationRows::COUNT as u32
}

fn default_bootstraps() -> u32 {
    BootstrapRows::COUNT as u32
}

fn default_primary() -> String {
    "headline".to_owned()
}

/// The least number of checkpoints: with two, rho is 1 or -1.
const LEAST: usize = 3;
const MOST_ROWS: u32 = 1_000_000;

impl Stage for Correlate {
    const KIND: &'static str = "correlate";
    const VERSION: u32 = 1;
    const ABOUT: &'static str =
        "rank correlation of every score and baseline with the gain of RL, with intervals";
    const PORTS: Ports = Ports {
        inputs: &[
            InputPort::one(
                "scores",
                ArtifactType::Table(SCORES.name),
                "every score and baseline",
            ),
            InputPort::one(
                "impact",
                ArtifactType::Table(IMPACT.name),
                "gains by checkpoint",
            ),
            InputPort::one(
                "seeds",
                ArtifactType::Table(IMPACT_SEEDS.name),
                "gains by RL seed, for the spread of figure 5",
            )
            .optional(),
        ],
        outputs: &[
            OutputPort::new(
                "sensitivity",
                ArtifactType::Table(SENSITIVITY.name),
                "one row per score, learning rate and target",
            ),
            OutputPort::new(
                "verdict",
                ArtifactType::Table(VERDICT.name),
                "the primary test, one row per learning rate",
            ),
            OutputPort::new(
                "comparisons",
                ArtifactType::Table(COMPARISONS.name),
                "the primary score against each baseline",
            ),
            OutputPort::new("readings", ArtifactType::Table(READINGS.name), "figure 5"),
        ],
    };

    fn check(&self) -> Result<(), Refusal> {
        let most = MOST_ROWS.into();
        ranges::whole("permutations", self.permutations.into(), 99, most)?;
        ranges::whole("bootstraps", self.bootstraps.into(), 100, most)?;
        let rate = self.primary_learning_rate;
        rate.map_or(Ok(()), |rate| {
            ranges::positive("primary_learning_rate", rate)
        })
    }

    fn run(&self, inputs: &Inputs, context: &Context<'_>) -> Result<Outputs> {
        let scores: Vec<ScoreRow> = read_rows(inputs.one("scores")?, &SCORES)?;
        let impact: Vec<ImpactRow> = read_rows(inputs.one("impact")?, &IMPACT)?;
        let seeds: Vec<SeedRow> = match inputs.optional("seeds") {
            Some(artifact) => read_rows(artifact, &IMPACT_SEEDS)?,
            None => Vec::new(),
        };
        let variables = Variables::of(&scores)?;
        let n = variables.steps.len();
        ensure!(
            n >= LEAST,
            "correlate needs at least {LEAST} checkpoints, got {n}"
        );
        let primary = variables.named(&self.primary)?;
        let bootstraps = BootstrapRows::draw(n, self.bootstraps as usize, self.seed);
        let permutations = PermutationRows::draw(n, self.permutations as usize, self.seed);

        let mut tables = Tables::default();
        for (learning_rate, rows) in by_learning_rate(&impact, |r| (r.learning_rate, r.step)) {
            let ladder = Ladder::of(learning_rate, rows, &variables, &bootstraps)?;
            let rows = sensitivity::rows(&ladder, &permutations);
            let comparisons = verdict::comparisons(&ladder, primary);
            let named = self.primary_learning_rate.map(|rate| rate == learning_rate);
            tables.verdict.push(verdict::verdict(
                &ladder,
                primary,
                &rows,
                &comparisons,
                named,
            ));
            tables
                .readings
                .extend(readings::rows(&ladder, primary, &seeds)?);
            tables.sensitivity.extend(rows);
            tables.comparisons.extend(comparisons);
            context.go_on()?;
        }
        context.log(&format!(
            "{} scores and baselines, {} different orders of {n} checkpoints",
            variables.all.len(),
            variables.orders.len()
        ));
        tables.encode()
    }
}

#[derive(Default)]
struct Tables {
    sensitivity: Vec<sensitivity::Row>,
    verdict: Vec<verdict::Verdict>,
    comparisons: Vec<verdict::Comparison>,
    readings: Vec<readings::Reading>,
}

impl Tables {
    fn encode(&self) -> Result<Outputs> {
        let sensitivity = encode_rows(&self.sensitivity, &SENSITIVITY)?;
        let verdict = encode_rows(&self.verdict, &VERDICT)?;
        let comparisons = encode_rows(&self.comparisons, &COMPARISONS)?;
        let readings = encode_rows(&self.readings, &READINGS)?;
        Ok(Outputs::new()
            .with("sensitivity", Produced::Bytes(sensitivity))
            .with("verdict", Produced::Bytes(verdict))
            .with("comparisons", Produced::Bytes(comparisons))
            .with("readings", Produced::Bytes(readings)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_held() {
        let kind = |text: &str| serde_json::from_str::<Correlate>(text).unwrap();
        assert_eq!(kind("{}").check(), Ok(()));
        assert_eq!(
            kind(r#"{"permutations": 10}"#).check().unwrap_err().message,
            "`permutations` is 10; allowed: 99 to 1000000"
        );
        assert_eq!(
            kind(r#"{"bootstraps": 2000000}"#)
                .check()
                .unwrap_err()
                .param,
            "bootstraps"
        );
        assert_eq!(
            kind(r#"{"primary_learning_rate": -1.0}"#)
                .check()
                .unwrap_err()
                .message,
            "`primary_learning_rate` is -1; allowed: finite and above 0"
        );
    }
}
