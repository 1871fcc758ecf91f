//! `fit-affine`: lines of gain over a score, and what they say of each checkpoint.
use anyhow::{Result, ensure};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    artifact::{
        ArtifactType,
        schema::{AFFINE, IMPACT, PREDICTIONS},
        table::{encode_rows, read_rows},
    },
    stage::{Context, InputPort, Inputs, OutputPort, Outputs, Ports, Produced, Stage},
    stages::rows::{ImpactRow, PredictionRow, Target, WideScore, budgets, by_learning_rate},
    stats::{Kappa, LeaveOneOut, Ols, kappa, leave_one_out, ols},
};

/// Least squares of gain on a score over checkpoints, per learning rate, for
/// gain_mean and each gain_k; beside it the line without intercept, gain = kappa
/// score (eq. 30). Predictions are in sample, and leave-one-out beside them.
/// Needs at least 3 checkpoints.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FitAffine {
    /// The score on the x axis.
    #[serde(default)]
    pub score: WideScore,
}

/// The least number of checkpoints: through two, any line fits.
const LEAST: usize = 3;

impl Stage for FitAffine {
    const KIND: &'static str = "fit-affine";
    const VERSION: u32 = 1;
    const ABOUT: &'static str =
        "gain fitted over a score, by least squares and by kappa alone (eq. 30)";
    const PORTS: Ports = Ports {
        inputs: &[InputPort::one(
            "impact",
            ArtifactType::Table(IMPACT.name),
            "gains and scores by checkpoint",
        )],
        outputs: &[
            OutputPort::new(
                "affine",
                ArtifactType::Table(AFFINE.name),
                "one line per learning rate and target",
            ),
            OutputPort::new(
                "predictions",
                ArtifactType::Table(PREDICTIONS.name),
                "predicted and measured gain of each checkpoint",
            ),
        ],
    };

    fn run(&self, inputs: &Inputs, _context: &Context<'_>) -> Result<Outputs> {
        let impact: Vec<ImpactRow> = read_rows(inputs.one("impact")?, &IMPACT)?;
        let (mut lines, mut predictions) = (Vec::new(), Vec::new());
        for (learning_rate, rows) in by_learning_rate(&impact, |r| (r.learning_rate, r.step)) {
            ensure!(
                rows.len() >= LEAST,
                "fit-affine needs at least {LEAST} checkpoints, got {}",
                rows.len()
            );
            let gains = budgets(&rows).into_iter().map(Target::Gain);
            for target in std::iter::once(Target::GainMean).chain(gains) {
                let fit = Fit::of(self.score, target, &rows);
                lines.push(fit.line(learning_rate));
                predictions.extend(fit.predictions(learning_rate, &rows));
            }
        }
        Ok(Outputs::new()
            .with("affine", Produced::Bytes(encode_rows(&lines, &AFFINE)?))
            .with(
                "predictions",
                Produced::Bytes(encode_rows(&predictions, &PREDICTIONS)?),
            ))
    }
}

/// A row of `affine`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Line {
    learning_rate: f64,
    score: String,
    target: String,
    n: i64,
    slope: Option<f64>,
    intercept: Option<f64>,
    slope_sign: Option<i64>,
    r2: Option<f64>,
    rmse: Option<f64>,
    loo_rmse: Option<f64>,
    loo_mae: Option<f64>,
    loo_undefined: Option<i64>,
    kappa: Option<f64>,
    kappa_r2_centred: Option<f64>,
    kappa_r2_uncentred: Option<f64>,
}

/// One target against the score.
struct Fit {
    score: WideScore,
    target: Target,
    x: Vec<f64>,
    y: Vec<f64>,
    /// `None` for a constant score.
    line: Option<Ols>,
    left_out: Option<LeaveOneOut>,
    kappa: Option<Kappa>,
}

impl Fit {
    fn of(score: WideScore, target: Target, rows: &[&ImpactRow]) -> Fit {
        let x: Vec<f64> = rows.iter().map(|row| score.of(&row.measures)).collect();
        let y = target.of(rows);
        Fit {
            score,
            target,
            line: ols(&x, &y),
            left_out: leave_one_out(&x, &y),
            kappa: kappa(&x, &y),
            x,
            y,
        }
    }

