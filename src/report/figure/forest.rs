//! Forest plot: the rank correlation of each score and baseline with its interval.
use crate::report::figure::axis::Scale;
use crate::report::figure::panel::Panel;
use crate::report::figure::pen::{Anchor, Entry, Frame, svg};
use crate::report::figure::style::{BLUE, Dash, INK, LABEL, Look, MUTED, Shape, VERMILLION};
use crate::report::number::{finite, fixed, learning_rate};

/// One row of the forest plot.
#[derive(Debug, Clone, Default)]
pub(in crate::report) struct Estimate {
    pub(in crate::report) name: String,
    pub(in crate::report) baseline: bool,
    pub(in crate::report) rho: Option<f64>,
    pub(in crate::report) lo: Option<f64>,
    pub(in crate::report) hi: Option<f64>,
}

const SCORE: Look = Look::new(BLUE, Shape::Circle, false, Dash::Solid);
const BASELINE: Look = Look::new(VERMILLION, Shape::Square, true, Dash::Solid);
/// Pixels of the column of numbers.
const NUMBERS: i32 = 150;

/// None where no row has a correlation.
pub(in crate::report) fn forest(rate: f64, n: usize, rows: &[Estimate]) -> Option<String> {
    rows.iter().find_map(|row| finite(row.rho))?;
    let frame = Frame {
        title: format!("Scores against baselines, learning rate {}", learning_rate(rate)),
        description: "One row per score and baseline: Spearman correlation with the mean gain over checkpoints, with its bootstrap interval.".to_owned(),
        legend: vec![Entry::mark(SCORE, "score"), Entry::mark(BASELINE, "baseline")],
        width: 820,
        height: 70 + 26 * rows.len() as u32,
    };
    Some(svg(&frame, |pen, area| {
        let (plot, _) = area.split_horizontally(frame.width as i32 - NUMBERS);
        let names: Vec<String> = rows.iter().map(|row| row.name.clone()).collect();
        let x = Scale::between(
            &format!("Spearman ρ with the mean gain (no unit), {n} checkpoints, 95 % bootstrap"),
            -1.0,
            1.0,
            8,
        );
        let panel = Panel::new(pen, &plot, x, Scale::categories("", &names), None)?;
        panel.segment(
            (0.0, -0.5),
            (0.0, names.len() as f64 - 0.5),
            MUTED,
            1,
            Dash::Dashed,
        )?;
        for (place, row) in rows.iter().enumerate() {
            let y = place as f64;
            let look = if row.baseline { BASELINE } else { SCORE };
            if let (Some(lo), Some(hi)) = (finite(row.lo), finite(row.hi)) {
                panel.segment((lo, y), (hi, y), look.color, 2, Dash::Solid)?;
            }
            if let Some(rho) = finite(row.rho) {
                panel.mark((rho, y), (0, 0), look)?;
            }
            if let Some((_, pixel)) = panel.at(0.0, y) {
                let at = (frame.width as i32 - NUMBERS, pixel);
                pen.text(at, &numbers(row), LABEL, INK, Anchor::Start)?;
            }
        }
        Ok(())
    }))
}

fn numbers(row: &Estimate) -> String {
    if finite(row.rho).is_none() {
        return "undefined".to_owned();
    }
    let text = format!(
        "{} [{}, {}]",
        fixed(row.rho, 2),
        fixed(row.lo, 2),
        fixed(row.hi, 2)
    );
    text.replace('-', "−")
}
