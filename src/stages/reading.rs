//! Readings that kinds share: which hidden state, which vocabulary. Their names
//! are those of the tables.
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The hidden state that the value gradient is taken by.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Hidden {
    /// After the final norm, where z = W h (eq. 13).
    #[default]
    Post,
    /// Before the final norm: the residual stream.
    Pre,
}

/// The tokens that the softmax runs over.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Vocab {
    /// All rows of the head, padded ones included.
    #[default]
    Full,
    /// The label tokens alone, renormalised.
    Labels,
}

impl Hidden {
    pub fn name(self) -> &'static str {
        match self {
            Hidden::Post => "post",
            Hidden::Pre => "pre",
        }
    }
}

impl Vocab {
    pub fn name(self) -> &'static str {
        match self {
            Vocab::Full => "full",
            Vocab::Labels => "labels",
        }
    }
}

impl fmt::Display for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Display for Vocab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_serialized_form() {
        for hidden in [Hidden::Post, Hidden::Pre] {
            assert_eq!(serde_json::to_value(hidden).unwrap(), hidden.name());
        }
        for vocab in [Vocab::Full, Vocab::Labels] {
            assert_eq!(serde_json::to_value(vocab).unwrap(), vocab.name());
        }
    }
}
