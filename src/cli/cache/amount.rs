//! Sizes, ages and tables as people write and read them.
use std::time::Duration;

use crate::pipeline::{self, with_unit};

/// `1.4 GiB`; bytes below 1 KiB.
pub(super) fn size(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1023.95 {
            return match unit {
                "B" => format!("{bytes} B"),
                _ => format!("{value:.1} {unit}"),
            };
        }
        value /= 1024.0;
    }
    format!("{value:.1} TiB")
}

/// `3 d`, `5 h`, `12 min`, `40 s`.
pub(super) fn age(age: Duration) -> String {
    let s = age.as_secs();
    match s {
        0..120 => format!("{s} s"),
        120..7200 => format!("{} min", s / 60),
        7200..172_800 => format!("{} h", s / 3600),
        _ => format!("{} d", s / 86_400),
    }
}

/// A number of bytes from `20GiB`, `500 MB` or `4096`.
pub(super) fn parse_bytes(text: &str) -> Result<u64, String> {
    let help = || "a size such as 20GiB or 500MB".to_owned();
    pipeline::parse_bytes(text).ok_or_else(help)
}

/// A time from `30d`, `12 h`, `10min` or `0s`.
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    const UNITS: [(&str, f64); 5] = [
        ("s", 1.0),
        ("min", 60.0),
        ("h", 3600.0),
        ("d", 86_400.0),
        ("w", 604_800.0),
    ];
    let help = "an age such as 30d, 12h or 10min";
    let seconds = with_unit(text, &UNITS).ok_or(help)?;
    Duration::try_from_secs_f64(seconds).map_err(|_| help.to_owned())
}

/// Rows in columns, all but the first `left` of them to the right.
pub(super) fn table(rows: &[Vec<String>], left: usize) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |at: usize| {
        let cells = rows.iter().filter_map(|row| row.get(at));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).enumerate();
        let line: Vec<String> = cells
            .map(|(at, (cell, width))| {
                if at < left {
                    format!("{cell:width$}")
                } else {
                    format!("{cell:>width$}")
                }
            })
            .collect();
        out.push_str(line.join("  ").trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_ages_read_well_and_come_back() {
        let sizes = [0, 1023, 1536, 1 << 20, 3 << 40].map(size);
        assert_eq!(sizes, ["0 B", "1023 B", "1.5 KiB", "1.0 MiB", "3.0 TiB"]);
        let ages = [7, 600, 36_000, 864_000].map(|s| age(Duration::from_secs(s)));
        assert_eq!(ages, ["7 s", "10 min", "10 h", "10 d"]);
        assert_eq!(parse_bytes("1.5 KiB"), Ok(1536));
        assert_eq!(parse_bytes("500MB"), Ok(500_000_000));
        assert_eq!(parse_bytes("7"), Ok(7));
        assert_eq!(parse_duration("2w"), Ok(Duration::from_hours(336)));
        for bad in ["", "GiB", "-1GiB", "1gb", "1e3", "1.5"] {
            assert!(parse_bytes(bad).is_err(), "{bad}");
        }
        for bad in ["", "30", "1y", "99999999999999999999999d"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn columns_line_up() {
        let rows = [["stage", "bytes"], ["a", "10"]].map(|row| row.map(String::from).to_vec());
        assert_eq!(table(&rows, 1), "stage  bytes\na         10\n");
    }
}
