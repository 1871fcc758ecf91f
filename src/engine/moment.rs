//! A moment of a run, as events and run folders write it: RFC 3339, UTC, cut off to
//! milliseconds.
use std::{fmt, str::FromStr};

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// A point in time to the millisecond.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(Timestamp);

impl Moment {
    pub fn now() -> Moment {
        Moment::of(Timestamp::now())
    }

    fn of(time: Timestamp) -> Moment {
        // Cut off, not rounded: nothing seems to come after what followed it.
        Moment(Timestamp::from_millisecond(time.as_millisecond()).unwrap_or(time))
    }

    /// Milliseconds since an earlier moment; 0 where it is later.
    pub fn ms_since(self, earlier: Moment) -> u64 {
        let passed = self.0.as_millisecond() - earlier.0.as_millisecond();
        u64::try_from(passed).unwrap_or(0)
    }

    /// `20261124T104622123Z`: sorts by time, and file systems take it.
    pub fn compact(self) -> String {
        self.0.strftime("%Y%m%dT%H%M%S%3fZ").to_string()
    }

    /// `2026-11-24 10:46 UTC`.
    pub fn minute(self) -> String {
        self.0.strftime("%Y-%m-%d %H:%M UTC").to_string()
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").fmt(f)
    }
}

impl FromStr for Moment {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Moment, jiff::Error> {
        text.parse().map(Moment::of)
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Moment, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_to_the_millisecond_and_read_back() {
        let moment: Moment = "2026-11-24T10:46:22.1239Z".parse().unwrap();
        assert_eq!(moment.to_string(), "2026-11-24T10:46:22.123Z");
        assert_eq!(moment.to_string().parse::<Moment>().unwrap(), moment);
        assert_eq!(moment.compact(), "20261124T104622123Z");
        assert_eq!(moment.minute(), "2026-11-24 10:46 UTC");
        let later: Moment = "2026-11-24T12:46:23+02:00".parse().unwrap();
        assert_eq!((later.ms_since(moment), moment.ms_since(later)), (877, 0));
        assert!("yesterday".parse::<Moment>().is_err());
    }
}
