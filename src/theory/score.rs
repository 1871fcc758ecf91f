//! Scores of a checkpoint: a signal times a headroom (eq. 29).
//!
//! Owns the named products and nothing that goes into them. Means over prompts
//! come first and are multiplied then, as in eq. 29.
//!
//! `headline` = IP * H replaces the lower bound of eq. 25 by the quantity it
//! bounds (eq. 24): it departs from the letter of eq. 29 to 31, and was chosen
//! after a rehearsal had been seen. Lambda and m belong to the group that the
//! caller took them at: say it beside the number.
//!
//! Lambda "clip at zero" is S = max(Sigma - Lambda, 0): eq. 27's S is a sum over
//! prompts, and that sum is clipped, once per checkpoint. Clipping each prompt's
//! Sigma - Lambda first would be another, never smaller, quantity. Lambda "off"
//! is Sigma itself.
use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The first factor.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    /// Sigma, eq. 26; the usable signal of eq. 27 with Lambda off.
    Sigma,
    /// IP, the inner product of eq. 24.
    Ip,
    /// Sigma - Lambda_cond, eq. 27.
    SCond,
    /// Sigma - Lambda_ps, eq. 27 with sec. 6's per-sample Lambda.
    SPs,
    /// Sigma - Lambda_group, sampled only.
    SGroup,
    /// max(Sigma - Lambda_cond, 0).
    SCondClip,
    /// max(Sigma - Lambda_ps, 0).
    SPsClip,
    /// max(Sigma - Lambda_group, 0), sampled only.
    SGroupClip,
}

impl Signal {
    /// Every signal, in the order of the tables.
    pub const ALL: [Signal; 8] = [
        Signal::Sigma,
        Signal::Ip,
        Signal::SCond,
        Signal::SPs,
        Signal::SGroup,
        Signal::SCondClip,
        Signal::SPsClip,
        Signal::SGroupClip,
    ];

    /// The name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Signal::Sigma => "sigma",
            Signal::Ip => "ip",
            Signal::SCond => "s_cond",
            Signal::SPs => "s_ps",
            Signal::SGroup => "s_group",
            Signal::SCondClip => "s_cond_clip",
            Signal::SPsClip => "s_ps_clip",
            Signal::SGroupClip => "s_group_clip",
        }
    }
}

/// The second factor.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Headroom {
    /// No headroom: the signal alone.
    None,
    /// Eq. 28, within each prompt (default).
    PerPrompt,
    /// Sec. 6, between prompts.
    Pooled,
}

impl Headroom {
    /// Every headroom, in the order of the tables.
    pub const ALL: [Headroom; 3] = [Headroom::None, Headroom::PerPrompt, Headroom::Pooled];

    /// The name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Headroom::None => "none",
            Headroom::PerPrompt => "per-prompt",
            Headroom::Pooled => "pooled",
        }
    }
}

/// A product of a signal and a headroom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Score {
    /// First factor.
    pub signal: Signal,
    /// Second factor.
    pub headroom: Headroom,
}

/// What the products are made of, each a mean over prompts in reward units
/// (headroom) or squared reward per squared state (signals).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ScoreParts {
    /// E |G|^2.
    pub sigma: f64,
    /// E m |G|^2.
    pub ip: f64,
    /// E |G|^2 |m - 1|.
    pub lambda_cond: f64,
    /// E |G| E|lambda_hat - G|.
    pub lambda_ps: f64,
    /// E |G| |mean_i lambda_hat_i - G|, where groups were drawn.
    pub lambda_group: Option<f64>,
    /// Mean of the per-prompt headroom.
    pub headroom_per_prompt: f64,
    /// Pooled headroom.
    pub headroom_pooled: f64,
}

impl Score {
    /// `headline`: IP * H per prompt.
    pub const HEADLINE: Score = Score {
        signal: Signal::Ip,
        headroom: Headroom::PerPrompt,
    };
    /// `literal`: (Sigma - Lambda_ps) * H pooled.
    pub const LITERAL: Score = Score {
        signal: Signal::SPs,
        headroom: Headroom::Pooled,
    };
    /// `literal-eq28`: (Sigma - Lambda_ps) * H per prompt.
    pub const LITERAL_EQ28: Score = Score {
        signal: Signal::SPs,
        headroom: Headroom::PerPrompt,
    };

