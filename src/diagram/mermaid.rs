//! In the language of Mermaid.
use crate::diagram::{Diagram, State};

/// A flowchart from left to right, with a class for each state.
pub fn mermaid(diagram: &Diagram) -> String {
    let mut out = "flowchart LR\n".to_owned();
    for (i, node) in diagram.nodes.iter().enumerate() {
        let lines = [&node.name, &node.kind, &node.summary()].map(|line| escaped(line));
        out.push_str(&format!(
            "  n{i}[\"{}\"]:::{}\n",
            lines.join("<br/>"),
            class(node.state())
        ));
    }
    for edge in &diagram.edges {
        out.push_str(&format!("  n{} --> n{}\n", edge.from, edge.to));
    }
    for state in State::ALL {
        let line = match state {
            State::Cached => "",
            State::Maybe => ",stroke-dasharray:4 3",
            State::Run => ",stroke-width:2px",
            State::Failed => ",stroke-width:4px",
        };
        out.push_str(&format!(
            "  classDef {} fill:{},stroke:{},color:#000{line}\n",
            class(state),
            state.fill(),
            state.stroke()
        ));
    }
    out
}

fn class(state: State) -> &'static str {
    match state {
        State::Cached => "cached",
        State::Maybe => "maybe",
        State::Run => "run",
        State::Failed => "failed",
    }
}

/// Mermaid reads entities within quotes.
fn escaped(text: &str) -> String {
    text.replace('&', "#amp;")
        .replace('"', "#quot;")
        .replace('<', "#lt;")
        .replace('>', "#gt;")
}
