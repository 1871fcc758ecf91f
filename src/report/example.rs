//! A made-up ladder of 16 checkpoints for the tests of the report: smooth
//! curves with a fixed wobble, no measurement.
use crate::report::data::{
    Affine, Axis, BudgetPoint, Checkpoint, Choice, Comparison, Correlation, Cost, Data, GapPoint,
    Impact, Measures, PerRate, Phase, Reading, Role, Sensitivity, SensitivityRow, Verdict,
};

const BUDGETS: [u32; 4] = [10, 20, 25, 30];
const PICKED: u64 = 225;

/// In -1..1, the same for the same arguments.
fn wobble(index: usize, salt: f64) -> f64 {
    ((index as f64 + 1.0) * salt).sin()
}

fn checkpoint(index: usize) -> Checkpoint {
    let rise = (index as f64 - 7.5) * 0.45;
    let p = 0.04 + 0.86 / (1.0 + (-rise).exp()) + 0.012 * wobble(index, 2.7);
    let sigma = p * p * (1.0 - p) * (1.0 - p) * 21.0 * (1.0 + 0.1 * wobble(index, 1.3));
    let headroom = 0.5 * p * (1.0 - p) * (1.0 + 0.05 * wobble(index, 3.1));
    let (ip, lambda_ps) = (sigma * 1.6, sigma * 2.9 * (1.0 + 0.15 * wobble(index, 4.4)));
    Checkpoint {
        step: 25 * (index as u64 + 1),
        tokens: Some(16.0 * 40.0 * 25.0 * (index as f64 + 1.0)),
        r_before: Some(p),
        measures: Measures {
            sigma: Some(sigma),
            ip: Some(ip),
            lambda_ps: Some(lambda_ps),
            lambda_cond: Some(sigma * 0.6),
            headroom: Some(headroom),
            score_headline: Some(ip * headroom),
            score_literal: Some((sigma - lambda_ps) * headroom * 0.3),
            score_literal_eq28: Some((sigma - lambda_ps) * headroom),
            p1mp: Some(p * (1.0 - p)),
            entropy: Some(3.2 * (1.0 - p)),
            zero_var_share: Some(p.powi(8) + (1.0 - p).powi(8)),
            label_mass: Some(0.8 + 0.19 * p),
        },
    }
}

fn impact(index: usize, strength: f64) -> Impact {
    let checkpoint = checkpoint(index);
    let p = checkpoint.r_before.unwrap_or(0.0);
    let full = strength * 4.0 * p * (1.0 - p) * (1.0 + 0.14 * wobble(index, 5.9));
    let budgets: Vec<BudgetPoint> = BUDGETS
        .into_iter()
        .map(|budget| {
            let gain = full * (1.0 - (-f64::from(budget) / 16.0).exp()) / 0.85;
            BudgetPoint {
                budget,
                r_after: Some(p + gain),
                gain: Some(gain),
            }
        })
        .collect();
    let gain = budgets.iter().filter_map(|point| point.gain).sum::<f64>() / 4.0;
    Impact {
        checkpoint,
        n_rl_seeds: 3,
        budgets,
        r_after_mean: Some(p + gain),
        gain_mean: Some(gain),
        gain_sd_budget: Some(gain * 0.2),
        gain_sd_seed: Some(0.012 + 0.006 * wobble(index, 7.3)),
    }
}

fn choice(
    role: Role,
    rule: &str,
    step: Option<u64>,
    (impact, affine): (&[Impact], &Affine),
    verdict: Verdict,
    ties: &[u64],
) -> Choice {
    let gains: Vec<f64> = impact.iter().filter_map(|row| row.gain_mean).collect();
    let largest = gains.iter().copied().fold(f64::MIN, f64::max);
    let smallest = gains.iter().copied().fold(f64::MAX, f64::min);
    let mean = gains.iter().sum::<f64>() / gains.len().max(1) as f64;
    let at = impact.iter().find(|row| Some(row.checkpoint.step) == step);
    let measured = at.map_or(Some(mean), |row| row.gain_mean);
    let regret = measured.map(|gain| largest - gain);
    Choice {
        role,
        rule: rule.to_owned(),
        step,
        predicted: at.and_then(|row| affine.predict(row.checkpoint.measures.score_headline)),
        measured,
        regret,
        regret_normalised: regret.map(|regret| regret / (largest - smallest)),
        verdict,
        ties: ties.to_vec(),
    }
}