    /// All products, in the order of the tables: signals, then headrooms.
    pub fn all() -> impl Iterator<Item = Score> {
        Signal::ALL.into_iter().flat_map(|signal| {
            Headroom::ALL
                .into_iter()
                .map(move |headroom| Score { signal, headroom })
        })
    }

    /// The three named products by their names, any other by its parts': the
    /// signal alone, or `sigma-per-prompt`, `s_cond-pooled` and so on.
    pub fn name(self) -> String {
        match self {
            Score::HEADLINE => "headline".to_owned(),
            Score::LITERAL => "literal".to_owned(),
            Score::LITERAL_EQ28 => "literal-eq28".to_owned(),
            Score {
                signal,
                headroom: Headroom::None,
            } => signal.name().to_owned(),
            Score { signal, headroom } => format!("{}-{}", signal.name(), headroom.name()),
        }
    }

    /// The product. `None` where Lambda_group is asked for and nothing was drawn.
    pub fn value(self, parts: &ScoreParts) -> Option<f64> {
        let usable = |lambda: f64| parts.sigma - lambda;
        let signal = match self.signal {
            Signal::Sigma => parts.sigma,
            Signal::Ip => parts.ip,
            Signal::SCond => usable(parts.lambda_cond),
            Signal::SPs => usable(parts.lambda_ps),
            Signal::SGroup => usable(parts.lambda_group?),
            Signal::SCondClip => clipped(usable(parts.lambda_cond)),
            Signal::SPsClip => clipped(usable(parts.lambda_ps)),
            Signal::SGroupClip => clipped(usable(parts.lambda_group?)),
        };
        Some(match self.headroom {
            Headroom::None => signal,
            Headroom::PerPrompt => signal * parts.headroom_per_prompt,
            Headroom::Pooled => signal * parts.headroom_pooled,
        })
    }
}

/// max(S, 0), which leaves NaN as it is: `f64::max` would make it 0.
fn clipped(signal: f64) -> f64 {
    if signal < 0.0 { 0.0 } else { signal }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.name())
    }
}

impl FromStr for Score {
    /// The name that no score has.
    type Err = String;

    fn from_str(name: &str) -> Result<Score, String> {
        Score::all()
            .find(|score| score.name() == name)
            .ok_or_else(|| name.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_and_read_back() {
        let names: Vec<String> = Score::all().map(Score::name).collect();
        assert_eq!(names.len(), 24);
        for (score, name) in Score::all().zip(&names) {
            assert_eq!(name.parse(), Ok(score));
        }
        assert_eq!("best".parse::<Score>(), Err("best".to_owned()));
        for signal in Signal::ALL {
            assert_eq!(serde_json::to_value(signal).unwrap(), signal.name());
        }
        for headroom in Headroom::ALL {
            assert_eq!(serde_json::to_value(headroom).unwrap(), headroom.name());
        }
    }

    #[test]
    fn products_by_hand() {
        let parts = ScoreParts {
            sigma: 2.0,
            ip: 3.0,
            lambda_cond: 0.5,
            lambda_ps: 5.0,
            lambda_group: None,
            headroom_per_prompt: 0.1,
            headroom_pooled: 0.01,
        };
        let value = |name: &str| name.parse::<Score>().unwrap().value(&parts);
        assert_eq!(value("headline"), Some(3.0 * 0.1));
        assert_eq!(value("literal"), Some(-3.0 * 0.01));
        assert_eq!(value("literal-eq28"), Some(-3.0 * 0.1));
        assert_eq!(value("s_cond-pooled"), Some(1.5 * 0.01));
        assert_eq!(value("sigma"), Some(2.0));
        assert_eq!(value("s_group-per-prompt"), None);
        // Lambda_cond is below Sigma, Lambda_ps above it
        assert_eq!(value("s_cond_clip-pooled"), Some(1.5 * 0.01));
        assert_eq!(value("s_ps_clip"), Some(0.0));
        assert_eq!(value("s_group_clip"), None);
        let lost = ScoreParts {
            lambda_cond: f64::NAN,
            ..parts
        };
        let s_cond_clip: Score = "s_cond_clip".parse().unwrap();
        assert!(s_cond_clip.value(&lost).unwrap().is_nan());
    }
}