    fn line(&self, learning_rate: f64) -> Line {
        let left_out = self.left_out.as_ref();
        let sign = |slope: f64| i64::from(slope > 0.0) - i64::from(slope < 0.0);
        Line {
            learning_rate,
            score: self.score.name().to_owned(),
            target: self.target.name(),
            n: self.x.len() as i64,
            slope: self.line.map(|line| line.slope),
            intercept: self.line.map(|line| line.intercept),
            slope_sign: self.line.map(|line| sign(line.slope)),
            r2: self.line.and_then(|line| line.r2),
            rmse: self.line.map(|line| line.rmse),
            loo_rmse: left_out.map(|errors| errors.rmse),
            loo_mae: left_out.map(|errors| errors.mae),
            loo_undefined: left_out.map(|errors| errors.undefined as i64),
            kappa: self.kappa.map(|fit| fit.kappa),
            kappa_r2_centred: self.kappa.and_then(|fit| fit.r2_centred),
            kappa_r2_uncentred: self.kappa.and_then(|fit| fit.r2_uncentred),
        }
    }

    fn predictions(&self, learning_rate: f64, rows: &[&ImpactRow]) -> Vec<PredictionRow> {
        let row = |(index, row): (usize, &&ImpactRow)| {
            let (score_value, measured) = (self.x[index], self.y[index]);
            let predicted = self.line.map(|line| line.predict(score_value));
            let error = self.left_out.as_ref().and_then(|all| all.errors[index]);
            PredictionRow {
                step: row.step,
                tokens: row.tokens,
                learning_rate,
                score: self.score.name().to_owned(),
                target: self.target.name(),
                score_value,
                r_before: row.measures.r_before,
                predicted,
                measured,
                residual: predicted.map(|predicted| measured - predicted),
                predicted_loo: error.map(|error| measured - error),
                predicted_kappa: self.kappa.map(|fit| fit.kappa * score_value),
            }
        };
        rows.iter().enumerate().map(row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::testing::{Bench, impact_rows};

    fn kind() -> FitAffine {
        serde_json::from_str("{}").unwrap()
    }

    fn bench(rows: &[ImpactRow]) -> Bench {
        Bench::new().with("impact", &IMPACT, rows)
    }

    #[test]
    fn an_exact_line_is_found_per_rate_and_target() {
        let mut rows = impact_rows(5, &[1e-4, 3e-4], &[10, 20], 3);
        for row in &mut rows {
            let slope = if row.learning_rate < 2e-4 { 2.0 } else { -3.0 };
            row.gain_mean = slope * row.measures.score_headline + 0.125;
        }
        let made = bench(&rows).run(&kind()).unwrap();
        let lines: Vec<Line> = made.rows("affine", &AFFINE);
        let targets: Vec<&str> = lines.iter().map(|line| line.target.as_str()).collect();
        let three = ["gain_mean", "gain_k10", "gain_k20"];
        assert_eq!(targets, [three, three].concat());
        assert!((lines[0].slope.unwrap() - 2.0).abs() < 1e-12);
        assert!((lines[0].intercept.unwrap() - 0.125).abs() < 1e-12);
        assert!((lines[3].slope.unwrap() + 3.0).abs() < 1e-12);
        assert_eq!(
            (lines[0].slope_sign, lines[3].slope_sign),
            (Some(1), Some(-1))
        );
        assert!(lines[0].loo_rmse.unwrap() < 1e-12 && lines[1].loo_rmse.unwrap() > 1e-4);
        let predictions: Vec<PredictionRow> = made.rows("predictions", &PREDICTIONS);
        assert_eq!(predictions.len(), 2 * 3 * 5);
        for row in &predictions {
            let residual = row.measured - row.predicted.unwrap();
            assert_eq!(row.residual, Some(residual));
            if row.target == "gain_mean" {
                assert!((row.predicted_loo.unwrap() - row.measured).abs() < 1e-12);
            }
        }
        assert_eq!(bench(&rows).run(&kind()).unwrap().bytes, made.bytes);
    }

    #[test]
    fn a_constant_score_has_no_line_and_says_so_by_missing_values() {
        let mut rows = impact_rows(4, &[1e-4], &[10], 2);
        for row in &mut rows {
            row.measures.sigma = 0.5;
        }
        let sigma: FitAffine = serde_json::from_str(r#"{"score": "sigma"}"#).unwrap();
        let made = bench(&rows).run(&sigma).unwrap();
        let lines: Vec<Line> = made.rows("affine", &AFFINE);
        assert_eq!(
            (lines[0].slope, lines[0].r2, lines[0].slope_sign),
            (None, None, None)
        );
        let mean = rows.iter().map(|row| row.gain_mean).sum::<f64>() / 4.0;
        assert!((lines[0].kappa.unwrap() - 2.0 * mean).abs() < 1e-12);
        let predictions: Vec<PredictionRow> = made.rows("predictions", &PREDICTIONS);
        assert!(predictions.iter().all(|row| row.predicted.is_none()));
    }

    #[test]
    fn two_checkpoints_are_too_few() {
        let rows = impact_rows(2, &[1e-4], &[10], 2);
        assert_eq!(
            bench(&rows).refusal(&kind()),
            "fit-affine needs at least 3 checkpoints, got 2"
        );
    }
}
