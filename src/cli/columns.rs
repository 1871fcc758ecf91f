//! Rows as aligned columns of text.

/// How a column is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

/// A heading and rows below it, two blanks between columns.
pub(super) fn columns<const N: usize>(heading: [(&str, Side); N], rows: &[[String; N]]) -> String {
    let widths: [usize; N] = std::array::from_fn(|i| {
        let cells = rows.iter().map(|row| width(&row[i]));
        cells.max().unwrap_or(0).max(width(heading[i].0))
    });
    let line = |cells: [&str; N]| {
        let mut text = String::new();
        for (i, cell) in cells.into_iter().enumerate() {
            let blanks = " ".repeat(widths[i] - width(cell));
            let gap = if i == 0 { "" } else { "  " };
            match heading[i].1 {
                Side::Left => text.push_str(&format!("{gap}{cell}{blanks}")),
                Side::Right => text.push_str(&format!("{gap}{blanks}{cell}")),
            }
        }
        text.trim_end().to_owned() + "\n"
    };
    let mut out = line(heading.map(|(name, _)| name));
    for row in rows {
        out.push_str(&line(row.each_ref().map(String::as_str)));
    }
    out
}

fn width(text: &str) -> usize {
    unicode_width::UnicodeWidthStr::width(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_stand_below_their_heading() {
        let rows = [["a", "1"], ["long", "100"]].map(|row| row.map(str::to_owned));
        assert_eq!(
            columns([("name", Side::Left), ("n", Side::Right)], &rows),
            "name    n\na       1\nlong  100\n"
        );
    }
}
