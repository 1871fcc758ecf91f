//! The figures: plain data in, an SVG document out, None where there is nothing to draw.
//!
//! One file per family of figures. What they share: `style` (palette, shapes,
//! dashes, fonts), `axis` (ranges and ticks), `pen` (marks in pixels, legend,
//! the document), `panel` (axes with data coordinates).
mod axis;
mod calibration;
mod components;
mod dumbbell;
mod forest;
mod gap;
#[cfg(test)]
mod hostile;
mod panel;
mod pen;
mod readings;
mod style;
mod trajectory;

pub(super) use calibration::{Calibration, calibration};
pub(super) use components::{component_levels, gain_by_budget, scores_by_step};
pub(super) use dumbbell::{Dumbbell, Pair, dumbbell};
pub(super) use forest::{Estimate, forest};
pub(super) use gap::gap;
pub(super) use readings::readings;
pub(super) use trajectory::{Trajectory, trajectory};
