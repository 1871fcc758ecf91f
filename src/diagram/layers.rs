//! Where boxes stand: in layers by their longest way from a source, within a
//! layer in an order with few crossings (barycentres, as Sugiyama, Tagawa and
//! Toda 1981). A long edge passes a layer at a place of its own.
use crate::diagram::Edge;

/// Sweeps over the layers; more change little.
const SWEEPS: usize = 12;

/// A layout in units of rows.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Layout {
    /// By node: layer, and the middle of its row.
    pub(super) places: Vec<(usize, f64)>,
    /// By edge: from its source to its target, layer by layer.
    pub(super) routes: Vec<Vec<(usize, f64)>>,
    pub(super) layers: usize,
    pub(super) rows: f64,
}

/// Lays out `count` nodes; edges lead from lower to higher positions.
pub(super) fn layout(count: usize, edges: &[Edge]) -> Layout {
    let mut layer = vec![0; count];
    for to in 0..count {
        let before = edges.iter().filter(|edge| edge.to == to);
        layer[to] = before.map(|edge| layer[edge.from] + 1).max().unwrap_or(0);
    }
    // Bends of long edges are nodes of their own from here on.
    let mut chains: Vec<Vec<usize>> = Vec::new();
    for edge in edges {
        let mut chain = vec![edge.from];
        for between in layer[edge.from] + 1..layer[edge.to] {
            layer.push(between);
            chain.push(layer.len() - 1);
        }
        chain.push(edge.to);
        chains.push(chain);
    }
    let mut before: Vec<Vec<usize>> = vec![Vec::new(); layer.len()];
    let mut after: Vec<Vec<usize>> = vec![Vec::new(); layer.len()];
    for pair in chains.iter().flat_map(|chain| chain.windows(2)) {
        before[pair[1]].push(pair[0]);
        after[pair[0]].push(pair[1]);
    }
    let layers = layer.iter().max().map_or(0, |last| last + 1);
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); layers];
    for (node, layer) in layer.iter().enumerate() {
        members[*layer].push(node);
    }
    let mut row = vec![0.0; layer.len()];
    for sweep in 0..SWEEPS {
        if sweep % 2 == 0 {
            for group in &mut members {
                arrange(group, &before, &mut row);
            }
        } else {
            for group in members.iter_mut().rev() {
                arrange(group, &after, &mut row);
            }
        }
    }
    centre(&members, &mut row);
    Layout {
        places: (0..count).map(|node| (layer[node], row[node])).collect(),
        routes: chains
            .iter()
            .map(|chain| {
                chain
                    .iter()
                    .map(|node| (layer[*node], row[*node]))
                    .collect()
            })
            .collect(),
        layers,
        rows: members.iter().map(Vec::len).max().unwrap_or(0) as f64,
    }
}

/// Orders a layer by the mean row of each node's neighbours; one without stays
/// where it was.
fn arrange(group: &mut [usize], neighbours: &[Vec<usize>], row: &mut [f64]) {
    let mean = |node: usize| {
        let rows = neighbours[node].iter().map(|other| row[*other]);
        let count = neighbours[node].len();
        if count == 0 {
            row[node]
        } else {
            rows.sum::<f64>() / count as f64
        }
    };
    let mut keyed: Vec<(f64, usize)> = group.iter().map(|node| (mean(*node), *node)).collect();
    keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
    for (position, (_, node)) in keyed.into_iter().enumerate() {
        group[position] = node;
        row[node] = position as f64;
    }
}

/// Moves each layer to the middle of the tallest.
fn centre(members: &[Vec<usize>], row: &mut [f64]) {
    let tallest = members.iter().map(Vec::len).max().unwrap_or(0);
    for group in members {
        let offset = (tallest - group.len()) as f64 / 2.0;
        for (position, node) in group.iter().enumerate() {
            row[*node] = offset + position as f64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edges(pairs: &[(usize, usize)]) -> Vec<Edge> {
        let edge = |&(from, to): &(usize, usize)| Edge {
            from,
            to,
            label: String::new(),
        };
        pairs.iter().map(edge).collect()
    }

    #[test]
    fn a_long_edge_passes_beside_what_lies_between() {
        let layout = layout(3, &edges(&[(0, 1), (1, 2), (0, 2)]));
        assert_eq!((layout.layers, layout.rows), (3, 2.0));
        let layers: Vec<usize> = layout.places.iter().map(|place| place.0).collect();
        assert_eq!(layers, [0, 1, 2]);
        let bend = layout.routes[2][1];
        assert_eq!(bend.0, 1);
        assert!((bend.1 - layout.places[1].1).abs() >= 1.0, "{layout:?}");
    }

    #[test]
    fn crossings_are_taken_out() {
        // Two sources, two sinks, written crosswise.
        let layout = layout(4, &edges(&[(0, 3), (1, 2)]));
        let above = |a: usize, b: usize| layout.places[a].1 < layout.places[b].1;
        assert_eq!(above(0, 1), above(3, 2));
    }

    #[test]
    fn nothing_is_a_layout_too() {
        assert_eq!(layout(0, &[]).layers, 0);
    }
}
