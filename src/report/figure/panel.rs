//! One pair of axes: data coordinates, grid, tick labels and axis titles.
use plotters::backend::SVGBackend;
use plotters::chart::{ChartBuilder, ChartContext, LabelAreaPosition};
use plotters::coord::cartesian::Cartesian2d;
use plotters::style::{Color, FontStyle, RGBColor};

use crate::report::figure::axis::Scale;
use crate::report::figure::pen::{Anchor, Area, Drawn, Pen, font};
use crate::report::figure::style::{Dash, Fill, GRID, INK, LABEL, Look, MUTED, SMALL, text_width};

/// A point whose y may be missing.
pub(super) type Point = (f64, Option<f64>);

/// Axes on an area, with a pen that draws at data coordinates.
pub(super) struct Panel<'a, 's> {
    chart: ChartContext<'a, SVGBackend<'s>, Cartesian2d<Scale, Scale>>,
    pen: Pen<'s>,
    x: Scale,
    y: Scale,
}

impl<'a, 's> Panel<'a, 's> {
    /// Draws the axes. A subtitle stands above the panel where there is one.
    pub(super) fn new(
        pen: &Pen<'s>,
        area: &'a Area<'s>,
        x: Scale,
        y: Scale,
        subtitle: Option<&str>,
    ) -> Drawn<Self> {
        let widest = y.labels().map(|label| text_width(label, LABEL)).max();
        let title_width = if y.title.is_empty() { 0 } else { 24 };
        let left = widest.unwrap_or(0) + title_width + 16;
        let top = if subtitle.is_some() { 30 } else { 10 };
        let mut chart = ChartBuilder::on(area)
            .margin_top(top)
            .margin_right(18)
            .margin_bottom(8)
            .set_label_area_size(LabelAreaPosition::Left, left)
            .set_label_area_size(LabelAreaPosition::Bottom, 46)
            .build_cartesian_2d(x.clone(), y.clone())?;
        chart
            .configure_mesh()
            .bold_line_style(GRID.stroke_width(1))
            .axis_style(MUTED.stroke_width(1))
            .label_style(font(LABEL, FontStyle::Normal, INK))
            .axis_desc_style(font(LABEL, FontStyle::Normal, INK))
            .x_desc(x.title.clone())
            .y_desc(y.title.clone())
            .set_all_tick_mark_size(4)
            .draw()?;
        let panel = Panel {
            chart,
            pen: pen.clone(),
            x,
            y,
        };
        if let Some(text) = subtitle {
            let (left, top) = panel.corner();
            panel
                .pen
                .text((left, top - 15), text, LABEL, INK, Anchor::Start)?;
        }
        Ok(panel)
    }

    /// Upper left pixel of the plotting area.
    fn corner(&self) -> (i32, i32) {
        let (columns, rows) = self.chart.plotting_area().get_pixel_range();
        (columns.start, rows.start)
    }

    /// The pixel of a point, where both axes can show it.
    pub(super) fn at(&self, x: f64, y: f64) -> Option<(i32, i32)> {
        (self.x.shows(x) && self.y.shows(y))
            .then(|| self.chart.plotting_area().map_coordinate(&(x, y)))
    }

    /// A line through the points, broken where a value is missing, without markers.
    pub(super) fn line(&self, points: &[Point], look: Look) -> Drawn {
        for run in self.runs(points) {
            self.pen.line(&run, look.color, 2, look.dash)?;
        }
        Ok(())
    }

    /// Markers at the points that are there.
    pub(super) fn marks(&self, points: &[Point], look: Look, size: i32) -> Drawn {
        for pixel in points.iter().filter_map(|(x, y)| self.at(*x, (*y)?)) {
            self.pen.mark(pixel, look, size)?;
        }
        Ok(())
    }