fn choices(impact: &[Impact], affine: &Affine) -> Vec<Choice> {
    use Role::{Baseline, Earliest, FinalReward, LargestGain};
    use Verdict::{Distinguishable, NotDistinguishable, Undefined};
    let row = |role, rule: &str, step, verdict, ties: &[u64]| {
        choice(role, rule, step, (impact, affine), verdict, ties)
    };
    vec![
        row(
            LargestGain,
            "headline",
            Some(PICKED),
            NotDistinguishable,
            &[200, 250],
        ),
        row(
            FinalReward,
            "predicted R after",
            Some(400),
            Distinguishable,
            &[],
        ),
        row(
            Earliest,
            "earliest within tolerance",
            Some(350),
            NotDistinguishable,
            &[375, 400],
        ),
        row(Baseline, "literal", Some(25), Distinguishable, &[]),
        row(Baseline, "literal-eq28", Some(25), Distinguishable, &[]),
        row(Baseline, "sigma", Some(200), NotDistinguishable, &[225]),
        row(Baseline, "p1mp", Some(200), NotDistinguishable, &[225]),
        row(Baseline, "r_before", Some(400), Distinguishable, &[]),
        row(Baseline, "last checkpoint", Some(400), Distinguishable, &[]),
        row(Baseline, "random pick (expectation)", None, Undefined, &[]),
    ]
}

fn correlations() -> Vec<Correlation> {
    [
        ("headline", false, Some(0.752)),
        ("literal", false, Some(-0.68)),
        ("literal-eq28", false, Some(-0.67)),
        ("sigma", true, Some(0.75)),
        ("p1mp", true, Some(0.71)),
        ("headroom", true, Some(0.61)),
        ("entropy", true, Some(0.24)),
        ("r_before", true, Some(-0.27)),
        ("label_mass", true, None),
    ]
    .into_iter()
    .map(|(score, baseline, rho)| Correlation {
        score: score.to_owned(),
        baseline,
        target: "gain_mean".to_owned(),
        n: 16,
        rho,
        boot_lo: rho.map(|rho| (rho - 0.33_f64).max(-0.97)),
        boot_hi: rho.map(|rho| (rho + 0.19_f64).min(0.97)),
        boot_dropped: 0,
        perm_p: rho.map(|_| 0.002),
    })
    .collect()
}

fn readings() -> Vec<Reading> {
    let reading = |predictor: &str, target: &str, over, rho, spread, n| Reading {
        predictor: predictor.to_owned(),
        target: target.to_owned(),
        over,
        rho: Some(rho),
        spread: Some(spread),
        n,
    };
    let mut readings = Vec::new();
    for (over, n, shift) in [(Axis::Budgets, 4, 0.0), (Axis::RlSeeds, 3, -0.04)] {
        readings.extend([
            reading("score", "gain_mean", over, 0.75 + shift, 0.03, n),
            reading("r_before", "gain_mean", over, -0.27 + shift, 0.05, n),
            reading("combined", "gain_mean", over, 0.52 + shift, 0.06, n),
            reading("score", "r_after_mean", over, -0.12 + shift, 0.04, n),
            reading("r_before", "r_after_mean", over, 0.96 + shift, 0.01, n),
            reading("combined", "r_after_mean", over, 0.97 + shift, 0.01, n),
        ]);
    }
    readings
}

fn per_rate(learning_rate: f64, strength: f64) -> PerRate {
    let impact: Vec<Impact> = (0..16).map(|index| impact(index, strength)).collect();
    let affine = Affine {
        slope: Some(strength * 2.7),
        intercept: Some(strength * 0.3),
        r2: Some(0.71),
        n: 16,
        loo_rmse: Some(strength * 0.1),
    };
    let comparison = |baseline: &str, delta, lo, hi| Comparison {
        baseline: baseline.to_owned(),
        delta: Some(delta),
        lo,
        hi,
    };
    PerRate {
        learning_rate,
        correlations: correlations(),
        comparisons: vec![
            comparison("sigma", 0.002, Some(-0.11), Some(0.13)),
            comparison("p1mp", 0.042, Some(-0.08), Some(0.19)),
            comparison("r_before", 1.02, Some(0.41), Some(1.55)),
            comparison("label_mass", f64::NAN, None, None),
        ],
        readings: readings(),
        choices: choices(&impact, &affine),
        affine: Some(affine),
        tolerance: Some(0.01),
        impact,
    }
}

