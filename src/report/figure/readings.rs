//! Figure 5 of the paper: rank correlations of score, R_before and both, in both readings.
//!
//! The paper's prose and its caption disagree on what the bars are taken over,
//! so both are drawn, each in its own panel.
use crate::report::data::{Axis, Reading};
use crate::report::figure::axis::Scale;
use crate::report::figure::panel::Panel;
use crate::report::figure::pen::{Anchor, Entry, Frame, svg};
use crate::report::figure::style::{BLUE, Dash, Fill, GREEN, INK, MUTED, ORANGE};
use crate::report::number::{finite, learning_rate};
use plotters::style::RGBColor;

const BARS: [(&str, &str, RGBColor, Fill); 3] = [
    ("score", "score alone", BLUE, Fill::Solid),
    ("r_before", "R before alone", ORANGE, Fill::Striped),
    ("combined", "combined", GREEN, Fill::Outline),
];
const TARGETS: [(&str, &str); 2] = [
    ("gain_mean", "mean gain"),
    ("r_after_mean", "mean R after RL"),
];
const BAR: i32 = 38;

/// None where no reading has a correlation.
pub(in crate::report) fn readings(rate: f64, data: &[Reading]) -> Option<String> {
    data.iter().find_map(|reading| finite(reading.rho))?;
    let frame = Frame {
        title: format!("Rank correlation with RL outcomes, learning rate {}", learning_rate(rate)),
        description: "Two panels of bars, one averaging over budgets and one over RL seeds: Spearman correlation of score alone, reward before RL alone and both, with the mean gain and with the reward after RL.".to_owned(),
        legend: BARS.iter().map(|(_, label, color, fill)| Entry::bar(*color, *fill, *label)).collect(),
        width: 820,
        height: 330,
    };
    Some(svg(&frame, |pen, area| {
        let halves = area.split_evenly((1, 2));
        let panels = [
            (Axis::Budgets, "over budgets K"),
            (Axis::RlSeeds, "over RL seeds"),
        ];
        for (half, (over, name)) in halves.iter().zip(panels) {
            let bars: Vec<&Reading> = data
                .iter()
                .filter(|reading| reading.over == over && finite(reading.rho).is_some())
                .collect();
            let n = bars.iter().map(|reading| reading.n).max().unwrap_or(0);
            let subtitle = if bars.is_empty() {
                format!("{name}: no data")
            } else {
                format!("mean ± sd {name} (n = {n})")
            };
            let x = Scale::places("target", &TARGETS.map(|(_, label)| label.to_owned()));
            let y = Scale::between("Spearman ρ over checkpoints (no unit)", -1.12, 1.12, 5);
            let panel = Panel::new(pen, half, x, y, Some(&subtitle))?;
            panel.segment((-0.5, 0.0), (1.5, 0.0), MUTED, 1, Dash::Solid)?;
            for reading in bars {
                draw_bar(&panel, reading)?;
            }
        }
        Ok(())
    }))
}

fn draw_bar(panel: &Panel<'_, '_>, reading: &Reading) -> crate::report::figure::pen::Drawn {
    let place = TARGETS.iter().position(|(name, _)| *name == reading.target);
    let bar = BARS
        .iter()
        .position(|(name, ..)| *name == reading.predictor);
    let (Some(place), Some(bar), Some(rho)) = (place, bar, finite(reading.rho)) else {
        return Ok(());
    };
    let (_, _, color, fill) = BARS[bar];
    let (x, shift) = (place as f64, (bar as i32 - 1) * (BAR + 6));
    panel.bar(x, rho, shift, BAR, (color, fill))?;
    let spread = finite(reading.spread).map_or(0.0, f64::abs);
    if spread > 0.0 {
        panel.whisker(x, (rho - spread, rho + spread), shift, INK)?;
    }
    let (end, lift) = if rho < 0.0 {
        (rho - spread, 10)
    } else {
        (rho + spread, -10)
    };
    panel.note(
        (x, end),
        (shift, lift),
        &format!("{rho:.2}").replacen('-', "−", 1),
        Anchor::Middle,
    )
}
