//! Palette, shapes, dashes and fonts of all figures.
//!
//! The colours are those of Okabe and Ito, which colour-blind readers can tell
//! apart. Colour never stands alone: each series also has its own marker and
//! dash, so that a grey print reads the same.
use plotters::style::RGBColor;

pub(super) const BLACK: RGBColor = RGBColor(0, 0, 0);
pub(super) const ORANGE: RGBColor = RGBColor(0xE6, 0x9F, 0x00);
pub(super) const SKY: RGBColor = RGBColor(0x56, 0xB4, 0xE9);
pub(super) const GREEN: RGBColor = RGBColor(0x00, 0x9E, 0x73);
pub(super) const BLUE: RGBColor = RGBColor(0x00, 0x72, 0xB2);
pub(super) const VERMILLION: RGBColor = RGBColor(0xD5, 0x5E, 0x00);
pub(super) const PURPLE: RGBColor = RGBColor(0xCC, 0x79, 0xA7);

/// Text.
pub(super) const INK: RGBColor = RGBColor(0x22, 0x22, 0x22);
/// Axes, and text of second rank.
pub(super) const MUTED: RGBColor = RGBColor(0x5A, 0x5A, 0x5A);
pub(super) const GRID: RGBColor = RGBColor(0xE6, 0xE6, 0xE6);

pub(super) const FAMILY: &str =
    "system-ui, -apple-system, 'Segoe UI', 'Liberation Sans', Helvetica, Arial, sans-serif";

/// Pixels of a character's mean advance per pixel of font size: on the wide
/// side of the fonts in [`FAMILY`], since no font file is at hand to measure.
const ADVANCE: f64 = 0.6;

/// Width of a text in pixels, estimated.
pub(super) fn text_width(text: &str, size: u32) -> i32 {
    (text.chars().count() as f64 * ADVANCE * f64::from(size)).ceil() as i32
}

/// XML 1.0 has no form for control characters.
pub(super) fn printable(text: &str) -> String {
    text.chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect()
}

/// Font sizes in pixels.
pub(super) const TITLE: u32 = 15;
pub(super) const LABEL: u32 = 12;
pub(super) const SMALL: u32 = 11;

/// The form of a marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Circle,
    Square,
    Triangle,
    Diamond,
    Down,
    Cross,
}

/// How a line is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dash {
    Solid,
    Dashed,
    Dotted,
    Long,
}

impl Dash {
    /// Pixels of dash and gap; None for an unbroken line.
    pub(super) fn pattern(self) -> Option<(i32, i32)> {
        match self {
            Dash::Solid => None,
            Dash::Dashed => Some((7, 4)),
            Dash::Dotted => Some((2, 4)),
            Dash::Long => Some((14, 5)),
        }
    }
}

/// How a bar is filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fill {
    Solid,
    Striped,
    Outline,
}

/// The look of one series.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    pub(super) color: RGBColor,
    pub(super) shape: Shape,
    /// True for a marker with a white inside.
    pub(super) open: bool,
    pub(super) dash: Dash,
}

impl Look {
    pub(super) const fn new(color: RGBColor, shape: Shape, open: bool, dash: Dash) -> Self {
        Look {
            color,
            shape,
            open,
            dash,
        }
    }
}

/// Looks for families of lines; a family with more members starts over.
pub(super) const SERIES: [Look; 7] = [
    Look::new(BLUE, Shape::Circle, false, Dash::Solid),
    Look::new(VERMILLION, Shape::Square, true, Dash::Dashed),
    Look::new(GREEN, Shape::Triangle, false, Dash::Long),
    Look::new(PURPLE, Shape::Diamond, true, Dash::Dotted),
    Look::new(ORANGE, Shape::Down, false, Dash::Solid),
    Look::new(BLACK, Shape::Cross, false, Dash::Dashed),
    Look::new(SKY, Shape::Circle, true, Dash::Long),
];

/// The look of the `index`-th series.
pub(super) fn series(index: usize) -> Look {
    SERIES[index % SERIES.len()]
}
