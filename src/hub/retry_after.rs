//! How long a busy hub asks to wait. Its own clock is the only one looked at:
//! a date is compared with the `Date` of the same answer.
use std::time::Duration;

use jiff::{Timestamp, fmt::rfc2822};
use ureq::http::HeaderMap;

/// From `Retry-After` (seconds or a date), or from what the hub says of its
/// rate limit (`RateLimit: "api";r=0;t=55`).
pub(super) fn told(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    if let Some(value) = text("retry-after") {
        if let Ok(seconds) = value.parse::<u64>() {
            return Some(Duration::from_secs(seconds));
        }
        let (then, now) = (moment(value)?, moment(text("date")?)?);
        let seconds = then.duration_since(now).as_secs();
        return Some(Duration::from_secs(seconds.try_into().unwrap_or(0)));
    }
    let limit = text("ratelimit")?;
    let left = limit
        .split(';')
        .find_map(|part| part.trim().strip_prefix("t="));
    left?.parse().ok().map(Duration::from_secs)
}

fn moment(text: &str) -> Option<Timestamp> {
    rfc2822::DateTimeParser::new().parse_timestamp(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&'static str, &'static str)]) -> Option<u64> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, value.parse().unwrap());
        }
        told(&headers).map(|time| time.as_secs())
    }

    #[test]
    fn seconds_dates_and_rate_limits_are_understood() {
        const NOW: (&str, &str) = ("date", "Tue, 24 Nov 2026 10:00:00 GMT");
        let until = |date| ("retry-after", date);
        assert_eq!(of(&[until("17")]), Some(17));
        assert_eq!(of(&[until("Tue, 24 Nov 2026 10:01:30 GMT"), NOW]), Some(90));
        assert_eq!(of(&[until("Tue, 24 Nov 2026 09:00:00 GMT"), NOW]), Some(0));
        assert_eq!(of(&[until("Tue, 24 Nov 2026 10:01:30 GMT")]), None);
        assert_eq!(of(&[until("soon"), NOW]), None);
        assert_eq!(of(&[("ratelimit", "\"api\";r=0;t=55")]), Some(55));
        assert_eq!(of(&[("ratelimit", "nonsense")]), None);
        assert_eq!(of(&[until("99999999999999999999")]), None);
        assert_eq!(of(&[]), None);
    }
}