    /// One marker, moved by `offset` pixels.
    pub(super) fn mark(&self, (x, y): (f64, f64), offset: (i32, i32), look: Look) -> Drawn {
        match self.at(x, y) {
            Some((column, row)) => self.pen.mark((column + offset.0, row + offset.1), look, 5),
            None => Ok(()),
        }
    }

    /// Line and markers.
    pub(super) fn series(&self, points: &[Point], look: Look) -> Drawn {
        self.line(points, look)?;
        self.marks(points, look, 4)
    }

    /// The area `radius` above and below the points, broken where a value is missing.
    pub(super) fn band(&self, points: &[Point], radius: f64, color: RGBColor) -> Drawn {
        let shifted = |offset: f64| -> Vec<Point> {
            points
                .iter()
                .map(|(x, y)| (*x, y.map(|y| y + offset)))
                .collect()
        };
        let (upper, lower) = (shifted(radius), shifted(-radius));
        for (mut above, below) in self.runs(&upper).into_iter().zip(self.runs(&lower)) {
            if let ([only], [under]) = (above.as_slice(), below.as_slice()) {
                let (x, top, bottom) = (only.0, only.1, under.1);
                above = vec![(x - 5, top), (x + 5, top), (x + 5, bottom), (x - 5, bottom)];
            } else {
                above.extend(below.into_iter().rev());
            }
            self.pen.band(above, color)?;
        }
        Ok(())
    }

    /// A vertical interval with caps, drawn `shift` pixels to the right of x.
    pub(super) fn whisker(
        &self,
        x: f64,
        (low, high): (f64, f64),
        shift: i32,
        color: RGBColor,
    ) -> Drawn {
        let (Some((column, bottom)), Some((_, top))) = (self.at(x, low), self.at(x, high)) else {
            return Ok(());
        };
        let column = column + shift;
        self.pen
            .line(&[(column, bottom), (column, top)], color, 1, Dash::Solid)?;
        for y in [bottom, top] {
            self.pen
                .line(&[(column - 3, y), (column + 3, y)], color, 1, Dash::Solid)?;
        }
        Ok(())
    }

    /// A straight line between two points of the plot.
    pub(super) fn segment(
        &self,
        from: (f64, f64),
        to: (f64, f64),
        color: RGBColor,
        width: u32,
        dash: Dash,
    ) -> Drawn {
        match (self.at(from.0, from.1), self.at(to.0, to.1)) {
            (Some(start), Some(end)) => self.pen.line(&[start, end], color, width, dash),
            _ => Ok(()),
        }
    }

    /// A bar from zero to y, `width` pixels wide, `shift` pixels to the right of x.
    pub(super) fn bar(
        &self,
        x: f64,
        y: f64,
        shift: i32,
        width: i32,
        (color, fill): (RGBColor, Fill),
    ) -> Drawn {
        let (Some((column, base)), Some((_, top))) = (self.at(x, 0.0), self.at(x, y)) else {
            return Ok(());
        };
        let left = column + shift - width / 2;
        self.pen.bar((left, base), (left + width, top), color, fill)
    }

    /// A small text beside a point, moved by `offset` pixels.
    pub(super) fn note(
        &self,
        (x, y): (f64, f64),
        offset: (i32, i32),
        text: &str,
        anchor: Anchor,
    ) -> Drawn {
        match self.at(x, y) {
            Some((column, row)) => self.pen.text(
                (column + offset.0, row + offset.1),
                text,
                SMALL,
                MUTED,
                anchor,
            ),
            None => Ok(()),
        }
    }

    /// Runs of consecutive drawable points, in pixels.
    fn runs(&self, points: &[Point]) -> Vec<Vec<(i32, i32)>> {
        let pixels: Vec<_> = points.iter().map(|(x, y)| self.at(*x, (*y)?)).collect();
        pixels
            .split(Option::is_none)
            .filter(|run| !run.is_empty())
            .map(|run| run.iter().flatten().copied().collect())
            .collect()
    }
}
