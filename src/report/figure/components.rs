//! Figure 3 of the paper: gains per budget, and what the score is made of, by step.
use std::collections::BTreeMap;

use crate::report::figure::axis::Scale;
use crate::report::figure::panel::{Panel, Point};
use crate::report::figure::pen::{Entry, Frame, svg};
use crate::report::figure::style::{BLUE, Dash, Look, ORANGE, Shape, series};
use crate::report::number::{finite, learning_rate};

/// Step and value of one line.
pub(in crate::report) type Line = Vec<(u64, Option<f64>)>;

/// Left half: one line per budget. None where no gain was measured.
pub(in crate::report) fn gain_by_budget(
    rate: f64,
    budgets: &BTreeMap<u32, Line>,
) -> Option<String> {
    let named: Vec<(String, Line)> = budgets
        .iter()
        .map(|(budget, line)| (format!("K = {budget} updates"), line.clone()))
        .collect();
    lines(&Sheet {
        title: format!("Gain per budget, learning rate {}", learning_rate(rate)),
        description: "One line per budget of RL updates K: the gain over the pretraining step, mean over RL seeds.",
        y_title: "gain after K updates (reward)",
        lines: &named,
    })
}

/// Right half: each component divided by its largest absolute value.
/// None where no component has a value.
pub(in crate::report) fn component_levels(components: &[(String, Line)]) -> Option<String> {
    let scaled: Vec<(String, Line)> = components
        .iter()
        .filter_map(|(name, line)| Some((name.clone(), scaled(line)?)))
        .collect();
    lines(&Sheet {
        title: "Components of the score".to_owned(),
        description: "One line per component over the pretraining step, each divided by its largest absolute value.",
        y_title: "value / largest |value| (no unit)",
        lines: &scaled,
    })
}

/// The headline score alone, before any RL. None where it has no value.
pub(in crate::report) fn scores_by_step(
    score: &[(u64, Option<f64>)],
    picked: Option<u64>,
) -> Option<String> {
    const SCORE: Look = Look::new(BLUE, Shape::Circle, false, Dash::Solid);
    const PICKED: Look = Look::new(ORANGE, Shape::Down, false, Dash::Solid);
    let points: Vec<Point> = score
        .iter()
        .map(|(step, value)| (*step as f64, finite(*value)))
        .collect();
    points.iter().find_map(|(_, value)| *value)?;
    let top = points
        .iter()
        .find(|(step, _)| picked.is_some_and(|picked| picked as f64 == *step));
    let top = top.and_then(|(step, value)| Some((*step, (*value)?)));
    let mut legend = vec![Entry::line(SCORE, "headline score IP × H")];
    if top.is_some() {
        legend.push(Entry::mark(PICKED, "picked by the score"));
    }
    let frame = Frame {
        title: "The score before any RL".to_owned(),
        description: "The headline score over the pretraining step; no gain has been measured."
            .to_owned(),
        legend,
        width: 820,
        height: 340,
    };
    Some(svg(&frame, |pen, area| {
        let room = top.map(|(_, value)| value * 1.12);
        let y = Scale::from_zero(
            "score IP × H (reward³ / hidden²)",
            points.iter().filter_map(|point| point.1).chain(room),
        );
        let panel = Panel::new(
            pen,
            area,
            Scale::steps(score.iter().map(|row| row.0), 9),
            y,
            None,
        )?;
        panel.series(&points, SCORE)?;
        match top {
            Some(top) => panel.mark(top, (0, -16), PICKED),
            None => Ok(()),
        }
    }))
}

struct Sheet<'a> {
    title: String,
    description: &'static str,
    y_title: &'static str,
    lines: &'a [(String, Line)],
}

fn lines(sheet: &Sheet<'_>) -> Option<String> {
    let values: Vec<f64> = sheet
        .lines
        .iter()
        .flat_map(|(_, line)| line)
        .filter_map(|(_, value)| finite(*value))
        .collect();
    values.first()?;
    let frame = Frame {
        title: sheet.title.clone(),
        description: sheet.description.to_owned(),
        legend: sheet
            .lines
            .iter()
            .enumerate()
            .map(|(index, (name, _))| Entry::line(series(index), name))
            .collect(),
        width: 820,
        height: 340,
    };
    Some(svg(&frame, |pen, area| {
        let steps = sheet
            .lines
            .iter()
            .flat_map(|(_, line)| line)
            .map(|(step, _)| *step);
        let y = Scale::from_zero(sheet.y_title, values);
        let panel = Panel::new(pen, area, Scale::steps(steps, 9), y, None)?;
        for (index, (_, line)) in sheet.lines.iter().enumerate() {
            let points: Vec<Point> = line
                .iter()
                .map(|(step, value)| (*step as f64, finite(*value)))
                .collect();
            panel.series(&points, series(index))?;
        }
        Ok(())
    }))
}

/// The line over its largest absolute value; all zeros stay zero. None without values.
fn scaled(line: &[(u64, Option<f64>)]) -> Option<Line> {
    let largest = line
        .iter()
        .filter_map(|(_, value)| finite(*value))
        .map(f64::abs)
        .reduce(f64::max)?;
    let divisor = if largest > 0.0 { largest } else { 1.0 };
    Some(
        line.iter()
            .map(|(step, value)| (*step, finite(*value).map(|value| value / divisor)))
            .collect(),
    )
}
