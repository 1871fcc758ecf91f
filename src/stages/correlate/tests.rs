//! The kind as a whole on made-up ladders.
use crate::{
    artifact::schema::{COMPARISONS, IMPACT, READINGS, SCORES, SENSITIVITY, VERDICT},
    stages::{
        Correlate,
        correlate::{
            readings::Reading,
            sensitivity::Row,
            verdict::{Comparison, Verdict},
        },
        rows::{ImpactRow, ScoreRow},
        testing::{Bench, impact_made, ladder, long_rows},
    },
    stats::spearman,
};

fn kind() -> Correlate {
    serde_json::from_str(r#"{"permutations": 199, "bootstraps": 300}"#).unwrap()
}

fn bench(steps: i64, rates: &[f64], seeds: i64) -> Bench {
    let (scores, _) = ladder(steps, rates, &[10, 20], seeds);
    let impact = impact_made(steps, rates, &[10, 20], seeds);
    Bench::new()
        .with("scores", &SCORES, &long_rows(&scores))
        .with_bytes("impact", &impact.bytes["impact"])
        .with_bytes("seeds", &impact.bytes["seeds"])
}

#[test]
fn every_score_meets_every_target() {
    let made = bench(8, &[1e-4, 3e-4], 3).run(&kind()).unwrap();
    let rows: Vec<Row> = made.rows("sensitivity", &SENSITIVITY);
    let (scores, _) = ladder(8, &[1e-4], &[10, 20], 3);
    let names = long_rows(&scores).len() / 8;
    assert_eq!(rows.len(), 2 * names * 4);
    let targets: Vec<&str> = rows[..4].iter().map(|row| row.target.as_str()).collect();
    assert_eq!(
        targets,
        ["gain_mean", "gain_k10", "gain_k20", "r_after_mean"]
    );
    let impact: Vec<ImpactRow> =
        impact_made(8, &[1e-4, 3e-4], &[10, 20], 3).rows("impact", &IMPACT);
    let gains: Vec<f64> = impact.iter().take(8).map(|row| row.gain_mean).collect();
    for row in rows
        .iter()
        .filter(|row| row.target == "gain_mean" && row.learning_rate < 2e-4)
    {
        let long = long_rows(&scores);
        let values: Vec<f64> = long
            .iter()
            .filter(|l| l.score == row.score)
            .map(|l| l.value)
            .collect();
        assert_eq!(
            row.tested.rho,
            spearman(&values, &gains).map(|found| found.rho),
            "{}",
            row.score
        );
        assert_eq!(row.tested.n, 8);
        if row.tested.rho.is_some() {
            assert!(
                row.perm_p_max >= row.tested.perm_p && row.tested.boot_lo <= row.tested.boot_hi,
                "{row:?}"
            );
        }
    }
    let find = |name: &str| rows.iter().find(|row| row.score == name).unwrap();
    assert!(find("p1mp").baseline && find("sigma").baseline && !find("headline").baseline);
    assert_eq!(find("p1mp").delta_rho_p1mp, Some(0.0));
    assert_eq!(find("r_before").partial_rho_r_before, None);
    let single = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .unwrap();
    let again = single.install(|| bench(8, &[1e-4, 3e-4], 3).run(&kind()).unwrap().bytes);
    assert_eq!(made.bytes, again);
}

#[test]
fn a_constant_score_is_missing_and_counted() {
    let (scores, _) = ladder(5, &[1e-4], &[10, 20], 2);
    let mut long = long_rows(&scores);
    for row in long.iter_mut().filter(|row| row.score == "literal") {
        row.value = 0.5;
    }
    let impact = impact_made(5, &[1e-4], &[10, 20], 2);
    let made = Bench::new()
        .with("scores", &SCORES, &long)
        .with_bytes("impact", &impact.bytes["impact"])
        .run(&kind())
        .unwrap();
    let rows: Vec<Row> = made.rows("sensitivity", &SENSITIVITY);
    let flat = rows.iter().find(|row| row.score == "literal").unwrap();
    assert_eq!(
        (flat.tested.rho, flat.tested.boot_lo, flat.tested.perm_p),
        (None, None, None)
    );
    assert_eq!((flat.delta_lo, flat.tested.boot_dropped), (None, 300));
    let verdicts: Vec<Verdict> = made.rows("verdict", &VERDICT);
    assert_eq!((verdicts.len(), verdicts[0].undefined_scores), (1, 1));
    // Without seeds there are no bars over seeds.
    let readings: Vec<Reading> = made.rows("readings", &READINGS);
    assert!(readings.iter().all(|reading| reading.over != "rl-seeds"));
}

/// A ladder in which `headline` orders the gains perfectly and every baseline is noise.
fn decided(beaten: bool) -> Vec<ScoreRow> {
    let (scores, _) = ladder(12, &[1e-4], &[10, 20], 3);
    let impact: Vec<ImpactRow> = impact_made(12, &[1e-4], &[10, 20], 3).rows("impact", &IMPACT);
    let shuffled = [3, 7, 0, 10, 5, 1, 8, 11, 2, 6, 9, 4];
    let mut long = long_rows(&scores);
    for row in &mut long {
        let at = impact.iter().position(|i| i.step == row.step).unwrap();
        let good = (row.score == "headline") == beaten;
        row.value = if good {
            impact[at].gain_mean
        } else {
            f64::from(shuffled[at])
        };
    }
    long
}

#[test]
fn beats_only_where_the_interval_says_so() {
    let impact = impact_made(12, &[1e-4], &[10, 20], 3);
    let run = |long: &[ScoreRow]| {
        let bench = Bench::new()
            .with("scores", &SCORES, long)
            .with_bytes("impact", &impact.bytes["impact"]);
        let kind = Correlate {
            primary_learning_rate: Some(1e-4),
            ..kind()
        };
        let made = bench.run(&kind).unwrap();
        let verdict: Vec<Verdict> = made.rows("verdict", &VERDICT);
        let comparisons: Vec<Comparison> = made.rows("comparisons", &COMPARISONS);
        (verdict[0].clone(), comparisons)
    };
    let (good, comparisons) = run(&decided(true));
    assert!(good.beats && good.delta_lo.unwrap() > 0.0, "{good:?}");
    assert_eq!(
        (good.tested.rho, good.primary, good.tested.perm_p),
        (Some(1.0), Some(true), Some(1.0 / 200.0))
    );
    assert!(
        good.note.starts_with("headline beats the best baseline, "),
        "{}",
        good.note
    );
    assert_eq!(comparisons.len(), 7);
    for comparison in &comparisons {
        let delta = comparison.rho.unwrap() - comparison.baseline_rho.unwrap().abs();
        assert_eq!(comparison.delta, Some(delta));
    }
    let (bad, _) = run(&decided(false));
    assert!(!bad.beats && bad.delta_hi.unwrap() < 0.0, "{bad:?}");
    assert_eq!(bad.best_baseline.as_deref(), Some("p1mp"));
    assert!(
        bad.note
            .starts_with("headline is worse than the best baseline, p1mp: "),
        "{}",
        bad.note
    );
    let (scores, _) = ladder(12, &[1e-4], &[10, 20], 3);
    let (same, _) = run(&long_rows(&scores));
    assert!(
        same.note
            .starts_with("headline cannot be told from the best baseline, "),
        "{}",
        same.note
    );
}

#[test]
fn figure_five_has_all_its_bars() {
    let made = bench(8, &[1e-4], 3).run(&kind()).unwrap();
    let readings: Vec<Reading> = made.rows("readings", &READINGS);
    assert_eq!(readings.len(), 3 * 3 * 2);
    let find = |predictor: &str, target: &str, over: &str| {
        readings
            .iter()
            .find(|r| r.predictor == predictor && r.target == target && r.over == over)
            .unwrap()
    };
    let sensitivity: Vec<Row> = made.rows("sensitivity", &SENSITIVITY);
    let rho = |score: &str, target: &str| {
        sensitivity
            .iter()
            .find(|r| r.score == score && r.target == target)
            .unwrap()
            .tested
            .rho
    };
    assert_eq!(
        find("score", "gain", "mean").rho,
        rho("headline", "gain_mean")
    );
    assert_eq!(
        find("r_before", "r_after", "mean").rho,
        rho("r_before", "r_after_mean")
    );
    let (ten, twenty) = (
        rho("headline", "gain_k10").unwrap(),
        rho("headline", "gain_k20").unwrap(),
    );
    let budgets = find("score", "gain", "budgets");
    assert!((budgets.rho.unwrap() - f64::midpoint(ten, twenty)).abs() < 1e-15);
    assert!((budgets.spread.unwrap() - (ten - twenty).abs() / 2.0).abs() < 1e-15);
    let seeds = find("combined", "gain", "rl-seeds");
    assert_eq!((seeds.n, seeds.undefined), (3, 0));
}

#[test]
fn what_cannot_be_correlated_is_said() {
    assert_eq!(
        bench(2, &[1e-4], 2).refusal(&kind()),
        "correlate needs at least 3 checkpoints, got 2"
    );
    let other = Correlate {
        primary: "headlin".to_owned(),
        ..kind()
    };
    assert_eq!(
        bench(4, &[1e-4], 2).refusal(&other),
        "scores have no `headlin`; nearest is `headline`"
    );
    let (scores, _) = ladder(5, &[1e-4], &[10], 1);
    let impact = impact_made(4, &[1e-4], &[10], 1);
    let fewer = Bench::new()
        .with("scores", &SCORES, &long_rows(&scores))
        .with_bytes("impact", &impact.bytes["impact"]);
    assert_eq!(
        fewer.refusal(&kind()),
        "at learning rate 1e-4, impact rows lack step 125, which scores have"
    );
    let holes = Bench::new()
        .with("scores", &SCORES, &long_rows(&scores)[1..])
        .with_bytes("impact", &impact.bytes["impact"]);
    assert_eq!(
        holes.refusal(&kind()),
        "score `headline` has no value at step 25"
    );
    let seeds = impact_made(4, &[1e-4], &[10], 1);
    let stray = Bench::new()
        .with("scores", &SCORES, &long_rows(&scores))
        .with(
            "impact",
            &IMPACT,
            &crate::stages::testing::impact_rows(5, &[1e-4], &[10], 1),
        )
        .with_bytes("seeds", &seeds.bytes["seeds"]);
    assert_eq!(
        stray.refusal(&kind()),
        "RL seed 0 has other checkpoints than the scores"
    );
}
