//! The kind `impact`: its parameters and ports.
use anyhow::{Result, ensure};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    artifact::{
        ArtifactType,
        schema::{IMPACT, IMPACT_SEEDS, REWARDS, SCORES_WIDE},
        table::{encode_rows, gather_rows, read_rows},
    },
    stage::{Context, InputPort, Inputs, OutputPort, Outputs, Ports, Produced, Role, Stage},
    stages::{
        impact::runs::Runs,
        rows::{RewardRow, WideRow, by_learning_rate},
    },
};

/// Gain of RL by checkpoint and learning rate: r_after - r_before per budget K,
/// averaged over RL seeds, then over budgets. Learning rates are never averaged.
/// Deviations: over budgets (population; nested in one run, so no error bar) and
/// of gain_mean over RL seeds (sample).
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Impact {
    /// The axis of the checkpoints, such as `step`, where rewards have one.
    #[serde(default)]
    pub ladder: Option<String>,
    /// The axis of the budgets K (updates of RL), where rewards have one.
    #[serde(default)]
    pub budgets: Option<String>,
    /// The axes to average over, such as `rl_seed`.
    #[serde(default)]
    pub replicates: Vec<String>,
}

impl Stage for Impact {
    const KIND: &'static str = "impact";
    const VERSION: u32 = 1;
    const ABOUT: &'static str = "gain of RL from each checkpoint, per budget and on average";
    const PORTS: Ports = Ports {
        inputs: &[
            InputPort::one(
                "scores",
                ArtifactType::Table(SCORES_WIDE.name),
                "one row per checkpoint",
            ),
            InputPort::many(
                "rewards",
                ArtifactType::Table(REWARDS.name),
                "rewards of every run",
            ),
        ],
        outputs: &[
            OutputPort::new(
                "impact",
                ArtifactType::Table(IMPACT.name),
                "one row per checkpoint and learning rate",
            ),
            OutputPort::new(
                "seeds",
                ArtifactType::Table(IMPACT_SEEDS.name),
                "the same gains by RL seed",
            ),
        ],
    };
    const ROLES: &'static [Role] = &[
        Role {
            param: "ladder",
            list: false,
        },
        Role {
            param: "budgets",
            list: false,
        },
        Role {
            param: "replicates",
            list: true,
        },
    ];

    fn gathered_axes(&self) -> Vec<String> {
        let single = self.ladder.iter().chain(&self.budgets);
        single.chain(&self.replicates).cloned().collect()
    }

    fn run(&self, inputs: &Inputs, context: &Context<'_>) -> Result<Outputs> {
        let scores: Vec<WideRow> = read_rows(inputs.one("scores")?, &SCORES_WIDE)?;
        let rewards: Vec<RewardRow> = gather_rows(inputs.all("rewards"), &REWARDS)?;
        ensure!(!rewards.is_empty(), "there are no rewards");
        let (mut impact, mut seeds) = (Vec::new(), Vec::new());
        for (learning_rate, rows) in by_learning_rate(&rewards, |r| (r.learning_rate, r.step)) {
            let runs = Runs::of(learning_rate, &rows, &scores)?;
            for wide in &scores {
                let by_seed = runs.by_seed(wide.step);
                impact.push(runs.impact(wide, &by_seed));
                seeds.extend(by_seed);
            }
        }
        if impact.iter().any(|row| row.n_rl_seeds < 3) {
            context.log("fewer than 3 RL seeds: the spread over seeds is unreliable");
        }
        Ok(Outputs::new()
            .with("impact", Produced::Bytes(encode_rows(&impact, &IMPACT)?))
            .with(
                "seeds",
                Produced::Bytes(encode_rows(&seeds, &IMPACT_SEEDS)?),
            ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::{
        rows::{ImpactRow, Measures, SeedRow},
        testing::{Bench, ladder, wide_row},
    };

    fn kind() -> Impact {
        serde_json::from_str(
            r#"{"ladder": "step", "budgets": "budget", "replicates": ["rl_seed"]}"#,
        )
        .unwrap()
    }

    fn run(step: i64, seed: i64, updates: i64, r_after: f64) -> RewardRow {
        RewardRow {
            step,
            learning_rate: 1e-4,
            rl_seed: seed,
            updates,
            r_before: 0.25,
            r_after,
            gain: r_after - 0.25,
        }
    }

    fn bench(rewards: &[RewardRow]) -> Bench {
        Bench::new()
            .with("scores", &SCORES_WIDE, &[wide_row(25), wide_row(50)])
            .with("rewards", &REWARDS, rewards)
    }

    fn complete() -> Vec<RewardRow> {
        vec![
            run(50, 0, 9, 0.5),
            run(50, 0, 10, 0.75),
            run(50, 1, 9, 0.25),
            run(50, 1, 10, 0.5),
            run(25, 0, 9, 0.25),
            run(25, 0, 10, 0.25),
            run(25, 1, 9, 0.25),
            run(25, 1, 10, 0.25),
        ]
    }

    #[test]
    fn means_and_deviations_by_hand() {
        let made = bench(&complete()).run(&kind()).unwrap();
        let rows: Vec<ImpactRow> = made.rows("impact", &IMPACT);
        let row = &rows[1];
        assert_eq!(
            (rows.len(), row.step, row.n_rl_seeds, row.tokens),
            (2, 50, 2, Some(3200))
        );
        assert_eq!(row.by_budget["r_after_k9"], 0.375);
        assert_eq!(row.by_budget["gain_k10"], 0.375);
        assert_eq!(
            (row.measures.r_before, row.r_after_mean, row.gain_mean),
            (0.25, 0.5, 0.25)
        );
        // Over budgets: 0.125 and 0.375. Over seeds: 0.375 and 0.125.
        assert_eq!(row.gain_sd_budget, 0.125);
        assert!((row.gain_sd_seed.unwrap() - 0.125 * 2f64.sqrt()).abs() < 1e-15);
        assert_eq!(
            row.measures,
            Measures {
                r_before: 0.25,
                ..wide_row(50).measures
            }
        );
        let seeds: Vec<SeedRow> = made.rows("seeds", &IMPACT_SEEDS);
        assert_eq!(
            (seeds.len(), seeds[2].rl_seed, seeds[2].gain_mean),
            (4, 0, 0.375)
        );
        assert_eq!(
            made.log,
            ["fewer than 3 RL seeds: the spread over seeds is unreliable"]
        );
    }

    #[test]
    fn order_and_repeated_rows_change_nothing() {
        let once = bench(&complete()).run(&kind()).unwrap();
        let mut rows = complete();
        rows.reverse();
        rows.push(run(50, 1, 9, 0.25));
        assert_eq!(bench(&rows).run(&kind()).unwrap().bytes, once.bytes);
    }

    #[test]
    fn learning_rates_stay_apart() {
        let mut rows = complete();
        rows.extend(complete().into_iter().map(|row| RewardRow {
            learning_rate: 3e-5,
            ..row
        }));
        let impact: Vec<ImpactRow> = bench(&rows).run(&kind()).unwrap().rows("impact", &IMPACT);
        let places: Vec<_> = impact
            .iter()
            .map(|row| (row.learning_rate, row.step))
            .collect();
        assert_eq!(places, [(3e-5, 25), (3e-5, 50), (1e-4, 25), (1e-4, 50)]);
    }

    #[test]
    fn what_is_incomplete_or_wrong_is_named() {
        let message = |rows: &[RewardRow]| bench(rows).refusal(&kind());
        assert_eq!(
            message(&complete()[1..]),
            "rewards at learning rate 1e-4 miss 1 of 8 runs: step 50, rl_seed 0, updates 9"
        );
        assert_eq!(
            message(&complete()[..4]),
            "at learning rate 1e-4, rewards lack step 25, which scores have"
        );
        let mut more = complete();
        more.push(run(75, 0, 9, 0.5));
        assert_eq!(
            message(&more),
            "at learning rate 1e-4, scores lack step 75, which rewards have"
        );
        let mut twice = complete();
        twice.push(run(50, 1, 9, 0.3));
        assert_eq!(
            message(&twice),
            "rewards at learning rate 1e-4, step 50, rl_seed 1, updates 9 stand twice with \
             different values"
        );
        let mut lying = complete();
        lying[0].gain = 0.5;
        assert_eq!(
            message(&lying),
            "rewards at learning rate 1e-4, step 50, rl_seed 0, updates 9: gain 0.5 is not \
             r_after - r_before = 0.25"
        );
    }

    #[test]
    fn a_ladder_of_many_steps_keeps_its_scores() {
        let (scores, rewards) = ladder(16, &[1e-4], &[10, 20], 3);
        let made = Bench::new()
            .with("scores", &SCORES_WIDE, &scores)
            .with("rewards", &REWARDS, &rewards)
            .run(&kind())
            .unwrap();
        let rows: Vec<ImpactRow> = made.rows("impact", &IMPACT);
        assert_eq!((rows.len(), made.log.len()), (16, 0));
        for (row, wide) in rows.iter().zip(&scores) {
            let measures = Measures {
                r_before: row.measures.r_before,
                ..wide.measures
            };
            assert_eq!((row.step, row.measures), (wide.step, measures));
        }
    }
}
