//! Marks in pixels on plotters' SVG backend, the legend, and the document around them.
use plotters::backend::SVGBackend;
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea};
use plotters::element::{Circle, DashedPathElement, PathElement, Polygon, Rectangle, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontDesc, FontFamily, FontStyle, RGBColor, ShapeStyle, TextStyle};

use crate::report::figure::style::{
    Dash, FAMILY, Fill, INK, LABEL, Look, Shape, TITLE, printable, text_width,
};

pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
pub(super) type Drawn<T = ()> = Result<T, DrawingAreaErrorKind<std::io::Error>>;
type Pixel = (i32, i32);

/// Where a text stands relative to its point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    /// The text begins at the point.
    Start,
    Middle,
    End,
}

/// Draws marks at pixel coordinates of the whole figure.
#[derive(Clone)]
pub(super) struct Pen<'a> {
    area: Area<'a>,
}

impl Pen<'_> {
    pub(super) fn line(&self, points: &[Pixel], color: RGBColor, width: u32, dash: Dash) -> Drawn {
        let style = color.stroke_width(width);
        if points.len() < 2 {
            return Ok(());
        }
        match dash.pattern() {
            None => self.area.draw(&PathElement::new(points.to_vec(), style)),
            Some((length, gap)) => self.area.draw(&DashedPathElement::new(
                points.iter().copied(),
                length,
                gap,
                style,
            )),
        }
    }

    pub(super) fn mark(&self, at: Pixel, look: Look, size: i32) -> Drawn {
        let (x, y) = at;
        let outline = look.color.stroke_width(2);
        let corners = match look.shape {
            Shape::Circle => {
                let inside = if look.open {
                    ShapeStyle::from(&plotters::style::WHITE).filled()
                } else {
                    look.color.filled()
                };
                self.area.draw(&Circle::new(at, size, inside))?;
                return self.area.draw(&Circle::new(at, size, outline));
            }
            Shape::Cross => {
                self.line(
                    &[(x - size, y - size), (x + size, y + size)],
                    look.color,
                    2,
                    Dash::Solid,
                )?;
                return self.line(
                    &[(x - size, y + size), (x + size, y - size)],
                    look.color,
                    2,
                    Dash::Solid,
                );
            }
            Shape::Square => vec![
                (x - size, y - size),
                (x + size, y - size),
                (x + size, y + size),
                (x - size, y + size),
            ],
            Shape::Triangle => vec![
                (x, y - size - 1),
                (x + size + 1, y + size),
                (x - size - 1, y + size),
            ],
            Shape::Down => vec![
                (x, y + size + 1),
                (x + size + 1, y - size),
                (x - size - 1, y - size),
            ],
            Shape::Diamond => vec![
                (x, y - size - 2),
                (x + size + 2, y),
                (x, y + size + 2),
                (x - size - 2, y),
            ],
        };
        let inside = if look.open {
            plotters::style::WHITE.filled()
        } else {
            look.color.filled()
        };
        self.area.draw(&Polygon::new(corners.clone(), inside))?;
        let closed: Vec<Pixel> = corners.iter().chain(corners.first()).copied().collect();
        self.area.draw(&PathElement::new(closed, outline))
    }

    /// A light area between two borders of a series.
    pub(super) fn band(&self, corners: Vec<Pixel>, color: RGBColor) -> Drawn {
        self.area.draw(&Polygon::new(corners, color.mix(0.18)))
    }

    pub(super) fn bar(&self, corner: Pixel, opposite: Pixel, color: RGBColor, fill: Fill) -> Drawn {
        let (left, right) = (corner.0.min(opposite.0), corner.0.max(opposite.0));
        let (top, bottom) = (corner.1.min(opposite.1), corner.1.max(opposite.1));
        let inside = match fill {
            Fill::Solid => color.filled(),
            Fill::Striped => color.mix(0.35).filled(),
            Fill::Outline => plotters::style::WHITE.filled(),
        };
        let rectangle = [(left, top), (right, bottom)];
        self.area.draw(&Rectangle::new(rectangle, inside))?;
        if fill == Fill::Striped {
            for y in (top..bottom).step_by(5) {
                self.line(&[(left, y), (right, y)], color, 1, Dash::Solid)?;
            }
        }
        self.area
            .draw(&Rectangle::new(rectangle, color.stroke_width(1)))
    }

    pub(super) fn text(
        &self,
        at: Pixel,
        text: &str,
        size: u32,
        color: RGBColor,
        anchor: Anchor,
    ) -> Drawn {
        self.write(at, text, &font(size, FontStyle::Normal, color), anchor)
    }

    fn write(&self, at: Pixel, text: &str, style: &TextStyle<'_>, anchor: Anchor) -> Drawn {
        let side = match anchor {
            Anchor::Start => HPos::Left,
            Anchor::Middle => HPos::Center,
            Anchor::End => HPos::Right,
        };
        let style = style.pos(Pos::new(side, VPos::Center));
        self.area.draw(&Text::new(printable(text), at, style))
    }
}

/// A text style of the figures. plotters divides sizes by 1.24 when it writes SVG.
pub(super) fn font(size: u32, style: FontStyle, color: RGBColor) -> TextStyle<'static> {
    let font = FontDesc::new(FontFamily::Name(FAMILY), f64::from(size) * 1.24, style);
    TextStyle {
        color: color.to_backend_color(),
        ..TextStyle::from(font)
    }
}

/// One entry of a legend.
pub(super) struct Entry {
    swatch: Swatch,
    label: String,
}

enum Swatch {
    Line(Look),
    Rule(Look),
    Mark(Look),
    Band(RGBColor),
    Bar(RGBColor, Fill),
}

