//! Figures under values that no ladder should give: whatever comes, no panic,
//! no NaN in the drawing, and every coordinate on the sheet.
use std::collections::BTreeMap;

use proptest::prelude::{Just, Strategy, any, prop, prop_oneof, proptest};

use crate::report::data::{Affine, Axis, GapPoint, Reading};
use crate::report::figure::{
    Calibration, Dumbbell, Estimate, Pair, Trajectory, calibration, component_levels, dumbbell,
    forest, gain_by_budget, gap, readings, scores_by_step, trajectory,
};

type Row = (u64, Option<f64>, Option<f64>, Option<f64>);

fn value() -> impl Strategy<Value = Option<f64>> {
    prop_oneof![
        Just(None),
        Just(Some(f64::NAN)),
        Just(Some(f64::INFINITY)),
        Just(Some(0.25)),
        Just(Some(0.0)),
        Just(Some(f64::MIN_POSITIVE / 8.0)),
        Just(Some(f64::MAX)),
        any::<f64>().prop_map(Some),
        (-1.0..1.0).prop_map(Some),
    ]
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let step = prop_oneof![any::<u64>(), 0..400_u64];
    prop::collection::vec((step, value(), value(), value()), 0..6)
}

fn draw_all(rate: f64, rows: &[Row]) -> Vec<Option<String>> {
    let first = rows.first().copied().unwrap_or((0, None, None, None));
    let affine = Affine {
        slope: first.1,
        intercept: first.2,
        r2: first.3,
        n: rows.len(),
        loo_rmse: first.3,
    };
    let line: Vec<_> = rows.iter().map(|row| (row.0, row.1)).collect();
    let pairs = rows.iter().map(|row| Pair {
        step: row.0,
        before: row.1,
        after: row.2,
        predicted: row.3,
    });
    let mut figures = vec![
        dumbbell(&Dumbbell {
            learning_rate: rate,
            pairs: pairs.collect(),
            loo_rmse: first.3,
            recommended: Some(first.0),
            best: Some(first.0),
        }),
        trajectory(&Trajectory {
            learning_rate: rate,
            measured: rows.iter().map(|row| (row.0, row.1, row.2)).collect(),
            predicted: rows.iter().map(|row| (row.0, row.3)).collect(),
            loo_rmse: first.3,
        }),
        calibration(&Calibration {
            learning_rate: rate,
            points: rows.iter().map(|row| (row.0, row.1, row.2)).collect(),
            affine: Some(affine),
        }),
        gain_by_budget(
            rate,
            &BTreeMap::from([(10, line.clone()), (20, Vec::new())]),
        ),
        component_levels(&[("sigma".to_owned(), line.clone())]),
        scores_by_step(&line, Some(first.0)),
    ];
    figures.extend(draw_correlations(rate, rows));
    figures
}

fn draw_correlations(rate: f64, rows: &[Row]) -> [Option<String>; 3] {
    let estimates: Vec<_> = rows
        .iter()
        .map(|row| Estimate {
            name: row.0.to_string(),
            baseline: row.0 % 2 == 0,
            rho: row.1,
            lo: row.2,
            hi: row.3,
        })
        .collect();
    let bars: Vec<_> = rows
        .iter()
        .zip(["score", "r_before", "combined", "score", "other", "score"])
        .map(|(row, predictor)| Reading {
            predictor: predictor.to_owned(),
            target: "gain_mean".to_owned(),
            over: Axis::Budgets,
            rho: row.1,
            spread: row.2,
            n: 4,
        })
        .collect();
    let points: Vec<_> = rows
        .iter()
        .map(|row| GapPoint {
            step: row.0,
            mode: "missing".to_owned(),
            measured: row.1,
            bound: row.2,
        })
        .collect();
    [
        forest(rate, rows.len(), &estimates),
        readings(rate, &bars),
        gap(&points),
    ]
}

proptest! {
    #[test]
    fn no_value_breaks_a_figure(rate in any::<f64>(), rows in rows()) {
        for svg in draw_all(rate, &rows).into_iter().flatten() {
            let title = format!("learning rate {rate:e}");
            let drawn = svg.replace(&title, "");
            assert!(!drawn.contains("NaN") && !drawn.contains("inf"), "{drawn}");
            for (attribute, limit) in [("cx=\"", 820), ("cy=\"", 700), ("x1=\"", 820)] {
                for place in drawn.split(attribute).skip(1) {
                    let number = place.split('"').next().unwrap_or_default();
                    let number: i64 = number.parse().expect("plotters writes whole pixels");
                    assert!((-40..=limit).contains(&number), "{attribute}{number}");
                }
            }
        }
    }
}

#[test]
fn one_point_is_drawn_and_none_is_not() {
    for svg in draw_all(1e-4, &[(25, Some(0.1), Some(0.2), Some(0.3))]) {
        let svg = svg.expect("one checkpoint with values is a figure");
        assert!(svg.contains("circle") || svg.contains("rect x"), "{svg}");
    }
    assert!(draw_all(1e-4, &[]).iter().all(Option::is_none));
    assert!(
        draw_all(1e-4, &[(25, None, Some(f64::NAN), None)])
            .iter()
            .all(Option::is_none)
    );
}

#[test]
fn constant_data_have_axes() {
    let rows: Vec<Row> = (1..4)
        .map(|step| (25 * step, Some(0.2), Some(0.2), Some(0.2)))
        .collect();
    for svg in draw_all(1e-4, &rows) {
        assert!(svg.is_some_and(|svg| svg.contains("</text>") && !svg.contains("NaN")));
    }
}

#[test]
fn a_missing_value_breaks_the_line() {
    let line = |gap: Option<f64>| {
        vec![
            (1, Some(0.1)),
            (2, Some(0.2)),
            (3, gap),
            (4, Some(0.2)),
            (5, Some(0.1)),
        ]
    };
    let polylines = |gap| {
        let svg = gain_by_budget(1e-4, &BTreeMap::from([(10, line(gap))]));
        svg.map(|svg| svg.matches("<polyline").count())
    };
    assert_eq!(
        polylines(Some(f64::NAN)),
        polylines(Some(0.2)).map(|whole| whole + 1)
    );
}
