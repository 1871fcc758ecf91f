//! Ranges of parameters, told in one form: `name` is what; allowed: range.
use crate::stage::Refusal;

/// A whole number from `low` to `high`.
pub(super) fn whole(param: &'static str, value: u64, low: u64, high: u64) -> Result<(), Refusal> {
    allowed(
        param,
        (low..=high).contains(&value),
        value,
        &format!("{low} to {high}"),
    )
}

/// A number from 0 to 1.
pub(super) fn share(param: &'static str, value: f64) -> Result<(), Refusal> {
    allowed(param, (0.0..=1.0).contains(&value), value, "0 to 1")
}

/// A number from 0 up to but without 1, such as the decay of a running mean.
pub(super) fn decay(param: &'static str, value: f64) -> Result<(), Refusal> {
    allowed(param, (0.0..1.0).contains(&value), value, "0 to below 1")
}

/// A finite number above 0.
pub(super) fn positive(param: &'static str, value: f64) -> Result<(), Refusal> {
    let fits = value.is_finite() && value > 0.0;
    allowed(param, fits, value, "finite and above 0")
}

/// A finite number from 0 on.
pub(super) fn not_negative(param: &'static str, value: f64) -> Result<(), Refusal> {
    let fits = value.is_finite() && value >= 0.0;
    allowed(param, fits, value, "finite and at least 0")
}

/// What `fits` says, refused with `range` in words.
pub(super) fn allowed(
    param: &'static str,
    fits: bool,
    value: impl std::fmt::Display,
    range: &str,
) -> Result<(), Refusal> {
    if fits {
        return Ok(());
    }
    let message = format!("`{param}` is {value}; allowed: {range}");
    Err(Refusal::new(param, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_in_or_out_as_the_text_says() {
        assert!(share("x", 0.0).is_ok() && share("x", 1.0).is_ok());
        assert!(decay("x", 0.0).is_ok() && decay("x", 1.0).is_err());
        assert!(not_negative("x", 0.0).is_ok() && positive("x", 0.0).is_err());
        for check in [share, decay, positive, not_negative] {
            assert!(check("x", f64::NAN).is_err() && check("x", f64::INFINITY).is_err());
        }
        assert_eq!(
            positive("rate", -1.0),
            Err(Refusal::new(
                "rate",
                "`rate` is -1; allowed: finite and above 0"
            ))
        );
    }
}