fn sensitivity() -> Sensitivity {
    let rows = (0..12)
        .map(|index| SensitivityRow {
            score: if index % 2 == 0 { "ip*h" } else { "sigma*h" }.to_owned(),
            signal: if index % 2 == 0 { "ip" } else { "sigma" }.to_owned(),
            advantage: "group-norm".to_owned(),
            group: "8".to_owned(),
            estimator: "exact".to_owned(),
            hidden: if index % 3 == 0 { "pre" } else { "post" }.to_owned(),
            vocab: "full".to_owned(),
            headroom: "per-prompt".to_owned(),
            alpha: Some([0.5, 1.0, 2.0, 5.0][index % 4]),
            learning_rate: if index % 2 == 0 { 1e-4 } else { 3e-4 },
            target: "gain_mean".to_owned(),
            n: 16,
            rho: Some(0.82 - 0.02 * index as f64),
            boot_lo: Some(0.4 - 0.02 * index as f64),
            boot_hi: Some(0.94),
            perm_p: Some(0.001),
            perm_p_max: Some(0.031 + 0.01 * index as f64),
            partial_rho_r_before: Some(0.7),
            delta_rho_p1mp: Some(0.11 - 0.02 * index as f64),
            delta_lo: Some(-0.05),
            delta_hi: Some(0.2),
        })
        .collect();
    Sensitivity { rows, total: 480 }
}

/// Everything there is.
pub(super) fn full() -> Data {
    let gap = (0..16).flat_map(|index| {
        let p = checkpoint(index).r_before.unwrap_or(0.5);
        ["sampling-jacobian", "missing"].map(|mode| GapPoint {
            step: 25 * (index as u64 + 1),
            mode: mode.to_owned(),
            measured: Some(0.02 * (1.0 - p) * if mode == "missing" { 0.2 } else { 1.0 }),
            bound: Some(9.0 * (1.05 - p).sqrt()),
        })
    });
    Data {
        title: "Quickstart ladder: value gradients before RL".to_owned(),
        learning_rates: vec![per_rate(1e-4, 0.12), per_rate(3e-4, 0.22)],
        uncalibrated: Vec::new(),
        primary_learning_rate: Some(1e-4),
        sensitivity: sensitivity(),
        cost: vec![
            Cost {
                kind: "pretrain".to_owned(),
                phase: Phase::Ladder,
                count: 16,
                seconds: Some(20.4),
            },
            Cost {
                kind: "costates".to_owned(),
                phase: Phase::Scores,
                count: 16,
                seconds: Some(2.5),
            },
            Cost {
                kind: "headroom".to_owned(),
                phase: Phase::Scores,
                count: 16,
                seconds: Some(1.6),
            },
            Cost {
                kind: "grpo".to_owned(),
                phase: Phase::Rl,
                count: 384,
                seconds: Some(61.2),
            },
            Cost {
                kind: "impact".to_owned(),
                phase: Phase::Analysis,
                count: 2,
                seconds: Some(0.1),
            },
        ],
        gap: gap.collect(),
        warnings: vec!["2 of 10000 bootstrap rows were constant and were dropped.".to_owned()],
        ..before_rl()
    }
}

/// Scores alone.
pub(super) fn before_rl() -> Data {
    let bare = choice(
        Role::LargestGain,
        "headline",
        Some(PICKED),
        (&[], &Affine::default()),
        Verdict::Undefined,
        &[],
    );
    Data {
        title: "Scores before any RL".to_owned(),
        checkpoints: (0..16).map(checkpoint).collect(),
        uncalibrated: vec![Choice {
            measured: None,
            regret: None,
            regret_normalised: None,
            ..bare
        }],
        ..Data::default()
    }
}
