//! The kind as a whole: names, products, joins.
use std::collections::BTreeSet;

use crate::{
    artifact::schema::{HEADROOM, SCORES, SCORES_WIDE, SIGNAL},
    stage::Stage,
    stages::{
        Hidden, Scores, Vocab,
        rows::{HeadroomRow, ScoreRow, SignalRow, WideRow},
        scores::long::{departures, reading},
        testing::Bench,
    },
    theory::{Advantage, Group},
};

fn kind() -> Scores {
    serde_json::from_str(r#"{"ladder": "step"}"#).unwrap()
}

/// Every reading of a real table, with parts that can be told apart.
fn signals(step: i64) -> Vec<SignalRow> {
    let mut rows = Vec::new();
    for (hidden, vocab) in [
        ("post", "full"),
        ("post", "labels"),
        ("pre", "full"),
        ("pre", "labels"),
    ] {
        for advantage in Advantage::ALL {
            for (group, estimator) in [("inf", "exact"), ("8", "exact"), ("8", "sampled")] {
                let sampled = estimator == "sampled";
                let part = |base: f64| base + step as f64 + rows.len() as f64 / 1024.0;
                let sigma = part(8.0);
                rows.push(SignalRow {
                    step,
                    tokens: Some(step * 640),
                    hidden: hidden.into(),
                    vocab: vocab.into(),
                    advantage: advantage.name().into(),
                    group: group.into(),
                    estimator: estimator.into(),
                    n_prompts: 48,
                    sigma,
                    ip: part(4.0),
                    lambda_cond: (!sampled).then(|| part(1.0)),
                    lambda_ps: part(2.0),
                    lambda_group: sampled.then(|| part(3.0)),
                    s_cond: (!sampled).then(|| sigma - part(1.0)),
                    s_ps: sigma - part(2.0),
                    s_group: sampled.then(|| sigma - part(3.0)),
                    se_ip: sampled.then_some(0.1),
                    se_lambda_ps: sampled.then_some(0.1),
                    se_lambda_group: sampled.then_some(0.1),
                    r_before: 0.25,
                    p1mp: 0.125,
                    p1mp_of_mean: 0.1875,
                    entropy: 1.5,
                    zero_var_share: 0.5,
                    label_mass: 0.75,
                });
            }
        }
    }
    rows
}

fn headrooms(step: i64) -> Vec<HeadroomRow> {
    let mut rows = Vec::new();
    for vocab in ["full", "labels"] {
        for (kind, base) in [("per-prompt", 0.125), ("pooled", 0.0625)] {
            for alpha in [0.5, 1.0, 2.0, 5.0, 10.0] {
                rows.push(HeadroomRow {
                    step,
                    tokens: None,
                    vocab: vocab.into(),
                    kind: kind.into(),
                    alpha,
                    value: base * alpha,
                });
            }
        }
    }
    rows
}

fn bench(steps: &[i64]) -> Bench {
    steps.iter().fold(Bench::new(), |bench, &step| {
        bench.with("costates", &SIGNAL, &signals(step)).with(
            "headroom",
            &HEADROOM,
            &headrooms(step),
        )
    })
}

#[test]
fn products_and_their_names() {
    let made = bench(&[50, 25]).run(&kind()).unwrap();
    let rows: Vec<ScoreRow> = made.rows("scores", &SCORES);
    let of = |name: &str| {
        let found: Vec<&ScoreRow> = rows
            .iter()
            .filter(|row| row.score == name && row.step == 25)
            .collect();
        assert_eq!(found.len(), 1, "{name}");
        found[0].clone()
    };
    let pick = |advantage: &str, group: &str, estimator: &str, hidden: &str, vocab: &str| {
        let wanted = [advantage, group, estimator, hidden, vocab];
        signals(25)
            .into_iter()
            .find(|row| reading(row) == wanted)
            .unwrap()
    };
    let default = pick("group-norm", "8", "exact", "post", "full");
    assert_eq!(of("headline").value, default.ip * 0.125);
    assert_eq!(
        of("literal").value,
        (default.sigma - default.lambda_ps) * 0.0625
    );
    assert_eq!(
        of("literal-eq28").value,
        (default.sigma - default.lambda_ps) * 0.125
    );
    assert_eq!(of("headline-alpha5").value, default.ip * 0.625);
    assert_eq!(of("s_cond").value, default.s_cond.unwrap());
    assert_eq!(of("s_cond_clip").value, default.s_cond.unwrap());
    assert_eq!(of("s_ps_clip-pooled").value, default.s_ps * 0.0625);
    let two = of("headline-mean-only-inf");
    assert_eq!(
        two.value,
        pick("mean-only", "inf", "exact", "post", "full").ip * 0.125
    );
    assert_eq!(
        (two.advantage.as_deref(), two.group.as_deref()),
        (Some("mean-only"), Some("inf"))
    );
    let sampled = pick("group-norm", "8", "sampled", "post", "full");
    assert_eq!(of("s_group-sampled").value, sampled.s_group.unwrap());
    let sigma = of("sigma-pre-labels");
    assert_eq!(
        sigma.value,
        pick("group-norm", "8", "exact", "pre", "labels").sigma
    );
    assert_eq!(
        (sigma.advantage, sigma.group, sigma.estimator),
        (None, None, None)
    );
    assert_eq!(of("r_before").value, 0.25);
    assert_eq!(of("headroom-pooled").value, 0.0625);
}

#[test]
fn each_name_stands_once_per_step_and_the_table_stays_sane() {
    let made = bench(&[25]).run(&kind()).unwrap();
    let rows: Vec<ScoreRow> = made.rows("scores", &SCORES);
    // 5 signals (two of them clipped) in 23 exact readings and in 7 sampled ones,
    // sigma in 4, each with 3 headrooms; 4 more alphas of 6 signals and 2
    // headrooms; 8 others.
    let names: BTreeSet<&str> = rows.iter().map(|row| row.score.as_str()).collect();
    assert_eq!(names.len(), rows.len());
    assert_eq!(rows.len(), 518);
    assert_eq!(
        made.log,
        [
            "518 rows for 1 checkpoints; 2834 rows left out, in which more than 2 of advantage, \
          group, estimator, hidden and vocab or, beside another reading, alpha depart from \
          the default"
        ]
    );
}

#[test]
fn a_negative_signal_is_clipped_and_stays_beside_itself() {
    let negative = signals(25).into_iter().map(|row| SignalRow {
        lambda_ps: row.sigma + 1.0,
        s_ps: -1.0,
        ..row
    });
    let made = Bench::new()
        .with("costates", &SIGNAL, &negative.collect::<Vec<_>>())
        .with("headroom", &HEADROOM, &headrooms(25))
        .run(&kind())
        .unwrap();
    let rows: Vec<ScoreRow> = made.rows("scores", &SCORES);
    let of = |name: &str| rows.iter().find(|row| row.score == name).unwrap();
    assert_eq!(of("literal").value, -0.0625);
    let clip = of("s_ps_clip-pooled-inf");
    assert_eq!(
        (clip.value, clip.signal.as_deref(), clip.group.as_deref()),
        (0.0, Some("s_ps_clip"), Some("inf"))
    );
    assert!(of("s_cond_clip").value > 0.0);
}

#[test]
fn the_wide_table_has_the_default_reading_sorted_by_step() {
    let made = bench(&[50, 25]).run(&kind()).unwrap();
    let wide: Vec<WideRow> = made.rows("wide", &SCORES_WIDE);
    assert_eq!((wide[0].step, wide[1].step), (25, 50));
    let all = signals(25);
    let default = all
        .iter()
        .find(|row| departures(&kind(), row) == 0)
        .unwrap();
    assert_eq!(wide[0].measures.score_headline, default.ip * 0.125);
    assert_eq!(
        (wide[0].measures.lambda_cond, wide[0].tokens),
        (default.lambda_cond.unwrap(), Some(16_000))
    );
    let again = bench(&[25, 50]).run(&kind()).unwrap();
    assert_eq!(again.bytes, made.bytes);
    // Another default reading.
    let other = Scores {
        group: Group::Inf,
        hidden: Hidden::Pre,
        vocab: Vocab::Labels,
        ..kind()
    };
    let made = bench(&[25]).run(&other).unwrap();
    let row = all.iter().find(|row| departures(&other, row) == 0).unwrap();
    assert_eq!(
        reading(row),
        ["group-norm", "inf", "exact", "pre", "labels"]
    );
    let wide: Vec<WideRow> = made.rows("wide", &SCORES_WIDE);
    assert_eq!(wide[0].measures.ip, row.ip);
}

#[test]
fn what_does_not_join_is_said() {
    let message = |bench: Bench, kind: &Scores| bench.refusal(kind);
    let lacking = bench(&[25]).with("headroom", &HEADROOM, &headrooms(50));
    assert_eq!(
        message(lacking, &kind()),
        "costates lack step 50, which headrooms have"
    );
    assert_eq!(
        message(bench(&[25, 25]), &kind()),
        "costates have step 25 twice; the ladder needs one checkpoint per step"
    );
    let sixteen = Scores {
        group: Group::N(16),
        ..kind()
    };
    assert_eq!(
        message(bench(&[25]), &sixteen),
        "step 25: no signal with advantage group-norm, group 16, hidden post, vocab full, \
         exact (there are: advantage group-norm, group-norm-pop, mean-only, none, rloo; group \
         8, inf; hidden post, pre; vocab full, labels; exact, sampled)"
    );
    let third = Scores {
        alpha: 3.0,
        ..kind()
    };
    assert_eq!(
        message(bench(&[25]), &third),
        "step 25: no per-prompt headroom with alpha 3, vocab full \
         (there are: alpha 0.5, 1, 2, 5, 10)"
    );
}

#[test]
fn ranges_are_held() {
    let message = |kind: Scores| kind.check().unwrap_err().message;
    assert_eq!(
        message(Scores {
            alpha: 0.0,
            ..kind()
        }),
        "`alpha` is 0; allowed: finite and above 0"
    );
    assert_eq!(
        message(Scores {
            group: Group::N(1),
            ..kind()
        }),
        "`group` is 1; allowed: at least 2, or \"inf\""
    );
    assert_eq!(
        message(Scores {
            departures: 6,
            ..kind()
        }),
        "`departures` is 6; allowed: 0 to 5"
    );
    assert_eq!(kind().check(), Ok(()));
}
