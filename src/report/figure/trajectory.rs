//! Figures 1 and 4 of the paper: measured gain and affine score along pretraining.
use crate::report::figure::axis::Scale;
use crate::report::figure::panel::{Panel, Point};
use crate::report::figure::pen::{Entry, Frame, svg};
use crate::report::figure::style::{BLUE, Dash, Look, ORANGE, Shape, VERMILLION};
use crate::report::number::{finite, learning_rate};

/// One learning rate's measured and predicted gains.
#[derive(Debug, Clone, Default)]
pub(in crate::report) struct Trajectory {
    pub(in crate::report) learning_rate: f64,
    /// Step, measured gain (mean over K and seeds), its sd over RL seeds.
    pub(in crate::report) measured: Vec<(u64, Option<f64>, Option<f64>)>,
    /// Step and affine(score).
    pub(in crate::report) predicted: Vec<(u64, Option<f64>)>,
    /// Half width of the prediction band, reward units.
    pub(in crate::report) loo_rmse: Option<f64>,
}

const MEASURED: Look = Look::new(BLUE, Shape::Circle, false, Dash::Solid);
const AFFINE: Look = Look::new(VERMILLION, Shape::Square, true, Dash::Dashed);

/// None where no gain was measured.
pub(in crate::report) fn trajectory(data: &Trajectory) -> Option<String> {
    let measured: Vec<Point> = data
        .measured
        .iter()
        .map(|(step, gain, _)| (*step as f64, finite(*gain)))
        .collect();
    let predicted: Vec<Point> = data
        .predicted
        .iter()
        .map(|(step, gain)| (*step as f64, finite(*gain)))
        .collect();
    measured.iter().find_map(|(_, gain)| *gain)?;
    let whiskers: Vec<(f64, f64, f64)> = data
        .measured
        .iter()
        .filter_map(|(step, gain, sd)| {
            let (gain, sd) = (finite(*gain)?, finite(*sd)?.abs());
            Some((*step as f64, gain - sd, gain + sd))
        })
        .collect();
    let radius = finite(data.loo_rmse)
        .map(f64::abs)
        .filter(|_| predicted.iter().any(|(_, gain)| gain.is_some()));
    let mut legend = vec![Entry::line(
        MEASURED,
        "measured gain, mean over K and seeds (bars: ± sd over RL seeds)",
    )];
    if predicted.iter().any(|(_, gain)| gain.is_some()) {
        legend.push(Entry::line(
            AFFINE,
            "affine(score), fitted on these checkpoints",
        ));
    }
    if radius.is_some() {
        legend.push(Entry::band(ORANGE, "± leave-one-out error"));
    }
    let frame = Frame {
        title: format!("Gain and score along pretraining, learning rate {}", learning_rate(data.learning_rate)),
        description: "Two lines over the pretraining step: the measured gain of RL averaged over budgets, and the affine function of the score fitted to it.".to_owned(),
        legend,
        width: 820,
        height: 360,
    };
    Some(svg(&frame, |pen, area| {
        let steps = data
            .measured
            .iter()
            .map(|row| row.0)
            .chain(data.predicted.iter().map(|row| row.0));
        let band = radius.unwrap_or(0.0);
        let values = measured
            .iter()
            .filter_map(|point| point.1)
            .chain(
                predicted
                    .iter()
                    .filter_map(|point| point.1)
                    .flat_map(|gain| [gain - band, gain + band]),
            )
            .chain(whiskers.iter().flat_map(|(_, low, high)| [*low, *high]));
        let y = Scale::from_zero("gain of RL, R after − R before (reward)", values);
        let panel = Panel::new(pen, area, Scale::steps(steps, 9), y, None)?;
        if let Some(radius) = radius {
            panel.band(&predicted, radius, ORANGE)?;
        }
        for (x, low, high) in &whiskers {
            panel.whisker(*x, (*low, *high), 0, BLUE)?;
        }
        panel.series(&predicted, AFFINE)?;
        panel.series(&measured, MEASURED)
    }))
}
