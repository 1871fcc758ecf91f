//! R_before to R_after per checkpoint, with the prediction and the marked choices.
use crate::report::figure::axis::Scale;
use crate::report::figure::panel::{Panel, Point};
use crate::report::figure::pen::{Entry, Frame, svg};
use crate::report::figure::style::{BLACK, BLUE, Dash, Look, ORANGE, SKY, Shape, VERMILLION};
use crate::report::number::{finite, learning_rate};

/// One checkpoint of the dumbbell figure; rewards.
#[derive(Debug, Clone, Default)]
pub(in crate::report) struct Pair {
    pub(in crate::report) step: u64,
    pub(in crate::report) before: Option<f64>,
    /// Mean over budgets and seeds.
    pub(in crate::report) after: Option<f64>,
    /// R_before plus the predicted gain.
    pub(in crate::report) predicted: Option<f64>,
}

/// The dumbbell figure of one learning rate.
#[derive(Debug, Clone, Default)]
pub(in crate::report) struct Dumbbell {
    pub(in crate::report) learning_rate: f64,
    pub(in crate::report) pairs: Vec<Pair>,
    /// Half width of the prediction band, reward units.
    pub(in crate::report) loo_rmse: Option<f64>,
    pub(in crate::report) recommended: Option<u64>,
    /// Step of the largest measured gain.
    pub(in crate::report) best: Option<u64>,
}

const BEFORE: Look = Look::new(VERMILLION, Shape::Circle, true, Dash::Solid);
const AFTER: Look = Look::new(BLUE, Shape::Circle, false, Dash::Solid);
const PREDICTED: Look = Look::new(BLACK, Shape::Cross, true, Dash::Dashed);
const RECOMMENDED: Look = Look::new(ORANGE, Shape::Down, false, Dash::Solid);
const BEST: Look = Look::new(BLACK, Shape::Diamond, true, Dash::Solid);

/// Share of the reward axis that the markers over a dumbbell need.
const MARKER_ROOM: f64 = 0.1;

/// None where no checkpoint has a reward.
pub(in crate::report) fn dumbbell(data: &Dumbbell) -> Option<String> {
    let radius = finite(data.loo_rmse).map(f64::abs);
    let drawn: Vec<f64> = data
        .pairs
        .iter()
        .flat_map(|pair| {
            let band = finite(pair.predicted).map(|value| {
                let radius = radius.unwrap_or(0.0);
                [value - radius, value + radius]
            });
            [finite(pair.before), finite(pair.after)]
                .into_iter()
                .flatten()
                .chain(band.into_iter().flatten())
        })
        .collect();
    if !data
        .pairs
        .iter()
        .any(|pair| finite(pair.before).or(finite(pair.after)).is_some())
    {
        return None;
    }
    let frame = Frame {
        title: format!("Reward before and after RL, learning rate {}", learning_rate(data.learning_rate)),
        description: "One vertical dumbbell per pretraining checkpoint from the expected reward before RL to the mean reward after it; the prediction is a dashed line with a band.".to_owned(),
        legend: legend(data, radius.is_some()),
        width: 820,
        height: 400,
    };
    Some(svg(&frame, |pen, area| {
        let x = Scale::steps(data.pairs.iter().map(|pair| pair.step), 9);
        let marked = [data.recommended, data.best]
            .into_iter()
            .flatten()
            .filter_map(|step| Some(top_of(data, step)?.1 + MARKER_ROOM * length(&drawn)));
        let values = drawn.iter().copied().chain(marked);
        let y = Scale::linear("expected reward R (0 to 1)", values);
        let panel = Panel::new(pen, area, x, y, None)?;
        let predicted = points(data, |pair| pair.predicted);
        if let Some(radius) = radius {
            panel.band(&predicted, radius, SKY)?;
        }
        panel.line(&predicted, PREDICTED)?;
        if let [_] = predicted.as_slice() {
            panel.marks(&predicted, PREDICTED, 4)?;
        }
        for pair in &data.pairs {
            let x = pair.step as f64;
            if let (Some(before), Some(after)) = (finite(pair.before), finite(pair.after)) {
                panel.segment((x, before), (x, after), BLUE, 3, Dash::Solid)?;
            }
        }
        panel.marks(&points(data, |pair| pair.before), BEFORE, 4)?;
        panel.marks(&points(data, |pair| pair.after), AFTER, 4)?;
        let both = data.best.is_some() && data.best == data.recommended;
        for (step, look, lift) in [
            (data.recommended, RECOMMENDED, -16),
            (data.best, BEST, if both { -34 } else { -18 }),
        ] {
            if let Some((x, top)) = step.and_then(|step| top_of(data, step)) {
                panel.mark((x, top), (0, lift), look)?;
            }
        }
        Ok(())
    }))
}

fn legend(data: &Dumbbell, band: bool) -> Vec<Entry> {
    let mut legend = vec![
        Entry::mark(BEFORE, "R before RL"),
        Entry::mark(AFTER, "R after RL, mean over K and seeds"),
    ];
    if data
        .pairs
        .iter()
        .any(|pair| finite(pair.predicted).is_some())
    {
        legend.push(Entry::rule(PREDICTED, "predicted R after RL"));
        if band {
            legend.push(Entry::band(SKY, "± leave-one-out error"));
        }
    }
    if data.recommended.is_some() {
        legend.push(Entry::mark(RECOMMENDED, "recommended"));
    }
    if data.best.is_some() {
        legend.push(Entry::mark(BEST, "largest measured gain"));
    }
    legend
}

fn points(data: &Dumbbell, value: impl Fn(&Pair) -> Option<f64>) -> Vec<Point> {
    data.pairs
        .iter()
        .map(|pair| (pair.step as f64, finite(value(pair))))
        .collect()
}

/// From the smallest to the largest value.
fn length(values: &[f64]) -> f64 {
    let low = values.iter().copied().reduce(f64::min);
    let high = values.iter().copied().reduce(f64::max);
    low.zip(high).map_or(0.0, |(low, high)| high - low)
}

/// The upper end of a checkpoint's dumbbell, over which the markers stand.
fn top_of(data: &Dumbbell, step: u64) -> Option<(f64, f64)> {
    let pair = data.pairs.iter().find(|pair| pair.step == step)?;
    let top = [finite(pair.before), finite(pair.after)]
        .into_iter()
        .flatten()
        .reduce(f64::max)?;
    Some((step as f64, top))
}