impl Entry {
    /// A line with its marker.
    pub(super) fn line(look: Look, label: impl Into<String>) -> Self {
        Entry {
            swatch: Swatch::Line(look),
            label: label.into(),
        }
    }

    pub(super) fn mark(look: Look, label: impl Into<String>) -> Self {
        Entry {
            swatch: Swatch::Mark(look),
            label: label.into(),
        }
    }

    pub(super) fn band(color: RGBColor, label: impl Into<String>) -> Self {
        Entry {
            swatch: Swatch::Band(color),
            label: label.into(),
        }
    }

    pub(super) fn bar(color: RGBColor, fill: Fill, label: impl Into<String>) -> Self {
        Entry {
            swatch: Swatch::Bar(color, fill),
            label: label.into(),
        }
    }

    /// A line that carries no markers.
    pub(super) fn rule(look: Look, label: impl Into<String>) -> Self {
        Entry {
            swatch: Swatch::Rule(look),
            label: label.into(),
        }
    }

    fn swatch_width(&self) -> i32 {
        match self.swatch {
            Swatch::Mark(_) => 14,
            Swatch::Bar(..) => 22,
            Swatch::Line(_) | Swatch::Rule(_) | Swatch::Band(_) => 30,
        }
    }

    fn width(&self) -> i32 {
        self.swatch_width() + 7 + text_width(&self.label, LABEL) + 18
    }

    fn draw(&self, pen: &Pen<'_>, (x, y): Pixel) -> Drawn {
        let right = x + self.swatch_width();
        let middle = i32::midpoint(x, right);
        match self.swatch {
            Swatch::Line(look) => {
                pen.line(&[(x, y), (right, y)], look.color, 2, look.dash)?;
                pen.mark((middle, y), look, 4)?;
            }
            Swatch::Rule(look) => pen.line(&[(x, y), (right, y)], look.color, 2, look.dash)?,
            Swatch::Mark(look) => pen.mark((middle, y), look, 5)?,
            Swatch::Band(color) => {
                let corners = vec![(x, y - 6), (right, y - 6), (right, y + 6), (x, y + 6)];
                pen.band(corners, color)?;
            }
            Swatch::Bar(color, fill) => pen.bar((x, y - 6), (right, y + 6), color, fill)?,
        }
        pen.text((right + 7, y), &self.label, LABEL, INK, Anchor::Start)
    }
}

const LEFT: i32 = 0;
const ROW: i32 = 21;

/// What stands around the panels of a figure.
pub(super) struct Frame {
    /// Drawn on top, and the accessible name.
    pub(super) title: String,
    /// What the figure shows, for readers who do not see it.
    pub(super) description: String,
    pub(super) legend: Vec<Entry>,
    pub(super) width: u32,
    /// Height of the panels; title and legend come on top of it.
    pub(super) height: u32,
}

/// A whole SVG document: title, legend, and what `draw` puts on the rest.
/// `draw` gets a pen for the figure and the area under the header.
pub(super) fn svg(
    frame: &Frame,
    draw: impl for<'s> FnOnce(&Pen<'s>, &Area<'s>) -> Drawn,
) -> String {
    let places = legend_places(&frame.legend, frame.width as i32);
    let rows = places.last().map_or(0, |(_, row)| row + 1);
    let header = 34 + rows * ROW + if rows > 0 { 6 } else { 0 };
    let mut text = String::new();
    {
        let size = (frame.width, frame.height + header as u32);
        let root = SVGBackend::with_string(&mut text, size).into_drawing_area();
        let pen = Pen { area: root.clone() };
        let (_, panels) = root.split_vertically(header);
        let drawn = root
            .fill(&plotters::style::WHITE)
            .and_then(|()| {
                pen.write(
                    (LEFT, 18),
                    &frame.title,
                    &font(TITLE, FontStyle::Bold, INK),
                    Anchor::Start,
                )
            })
            .and_then(|()| {
                frame
                    .legend
                    .iter()
                    .zip(&places)
                    .try_for_each(|(entry, (x, row))| {
                        entry.draw(&pen, (*x, 34 + row * ROW + ROW / 2))
                    })
            })
            .and_then(|()| draw(&pen, &panels))
            .and_then(|()| root.present());
        drawn.expect(
            "a string takes every write, and text extents are estimated without font files",
        );
    }
    accessible(&text, frame)
}

/// Left edge and row of each entry.
fn legend_places(legend: &[Entry], width: i32) -> Vec<(i32, i32)> {
    let (mut x, mut row) = (LEFT, 0);
    let mut places = Vec::with_capacity(legend.len());
    for entry in legend {
        if x > LEFT && x + entry.width() > width {
            (x, row) = (LEFT, row + 1);
        }
        places.push((x, row));
        x += entry.width();
    }
    places
}

/// Names the drawing for readers who do not see it.
fn accessible(text: &str, frame: &Frame) -> String {
    let label = escape(&frame.title);
    let Some((open, rest)) = text.split_once('>') else {
        return text.to_owned();
    };
    format!(
        "{open} role=\"img\" aria-label=\"{label}\">\n<title>{label}</title>\n<desc>{}</desc>{rest}",
        escape(&frame.description)
    )
}

fn escape(text: &str) -> String {
    printable(text)
        .chars()
        .map(|letter| match letter {
            '<' => "&lt;".to_owned(),
            '>' => "&gt;".to_owned(),
            '&' => "&amp;".to_owned(),
            '"' => "&quot;".to_owned(),
            other => other.to_string(),
        })
        .collect()
}
