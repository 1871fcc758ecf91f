//! The kind as a whole on small ladders.
use crate::{
    artifact::schema::{IMPACT, IMPACT_SEEDS, RECOMMENDATION, SCORES_WIDE},
    stage::Stage,
    stages::{
        FitAffine, Recommend,
        recommend::rules::Row,
        rows::{ImpactRow, Measures, SeedRow},
        testing::{Bench, impact_made, ladder, wide_row},
    },
};

fn kind() -> Recommend {
    serde_json::from_str("{}").unwrap()
}

/// Three checkpoints with headline 1, 3, 3 and gains by seed.
fn bench(gains: [[f64; 3]; 3]) -> Bench {
    let (mut scores, mut impact, mut seeds) = (Vec::new(), Vec::new(), Vec::new());
    let made = impact_made(3, &[1e-4], &[10], 3);
    let template: Vec<ImpactRow> = made.rows("impact", &IMPACT);
    let template_seeds: Vec<SeedRow> = made.rows("seeds", &IMPACT_SEEDS);
    for (index, gains) in gains.iter().enumerate() {
        let mut wide = wide_row(25 * (index as i64 + 1));
        wide.measures.score_headline = [1.0, 3.0, 3.0][index];
        wide.measures.r_before = [0.5, 0.25, 0.75][index];
        let gain = gains.iter().sum::<f64>() / 3.0;
        impact.push(ImpactRow {
            measures: Measures {
                score_headline: wide.measures.score_headline,
                r_before: wide.measures.r_before,
                ..template[index].measures
            },
            r_after_mean: wide.measures.r_before + gain,
            gain_mean: gain,
            ..template[index].clone()
        });
        for (seed, gain) in gains.iter().enumerate() {
            seeds.push(SeedRow {
                r_before: wide.measures.r_before,
                gain_mean: *gain,
                r_after_mean: wide.measures.r_before + gain,
                ..template_seeds[3 * index + seed].clone()
            });
        }
        scores.push(wide);
    }
    let fit: FitAffine = serde_json::from_str("{}").unwrap();
    let fitted = Bench::new()
        .with("impact", &IMPACT, &impact)
        .run(&fit)
        .unwrap();
    Bench::new()
        .with("scores", &SCORES_WIDE, &scores)
        .with("impact", &IMPACT, &impact)
        .with("seeds", &IMPACT_SEEDS, &seeds)
        .with_bytes("predictions", &fitted.bytes["predictions"])
}

fn made(bench: &Bench) -> Vec<Row> {
    bench
        .run(&kind())
        .unwrap()
        .rows("recommendation", &RECOMMENDATION)
}

fn of<'a>(rows: &'a [Row], rule: &str) -> &'a Row {
    rows.iter().find(|row| row.rule == rule).unwrap()
}

#[test]
fn picks_and_regrets_by_hand() {
    let rows = made(&bench([[0.0; 3], [0.25, 0.25, 0.25], [0.5, 0.5, 0.5]]));
    let headline = of(&rows, "headline");
    // Of two equal scores the earlier step; regret 0.25 of a spread of 0.5.
    assert_eq!(
        (headline.step, headline.role.as_str()),
        (Some(50), "largest-gain")
    );
    assert_eq!(
        (headline.regret, headline.regret_normalised),
        (Some(0.25), Some(0.5))
    );
    assert_eq!((headline.best_step, headline.best), (Some(75), Some(0.5)));
    assert_eq!(
        (headline.regret_lo, headline.distinguishable),
        (Some(0.25), Some(true))
    );
    let last = of(&rows, "last");
    assert_eq!(
        (last.step, last.regret, last.regret_lo),
        (Some(75), Some(0.0), None)
    );
    assert_eq!(
        last.note,
        "step 75 is the last; measured gain 0.500, the best; told apart from every other step"
    );
    let random = of(&rows, "random");
    assert_eq!(
        (random.step, random.measured_gain, random.regret),
        (None, Some(0.25), Some(0.25))
    );
    // The line: 0 at 1, 0.375 at 3; final rewards 0.5, 0.625, 1.125 predicted.
    let final_reward = of(&rows, "best-predicted-final-reward");
    assert_eq!(
        (final_reward.step, final_reward.objective.as_str()),
        (Some(75), "final-reward")
    );
    assert!((final_reward.value.unwrap() - 1.125).abs() < 1e-12);
    assert_eq!(
        (final_reward.best, final_reward.regret),
        (Some(1.25), Some(0.0))
    );
    assert_eq!(of(&rows, "earliest-within-tolerance").step, Some(75));
    let wide = Recommend {
        tolerance: 0.55,
        ..kind()
    };
    let rows: Vec<Row> = bench([[0.0; 3], [0.25; 3], [0.5; 3]])
        .run(&wide)
        .unwrap()
        .rows("recommendation", &RECOMMENDATION);
    let earliest = of(&rows, "earliest-within-tolerance");
    assert_eq!((earliest.step, earliest.regret), (Some(50), Some(0.75)));
}

