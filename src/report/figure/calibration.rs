//! The fit behind the prediction: measured gain over score, with the affine line.
use crate::report::data::Affine;
use crate::report::figure::axis::Scale;
use crate::report::figure::panel::{Panel, Point};
use crate::report::figure::pen::{Anchor, Drawn, Entry, Frame, svg};
use crate::report::figure::style::{BLACK, BLUE, Dash, Look, SKY, SMALL, Shape, text_width};
use crate::report::number::{finite, learning_rate};

/// Scores and gains of one learning rate.
#[derive(Debug, Clone, Default)]
pub(in crate::report) struct Calibration {
    pub(in crate::report) learning_rate: f64,
    /// Step, headline score, measured mean gain.
    pub(in crate::report) points: Vec<(u64, Option<f64>, Option<f64>)>,
    pub(in crate::report) affine: Option<Affine>,
}

const MEASURED: Look = Look::new(BLUE, Shape::Circle, false, Dash::Solid);
const LINE: Look = Look::new(BLACK, Shape::Cross, true, Dash::Solid);

/// None where no checkpoint has both a score and a gain.
pub(in crate::report) fn calibration(data: &Calibration) -> Option<String> {
    let known: Vec<(u64, f64, f64)> = data
        .points
        .iter()
        .filter_map(|(step, score, gain)| Some((*step, finite(*score)?, finite(*gain)?)))
        .collect();
    known.first()?;
    let x = Scale::linear(
        "headline score IP × H (reward³ / hidden²)",
        known.iter().map(|point| point.1),
    );
    let (low, high) = x.ends();
    let predict = |score: f64| {
        data.affine
            .as_ref()
            .and_then(|affine| affine.predict(Some(score)))
    };
    let line: Vec<Point> = [low, high]
        .iter()
        .map(|score| (*score, predict(*score)))
        .collect();
    let fitted = line.iter().all(|point| point.1.is_some());
    let radius = data
        .affine
        .as_ref()
        .and_then(|affine| finite(affine.loo_rmse))
        .map(f64::abs)
        .filter(|_| fitted);
    let mut legend = vec![Entry::mark(MEASURED, "checkpoint, labelled by step")];
    if fitted {
        legend.push(Entry::rule(LINE, "affine fit, least squares"));
    }
    if radius.is_some() {
        legend.push(Entry::band(SKY, "± leave-one-out error"));
    }
    let frame = Frame {
        title: format!("Measured gain against score, learning rate {}", learning_rate(data.learning_rate)),
        description: "One point per checkpoint: headline score and measured mean gain, with the least-squares line that predicts the gain.".to_owned(),
        legend,
        width: 820,
        height: 400,
    };
    Some(svg(&frame, |pen, area| {
        let band = radius.unwrap_or(0.0);
        let values = known.iter().map(|point| point.2).chain(
            line.iter()
                .filter_map(|point| point.1)
                .flat_map(|gain| [gain - band, gain + band]),
        );
        let y = Scale::linear("measured gain, mean over K and seeds (reward)", values);
        let panel = Panel::new(pen, area, x, y, None)?;
        if fitted {
            panel.band(&line, band, SKY)?;
            panel.line(&line, LINE)?;
        }
        let points: Vec<Point> = known
            .iter()
            .map(|(_, score, gain)| (*score, Some(*gain)))
            .collect();
        panel.marks(&points, MEASURED, 4)?;
        label(&panel, &known)
    }))
}

/// A box in pixels: left, top, right, bottom.
type Patch = (i32, i32, i32, i32);

/// Writes each step beside its point where no point and no earlier label stands.
fn label(panel: &Panel<'_, '_>, known: &[(u64, f64, f64)]) -> Drawn {
    let mut taken: Vec<Patch> = known
        .iter()
        .filter_map(|(_, x, y)| panel.at(*x, *y))
        .map(|(x, y)| (x - 5, y - 5, x + 5, y + 5))
        .collect();
    for (step, x, y) in known {
        let text = step.to_string();
        let width = text_width(&text, SMALL);
        let Some((column, row)) = panel.at(*x, *y) else {
            continue;
        };
        let places = [
            (9, 0, Anchor::Start, 9),
            (-9, 0, Anchor::End, -9 - width),
            (0, -14, Anchor::Middle, -width / 2),
            (0, 14, Anchor::Middle, -width / 2),
        ];
        let free = places.into_iter().find_map(|(dx, dy, anchor, left)| {
            let patch = (
                column + left,
                row + dy - 6,
                column + left + width,
                row + dy + 6,
            );
            let clear = taken.iter().all(|other| !overlap(*other, patch));
            clear.then_some((dx, dy, anchor, patch))
        });
        if let Some((dx, dy, anchor, patch)) = free {
            panel.note((*x, *y), (dx, dy), &text, anchor)?;
            taken.push(patch);
        }
    }
    Ok(())
}

fn overlap(one: Patch, other: Patch) -> bool {
    one.0 < other.2 && other.0 < one.2 && one.1 < other.3 && other.1 < one.3
}
