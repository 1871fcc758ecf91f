//! Advantages of a group of actions (eq. 1) and their named conventions.
//!
//! Owns the divisors and the xi; the expectation over groups is in
//! `multiplier`. Never draws anything.
//!
//! Symbols: n group size, k successes in the group, j successes among the
//! other n - 1, r reward (indicator 1[a = y] where an integer is taken),
//! s_k standard deviation of the group's rewards, p = p_y, q = 1 - p_y.
use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// How a group's rewards become advantages (eq. 1 and its relatives).
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Advantage {
    /// GRPO as TRL computes it: (r - mean) / (s + 1e-4), s with divisor n - 1.
    #[default]
    GroupNorm,
    /// GRPO with the population deviation: (r - mean) / (s + 1e-6), divisor n.
    GroupNormPop,
    /// Dr. GRPO: r - mean.
    MeanOnly,
    /// Leave-one-out: r minus the mean of the other n - 1 rewards.
    Rloo,
    /// The reward itself (REINFORCE without a baseline).
    None,
}

impl Advantage {
    /// Every convention, in the order of the tables.
    pub const ALL: [Advantage; 5] = [
        Advantage::GroupNorm,
        Advantage::GroupNormPop,
        Advantage::MeanOnly,
        Advantage::Rloo,
        Advantage::None,
    ];

    /// The name in pipelines and tables.
    pub fn name(self) -> &'static str {
        match self {
            Advantage::GroupNorm => "group-norm",
            Advantage::GroupNormPop => "group-norm-pop",
            Advantage::MeanOnly => "mean-only",
            Advantage::Rloo => "rloo",
            Advantage::None => "none",
        }
    }

    /// What is added to the standard deviation; 0 where nothing is divided.
    pub fn xi(self) -> f64 {
        match self {
            Advantage::GroupNorm => 1e-4,
            Advantage::GroupNormPop => 1e-6,
            Advantage::MeanOnly | Advantage::Rloo | Advantage::None => 0.0,
        }
    }

    /// The divisor's degrees of freedom for a group of `n`: n - 1 (sample) or n
    /// (population). `None` where no standard deviation divides.
    fn deviation_divisor(self, n: f64) -> Option<f64> {
        match self {
            Advantage::GroupNorm => Some(n - 1.0),
            Advantage::GroupNormPop => Some(n),
            Advantage::MeanOnly | Advantage::Rloo | Advantage::None => None,
        }
    }

    /// A_n(r, j): the advantage of an action with indicator reward `r` (0 or 1)
    /// when `j` of the other `n - 1` succeeded.
    ///
    /// Groups with equal rewards give 0, except under `none`. A group of one
    /// has nobody to compare with: 0, except under `none`.
    pub fn of_action(self, r: u32, j: u32, n: u32) -> f64 {
        if self == Advantage::None {
            return f64::from(r);
        }
        let k = j + r;
        if n < 2 || k == 0 || k >= n {
            return 0.0;
        }
        let n = f64::from(n);
        let (hits, misses) = (f64::from(k), n - f64::from(k));
        // r - k/n without the cancellation near k = n.
        let centred = if r == 1 { misses / n } else { -hits / n };
        match self.deviation_divisor(n) {
            Some(divisor) => {
                let deviation = (hits * misses / (n * divisor)).sqrt();
                centred / (deviation + self.xi())
            }
            None if self == Advantage::Rloo => centred * n / (n - 1.0),
            None => centred,
        }
    }

    /// The advantage in an infinite group: mean p, standard deviation
    /// sqrt(p q) for both std conventions, the same xi; `rloo` is `mean-only`.
    /// p and q = 1 - p come separately so that neither end loses digits.
    pub fn of_action_infinite(self, r: u32, p: f64, q: f64) -> f64 {
        let centred = if r == 1 { q } else { -p };
        match self {
            Advantage::GroupNorm | Advantage::GroupNormPop => {
                centred / ((p * q).sqrt() + self.xi())
            }
            Advantage::MeanOnly | Advantage::Rloo => centred,
            Advantage::None => f64::from(r),
        }
    }

    /// Advantages of one group of real rewards, as GRPO uses them. Equal
    /// rewards give exactly 0 (except `none`), so that such a group has no
    /// costate at all. A reward that is NaN makes its whole group NaN.
    pub fn of_group(self, rewards: &[f64]) -> Vec<f64> {
        if self == Advantage::None {
            return rewards.to_vec();
        }
        if rewards.len() < 2 || rewards.iter().all(|&r| r == rewards[0]) {
            return vec![0.0; rewards.len()];
        }
        let n = rewards.len() as f64;
        let mean = rewards.iter().sum::<f64>() / n;
        let divisor = match self.deviation_divisor(n) {
            Some(freedom) => {
                let squares: f64 = rewards.iter().map(|r| (r - mean).powi(2)).sum();
                (squares / freedom).sqrt() + self.xi()
            }
            None if self == Advantage::Rloo => (n - 1.0) / n,
            None => 1.0,
        };
        rewards.iter().map(|r| (r - mean) / divisor).collect()
    }
}