#[test]
fn what_seeds_cannot_tell_apart_is_said() {
    let rows = made(&bench([
        [0.0, 0.01, 0.0],
        [0.28, 0.36, 0.3],
        [0.45, 0.25, 0.4],
    ]));
    let headline = of(&rows, "headline");
    assert_eq!(headline.ties.as_deref(), Some("75"));
    assert_eq!(headline.distinguishable, Some(false));
    assert!(headline.regret_lo.unwrap() < 0.0 && headline.regret_hi.unwrap() > 0.0);
    assert_eq!(
        headline.note,
        "step 50 has the largest headline; measured gain 0.313, 0.053 below the best (step \
         75); not distinguishable from step 75"
    );
}

#[test]
fn a_falling_line_is_told() {
    let rows = made(&bench([[0.5; 3], [0.25; 3], [0.25; 3]]));
    assert_eq!(
        of(&rows, "headline").note,
        "step 50 has the largest headline; measured gain 0.250, 0.250 below the best (step \
         25); the fitted line falls with this score and foretells the largest gain at step \
         25; not distinguishable from step 75"
    );
}

#[test]
fn without_impact_nothing_is_promised() {
    let (scores, _) = ladder(5, &[1e-4], &[10], 1);
    let bench = Bench::new().with("scores", &SCORES_WIDE, &scores);
    let rows = made(&bench);
    assert_eq!(rows.len(), 10);
    for row in &rows {
        assert!(!row.calibrated && row.learning_rate.is_none());
        assert_eq!(
            (row.regret, row.measured_gain, row.predicted_gain),
            (None, None, None)
        );
        assert_eq!((row.distinguishable, &row.ties), (None, &None));
    }
    let headline = of(&rows, "headline");
    let step = headline.step.unwrap();
    assert_eq!(
        headline.note,
        format!("step {step} has the largest headline; uncalibrated: no gain was measured")
    );
    assert_eq!(of(&rows, "earliest-within-tolerance").step, None);
}

#[test]
fn without_seeds_or_predictions_the_rest_is_left_open() {
    let made_impact = impact_made(4, &[1e-4, 3e-4], &[10, 20], 1);
    let (scores, _) = ladder(4, &[1e-4], &[10], 1);
    let bench = Bench::new()
        .with("scores", &SCORES_WIDE, &scores)
        .with_bytes("impact", &made_impact.bytes["impact"]);
    let rows = made(&bench);
    assert_eq!(rows.len(), 2 * 10);
    let headline = of(&rows, "headline");
    assert!(
        headline
            .note
            .ends_with("too few RL seeds to tell it from other steps")
    );
    assert!(headline.regret.is_some() && headline.distinguishable.is_none());
    assert_eq!(
        of(&rows, "best-predicted-final-reward").note,
        "undefined: no gain was predicted, for want of a line fitted to measured gains"
    );
    let fewer = Bench::new()
        .with("scores", &SCORES_WIDE, &scores[1..])
        .with_bytes("impact", &made_impact.bytes["impact"]);
    assert_eq!(
        fewer.refusal(&kind()),
        "at learning rate 1e-4, scores lack step 25, which impact rows have"
    );
}

#[test]
fn a_fitted_ladder_repeats_bit_for_bit() {
    let bench = bench([[0.1, 0.2, 0.3], [0.3, 0.2, 0.1], [0.2, 0.2, 0.3]]);
    assert_eq!(
        bench.run(&kind()).unwrap().bytes,
        bench.run(&kind()).unwrap().bytes
    );
    let rows: Vec<Row> = made(&bench);
    let rules: Vec<&str> = rows.iter().map(|row| row.rule.as_str()).collect();
    assert_eq!(
        rules,
        [
            "headline",
            "best-predicted-final-reward",
            "earliest-within-tolerance",
            "literal",
            "literal-eq28",
            "sigma",
            "p1mp",
            "r_before",
            "last",
            "random"
        ]
    );
    assert_eq!(
        Recommend {
            tolerance: -1.0,
            ..kind()
        }
        .check()
        .unwrap_err()
        .message,
        "`tolerance` is -1; allowed: finite and at least 0"
    );
}
