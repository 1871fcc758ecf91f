//! Figure 2 of the paper: the measured gap against the entropy bound.
//!
//! The bound is one-sided and loose by orders, so both axes are logarithmic and
//! nothing is fitted.
use std::collections::BTreeMap;

use crate::report::data::GapPoint;
use crate::report::figure::axis::Scale;
use crate::report::figure::panel::{Panel, Point};
use crate::report::figure::pen::{Entry, Frame, svg};
use crate::report::figure::style::{BLACK, Dash, Look, Shape, series};
use crate::report::number::finite;

/// None where no point has a positive gap and a positive bound.
pub(in crate::report) fn gap(data: &[GapPoint]) -> Option<String> {
    let mut modes: BTreeMap<&str, Vec<Point>> = BTreeMap::new();
    for point in data {
        let positive = |value: Option<f64>| finite(value).filter(|number| *number > 0.0);
        if let (Some(measured), Some(bound)) = (positive(point.measured), positive(point.bound)) {
            modes
                .entry(&point.mode)
                .or_default()
                .push((bound, Some(measured)));
        }
    }
    let bounds: Vec<f64> = modes.values().flatten().map(|point| point.0).collect();
    let gaps: Vec<f64> = modes
        .values()
        .flatten()
        .filter_map(|point| point.1)
        .collect();
    bounds.first()?;
    let equal = Look::new(BLACK, Shape::Cross, true, Dash::Solid);
    let mut legend: Vec<Entry> = modes
        .keys()
        .enumerate()
        .map(|(index, mode)| Entry::mark(series(index), *mode))
        .collect();
    legend.push(Entry::rule(
        equal,
        "gap = bound; the bound holds on and below it",
    ));
    let frame = Frame {
        title: "Measured gap against the bound".to_owned(),
        description:
            "One point per checkpoint and mode on logarithmic axes: the bound and the measured gap."
                .to_owned(),
        legend,
        width: 820,
        height: 380,
    };
    Some(svg(&frame, |pen, area| {
        let reach: Vec<f64> = gaps.iter().chain(&bounds).copied().collect();
        let x = Scale::logarithmic("bound of eq. 21 (gradient norm, log scale)", bounds);
        // With the bounds on y too, the distance from the line shows how loose they are.
        let y = Scale::logarithmic("measured gap (gradient norm, log scale)", reach);
        let (left, right) = x.ends();
        let (bottom, top) = y.ends();
        let (low, high) = (left.max(bottom), right.min(top));
        let panel = Panel::new(pen, area, x, y, None)?;
        if low < high {
            panel.segment((low, low), (high, high), equal.color, 2, equal.dash)?;
        }
        for (index, points) in modes.values().enumerate() {
            panel.marks(points, series(index), 4)?;
        }
        Ok(())
    }))
}
