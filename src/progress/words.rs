//! How counts, sizes and durations are said.
/// `0.24 s`, `41 s`, `3 min 05 s`, `2 h 10 min`.
pub fn duration(ms: u64) -> String {
    let s = ms as f64 / 1000.0;
    let whole = (ms + 500) / 1000;
    match whole {
        _ if ms < 10_000 => format!("{s:.2} s"),
        0..=119 => format!("{whole} s"),
        120..=7199 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}

/// `512 B`, `3.1 GB`, `42 MB`: as networks and disks are counted.
pub fn amount(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "kB", "MB", "GB"] {
        match value {
            _ if unit == "B" && bytes < 1000 => return format!("{bytes} B"),
            0.0..9.95 if unit != "B" => return format!("{value:.1} {unit}"),
            0.0..999.5 if unit != "B" => return format!("{value:.0} {unit}"),
            _ => value /= 1000.0,
        }
    }
    format!("{value:.1} TB")
}

/// `12 s ago`, `3 h ago`, `5 days ago`: to one unit.
pub fn ago(ms: u64) -> String {
    let minutes = ms / 60_000;
    match minutes {
        0 => format!("{} s ago", ms / 1000),
        1..=119 => format!("{minutes} min ago"),
        120..=2879 => format!("{} h ago", minutes / 60),
        _ => format!("{} days ago", minutes / 1440),
    }
}

/// `1 stage`, `2 stages`.
pub fn plural(count: usize, noun: &str) -> String {
    if count == 1 {
        format!("1 {noun}")
    } else {
        format!("{count} {noun}s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_two_digits_or_three() {
        let bytes = [
            0,
            999,
            1000,
            9_949,
            9_951,
            42_400_000,
            999_600_000,
            5_940_000_000,
        ];
        let said = bytes.map(amount);
        let expected = [
            "0 B", "999 B", "1.0 kB", "9.9 kB", "10 kB", "42 MB", "1.0 GB", "5.9 GB",
        ];
        assert_eq!(said, expected);
        assert_eq!(amount(119_000_000_000), "119 GB");
        assert_eq!(amount(2_500_000_000_000), "2.5 TB");
    }

    #[test]
    fn durations_read_well() {
        let said = [240, 41_000, 185_000, 7_800_000].map(duration);
        assert_eq!(said, ["0.24 s", "41 s", "3 min 05 s", "2 h 10 min"]);
        let said = [900, 61_000, 7_200_000, 172_800_000].map(ago);
        assert_eq!(said, ["0 s ago", "1 min ago", "2 h ago", "2 days ago"]);
    }
}