impl fmt::Display for Advantage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The `prob-batch` reading: the reward is p_y itself, one per prompt, z-scored
/// over the batch, (x - mean) / (population std + 1e-6). It does not depend on
/// the action, so E lambda_hat = 0. Equal values give exactly 0.
pub fn prob_batch(values: &[f64]) -> Vec<f64> {
    Advantage::GroupNormPop.of_group(values)
}

/// The size of the group behind an advantage. `N(0)` behaves as `N(1)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Group {
    /// The limit: the group's mean and deviation are the policy's own.
    Inf,
    /// n actions.
    N(u32),
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Group::Inf => f.pad("inf"),
            Group::N(n) => f.pad(&n.to_string()),
        }
    }
}

/// A group that is neither `inf` nor a positive whole number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseGroupError(String);

impl fmt::Display for ParseGroupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a group is `inf` or a positive whole number, not `{}`",
            self.0
        )
    }
}

impl std::error::Error for ParseGroupError {}

impl FromStr for Group {
    type Err = ParseGroupError;

    fn from_str(text: &str) -> Result<Group, ParseGroupError> {
        match text.parse() {
            _ if text == "inf" => Ok(Group::Inf),
            Ok(n) if n > 0 => Ok(Group::N(n)),
            _ => Err(ParseGroupError(text.to_owned())),
        }
    }
}

/// `"inf"` or a number.
impl Serialize for Group {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Group::Inf => serializer.serialize_str("inf"),
            Group::N(n) => serializer.serialize_u32(*n),
        }
    }
}

impl<'de> Deserialize<'de> for Group {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Group, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Group;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`\"inf\"` or a positive whole number")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Group, E> {
                text.parse().map_err(E::custom)
            }
            fn visit_u64<E: de::Error>(self, n: u64) -> Result<Group, E> {
                n.to_string().parse().map_err(E::custom)
            }
            fn visit_i64<E: de::Error>(self, n: i64) -> Result<Group, E> {
                n.to_string().parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Group {
    fn schema_name() -> Cow<'static, str> {
        "Group".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "The group's size, or `inf` for the limit",
            "anyOf": [{ "const": "inf" }, { "type": "integer", "minimum": 1 }],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_serialized_form() {
        for advantage in Advantage::ALL {
            let json = serde_json::to_value(advantage).unwrap();
            assert_eq!(json, advantage.name());
        }
    }

    #[test]
    fn a_group_reads_and_writes_itself() {
        for group in [Group::Inf, Group::N(8)] {
            assert_eq!(group.to_string().parse(), Ok(group));
            let json = serde_json::to_string(&group).unwrap();
            assert_eq!(serde_json::from_str::<Group>(&json).unwrap(), group);
        }
        for wrong in ["0", "-3", "1.5", "\"infinite\"", "true"] {
            assert!(serde_json::from_str::<Group>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_action_and_its_group_agree() {
        for advantage in Advantage::ALL {
            for n in 1..=6u32 {
                for bits in 0..1u32 << n {
                    let rewards: Vec<f64> = (0..n).map(|i| f64::from(bits >> i & 1)).collect();
                    let group = advantage.of_group(&rewards);
                    for (i, &a) in group.iter().enumerate() {
                        let r = bits >> i & 1;
                        let one = advantage.of_action(r, bits.count_ones() - r, n);
                        assert!(
                            (a - one).abs() < 1e-12 * (1.0 + a.abs()),
                            "{advantage} {rewards:?} {a} {one}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn by_hand() {
        // Rewards 1, 0, 0, 0: mean 1/4, sample deviation 1/2, population sqrt(3)/4.
        let rewards = [1.0, 0.0, 0.0, 0.0];
        let first = |advantage: Advantage| advantage.of_group(&rewards)[0];
        assert_eq!(first(Advantage::GroupNorm), 0.75 / 0.5001);
        assert!((first(Advantage::GroupNormPop) - 0.75 / (0.1875f64.sqrt() + 1e-6)).abs() < 1e-15);
        assert_eq!(first(Advantage::MeanOnly), 0.75);
        assert_eq!(first(Advantage::Rloo), 1.0);
        assert_eq!(first(Advantage::None), 1.0);
        assert_eq!(Advantage::Rloo.of_group(&[3.0, 1.0]), [2.0, -2.0]);
    }

    #[test]
    fn equal_rewards_have_no_advantage() {
        for advantage in Advantage::ALL {
            let got = advantage.of_group(&[0.1; 7]);
            let want = if advantage == Advantage::None {
                0.1
            } else {
                0.0
            };
            assert_eq!(got, [want; 7], "{advantage}");
        }
        assert!(prob_batch(&[]).is_empty());
        assert!(prob_batch(&[f64::NAN, 1.0]).iter().all(|a| a.is_nan()));
    }
}
