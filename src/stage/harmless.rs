//! Words of foreign programs made harmless for terminals and files.
use std::fmt::Write as _;

/// Control characters and marks that turn the direction of writing made
/// visible, so that a line cannot steer a terminal or hide what it says.
pub fn harmless(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    for c in line.chars() {
        if c == '\t' {
            out.push(' ');
        } else if c.is_control() || turns_direction(c) {
            write!(out, "{}", c.escape_unicode()).expect("writing to a string succeeds");
        } else {
            out.push(c);
        }
    }
    out
}

fn turns_direction(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_steers_a_terminal() {
        assert_eq!(harmless("a\tb é 漢"), "a b é 漢");
        assert_eq!(
            harmless("\u{1b}[31mred\u{9b}2J\0\u{7f}\r"),
            "\\u{1b}[31mred\\u{9b}2J\\u{0}\\u{7f}\\u{d}"
        );
        assert_eq!(harmless("x\u{202e}y\u{200f}"), "x\\u{202e}y\\u{200f}");
    }
}
