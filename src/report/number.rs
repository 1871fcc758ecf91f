//! How numbers are written in sentences, tables and on axes.
//!
//! A missing or non-finite value becomes the dash [`MISSING`], never a number.

/// What stands in a table for a value that is not there.
pub(super) const MISSING: &str = "–";

/// The value, unless it is missing or not finite.
pub(super) fn finite(value: Option<f64>) -> Option<f64> {
    value.filter(|number| number.is_finite())
}

/// Three significant digits; scientific where that would take many zeros.
pub(super) fn plain(value: f64) -> String {
    if !value.is_finite() {
        return MISSING.to_owned();
    }
    let size = value.abs();
    if value == 0.0 {
        "0".to_owned()
    } else if (1e-4..1e6).contains(&size) {
        let decimals = (2.0 - size.log10().floor()).max(0.0) as usize;
        format!("{value:.decimals$}")
    } else {
        format!("{value:.2e}")
    }
}

/// Fixed decimals, for columns of rewards and correlations.
pub(super) fn fixed(value: Option<f64>, decimals: usize) -> String {
    match finite(value) {
        Some(number) if number.abs() < 1e9 => drop_negative_zero(format!("{number:.decimals$}")),
        Some(number) => format!("{number:.decimals$e}"),
        None => MISSING.to_owned(),
    }
}

/// Fixed decimals with a sign, for gains and differences.
pub(super) fn signed(value: Option<f64>, decimals: usize) -> String {
    let text = fixed(value, decimals);
    if text == MISSING || text.starts_with('-') {
        text
    } else {
        format!("+{text}")
    }
}

fn drop_negative_zero(text: String) -> String {
    match text.strip_prefix('-') {
        Some(rest) if rest.bytes().all(|byte| byte == b'0' || byte == b'.') => rest.to_owned(),
        _ => text,
    }
}

/// As [`plain`], for columns of quantities whose size varies by orders.
pub(super) fn quantity(value: Option<f64>) -> String {
    finite(value).map_or_else(|| MISSING.to_owned(), plain)
}

/// `[lo, hi]`, two decimals, or None where an end is missing.
pub(super) fn interval(lo: Option<f64>, hi: Option<f64>, decimals: usize) -> Option<String> {
    finite(lo)?;
    finite(hi)?;
    Some(format!(
        "[{}, {}]",
        fixed(lo, decimals),
        fixed(hi, decimals)
    ))
}

/// A learning rate as people write it: `1e-4`, `2.5e-5`.
pub(super) fn learning_rate(value: f64) -> String {
    format!("{value:e}")
}

/// A share in percent: `2 %`, `0.4 %`.
pub(super) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent != 0.0 && percent.abs() < 9.95 {
        format!("{percent:.1} %")
    } else {
        format!("{percent:.0} %")
    }
}

/// A duration: `0.4 s`, `61 s`, `12.5 min`, `3.2 h`.
pub(super) fn duration(seconds: f64) -> String {
    if seconds < 9.95 {
        format!("{seconds:.1} s")
    } else if seconds < 599.5 {
        format!("{seconds:.0} s")
    } else if seconds < 7_170.0 {
        format!("{:.1} min", seconds / 60.0)
    } else {
        format!("{:.1} h", seconds / 3_600.0)
    }
}

/// A token count: `16.0 k`, `105 B`.
pub(super) fn tokens(value: Option<f64>) -> String {
    let Some(count) = finite(value) else {
        return MISSING.to_owned();
    };
    let scales = [(1e12, " T"), (1e9, " B"), (1e6, " M"), (1e3, " k")];
    match scales.iter().find(|(unit, _)| count.abs() >= *unit) {
        Some((unit, suffix)) => {
            let scaled = count / unit;
            let decimals = usize::from(scaled < 100.0);
            format!("{}{suffix}", fixed(Some(scaled), decimals))
        }
        None => format!("{count:.0}"),
    }
}

/// A whole number in groups of three, so that long step numbers can be read: `1 000 000`.
pub(super) fn whole(value: u64) -> String {
    let digits = value.to_string();
    if digits.len() < 5 {
        return digits;
    }
    let mut text = String::with_capacity(digits.len() + 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('\u{a0}');
        }
        text.push(digit);
    }
    text
}

/// `a`, `a and b`, `a, b and c`.
pub(super) fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [only] => only.clone(),
        [rest @ .., last] => format!("{} and {last}", rest.join(", ")),
    }
}

/// `1 seed`, `3 seeds`.
pub(super) fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_is_a_dash() {
        assert_eq!(fixed(Some(f64::NAN), 3), MISSING);
        assert_eq!(signed(None, 3), MISSING);
        assert_eq!(quantity(Some(f64::INFINITY)), MISSING);
        assert_eq!(tokens(None), MISSING);
        assert_eq!(interval(Some(0.1), Some(f64::NAN), 2), None);
    }

    #[test]
    fn written_as_people_write() {
        assert_eq!(signed(Some(0.2121), 3), "+0.212");
        assert_eq!(signed(Some(-0.000_1), 3), "+0.000");
        assert_eq!(plain(0.000_012_34), "1.23e-5");
        assert_eq!(plain(0.005_851), "0.00585");
        assert_eq!(plain(-31.25), "-31.2");
        assert_eq!(plain(123_456.0), "123456");
        assert_eq!(learning_rate(1e-4), "1e-4");
        assert_eq!(percent(0.0214), "2.1 %");
        assert_eq!(percent(0.31), "31 %");
        assert_eq!(duration(61.2), "61 s");
        assert_eq!(duration(7200.0), "2.0 h");
        assert_eq!(tokens(Some(105e9)), "105 B");
        assert_eq!(tokens(Some(16_000.0)), "16.0 k");
        assert_eq!(whole(1_000_000), "1\u{a0}000\u{a0}000");
        assert_eq!(whole(400), "400");
        assert_eq!(list(&["a".into(), "b".into(), "c".into()]), "a, b and c");
        assert_eq!(counted(1, "seed"), "1 seed");
    }
}
