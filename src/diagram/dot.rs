//! In the language of Graphviz.
use crate::diagram::{Diagram, State};

/// A digraph from left to right.
pub fn dot(diagram: &Diagram) -> String {
    let mut out = format!("digraph {} {{\n", quoted(&diagram.title));
    out.push_str(
        "  rankdir = LR;\n  node [shape = box, style = \"filled,rounded\", fontname = \"sans-serif\"];\n",
    );
    for (i, node) in diagram.nodes.iter().enumerate() {
        let state = node.state();
        let style = match state {
            State::Cached => "filled,rounded",
            State::Maybe => "filled,rounded,dashed",
            State::Run | State::Failed => "filled,rounded,bold",
        };
        let peripheries = if state == State::Failed { 2 } else { 1 };
        let label = [&node.name, &node.kind, &node.summary()].map(|line| escaped(line));
        out.push_str(&format!(
            "  n{i} [label = \"{}\", style = \"{style}\", fillcolor = \"{}\", color = \"{}\", peripheries = {peripheries}];\n",
            label.join("\\n"),
            state.fill(),
            state.stroke()
        ));
    }
    for edge in &diagram.edges {
        out.push_str(&format!("  n{} -> n{};\n", edge.from, edge.to));
    }
    out.push_str("}\n");
    out
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", escaped(text))
}
