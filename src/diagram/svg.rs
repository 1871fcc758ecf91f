//! As a picture from left to right. States are told by colour, by outline and
//! in words, so that any eye and any printer can read them.
use std::fmt::Write as _;

use crate::diagram::{Diagram, Node, State, layers::layout};

/// Sizes in pixels.
const ROW: f64 = 78.0;
const BOX_HEIGHT: f64 = 58.0;
const GAP: f64 = 56.0;
const MARGIN: f64 = 20.0;
const TITLE: f64 = 30.0;
const LEGEND: f64 = 34.0;
/// Of a letter, on average, at the sizes of the text.
const NAME_LETTER: f64 = 7.9;
const SMALL_LETTER: f64 = 6.3;
const NARROWEST: f64 = 96.0;

/// A standalone SVG file.
pub fn svg(diagram: &Diagram) -> String {
    let layout = layout(diagram.nodes.len(), &diagram.edges);
    let mut widths = vec![NARROWEST; layout.layers];
    for (node, (layer, _)) in diagram.nodes.iter().zip(&layout.places) {
        widths[*layer] = widths[*layer].max(width(node));
    }
    let mut lefts = Vec::new();
    let mut x = MARGIN;
    for width in &widths {
        lefts.push(x);
        x += width + GAP;
    }
    let total_width = (x - GAP + MARGIN).max(480.0);
    let total_height = TITLE + layout.rows * ROW + LEGEND + MARGIN;
    let middle = |row: f64| TITLE + row * ROW + ROW / 2.0;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{total_width:.0}\" \
         height=\"{total_height:.0}\" viewBox=\"0 0 {total_width:.0} {total_height:.0}\" \
         font-family=\"sans-serif\">\n<title>{0}</title>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"{MARGIN}\" y=\"22\" font-size=\"15\" font-weight=\"bold\">{0}</text>\n",
        escaped(&diagram.title)
    );
    out.push_str(
        "<defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" \
         markerHeight=\"7\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" fill=\"#555\"/></marker></defs>\n",
    );
    for (edge, route) in diagram.edges.iter().zip(&layout.routes) {
        let ends = |i: usize| {
            let (layer, row) = route[i];
            (lefts[layer], lefts[layer] + widths[layer], middle(row))
        };
        let (_, start, y) = ends(0);
        let mut path = format!("M{start:.1} {y:.1}");
        let mut from = (start, y);
        for i in 1..route.len() {
            let (left, right, y) = ends(i);
            curve(&mut path, from, (left, y));
            if i + 1 < route.len() {
                let _ = write!(path, "L{right:.1} {y:.1}");
            }
            from = (right, y);
        }
        let _ = writeln!(
            out,
            "<path d=\"{path}\" fill=\"none\" stroke=\"#555\" stroke-width=\"1.2\" \
             marker-end=\"url(#tip)\"><title>{}</title></path>",
            escaped(&edge.label)
        );
    }
    for (node, (layer, row)) in diagram.nodes.iter().zip(&layout.places) {
        draw(
            &mut out,
            node,
            lefts[*layer],
            middle(*row) - BOX_HEIGHT / 2.0,
            widths[*layer],
        );
    }
    legend(&mut out, total_height - LEGEND);
    out.push_str("</svg>\n");
    out
}

fn width(node: &Node) -> f64 {
    let long = |text: &str, letter: f64| text.chars().count() as f64 * letter + 20.0;
    long(&node.name, NAME_LETTER)
        .max(long(&node.kind, SMALL_LETTER))
        .max(long(&node.summary(), SMALL_LETTER))
}

fn curve(path: &mut String, from: (f64, f64), to: (f64, f64)) {
    let half = (to.0 - from.0) / 2.0;
    let _ = write!(
        path,
        "C{:.1} {:.1} {:.1} {:.1} {:.1} {:.1}",
        from.0 + half,
        from.1,
        to.0 - half,
        to.1,
        to.0,
        to.1
    );
}

/// Outline: plain, dashed, thick, double.
fn outline(out: &mut String, state: State, (x, y): (f64, f64), (width, height): (f64, f64)) {
    let line = match state {
        State::Cached => "stroke-width=\"1.2\"",
        State::Maybe => "stroke-width=\"1.5\" stroke-dasharray=\"5 3\"",
        State::Run | State::Failed => "stroke-width=\"2.4\"",
    };
    let (fill, stroke) = (state.fill(), state.stroke());
    let _ = writeln!(
        out,
        "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"5\" \
         fill=\"{fill}\" stroke=\"{stroke}\" {line}/>"
    );
    if state == State::Failed {
        let _ = writeln!(
            out,
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" rx=\"3\" \
             fill=\"none\" stroke=\"{stroke}\" stroke-width=\"1\"/>",
            x + 3.5,
            y + 3.5,
            width - 7.0,
            height - 7.0
        );
    }
}

fn draw(out: &mut String, node: &Node, x: f64, y: f64, width: f64) {
    outline(out, node.state(), (x, y), (width, BOX_HEIGHT));
    let centre = x + width / 2.0;
    for (text, dy, size, weight, colour) in [
        (&node.name, 20.0, 13, "bold", "#000"),
        (&node.kind, 35.0, 11, "normal", "#444"),
        (&node.summary(), 50.0, 11, "normal", "#000"),
    ] {
        let _ = writeln!(
            out,
            "<text x=\"{centre:.1}\" y=\"{:.1}\" text-anchor=\"middle\" font-size=\"{size}\" \
             font-weight=\"{weight}\" fill=\"{colour}\">{}</text>",
            y + dy,
            escaped(text)
        );
    }
}

fn legend(out: &mut String, y: f64) {
    let mut x = MARGIN;
    for state in State::ALL {
        outline(out, state, (x, y), (26.0, 16.0));
        let _ = writeln!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\" font-size=\"11\">{}</text>",
            x + 33.0,
            y + 12.0,
            state.word()
        );
        x += 110.0;
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_stay_text() {
        let node = Node {
            name: "<script>\"&".into(),
            kind: "k".into(),
            counts: vec![(State::Run, 1)],
        };
        let diagram = Diagram {
            title: "</svg>".into(),
            nodes: vec![node],
            edges: Vec::new(),
        };
        let text = svg(&diagram);
        assert!(text.contains("&lt;script&gt;&quot;&amp;"), "{text}");
        assert_eq!(text.matches("</svg>").count(), 1);
    }
}
