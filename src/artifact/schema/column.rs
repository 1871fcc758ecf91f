//! What a nominal table is made of, and the list of all of them.
use std::fmt;

use serde::Serialize;

use crate::artifact::schema;

/// The type of a column's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dtype {
    /// 64-bit signed integers.
    Int,
    /// 64-bit floats; integers are accepted where a table is read.
    Float,
    /// UTF-8 text.
    Text,
    /// true or false.
    Bool,
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Dtype::Int => "integer",
            Dtype::Float => "number",
            Dtype::Text => "text",
            Dtype::Bool => "boolean",
        })
    }
}

/// One column, or a family of columns with a common prefix.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Column {
    /// The name; for a family the prefix that a whole number follows, such as
    /// `gain_k` for `gain_k10` and `gain_k20`.
    pub name: &'static str,
    pub dtype: Dtype,
    /// Empty for labels and pure numbers.
    pub unit: &'static str,
    pub about: &'static str,
    pub nullable: bool,
    pub family: bool,
}

impl Column {
    const fn new(
        name: &'static str,
        dtype: Dtype,
        unit: &'static str,
        about: &'static str,
    ) -> Column {
        Column {
            name,
            dtype,
            unit,
            about,
            nullable: false,
            family: false,
        }
    }

    pub(super) const fn int(name: &'static str, unit: &'static str, about: &'static str) -> Column {
        Column::new(name, Dtype::Int, unit, about)
    }

    pub(super) const fn float(
        name: &'static str,
        unit: &'static str,
        about: &'static str,
    ) -> Column {
        Column::new(name, Dtype::Float, unit, about)
    }

    pub(super) const fn text(name: &'static str, about: &'static str) -> Column {
        Column::new(name, Dtype::Text, "", about)
    }

    pub(super) const fn bool(name: &'static str, about: &'static str) -> Column {
        Column::new(name, Dtype::Bool, "", about)
    }

    /// The same column, in which values may be missing.
    pub(super) const fn nullable(self) -> Column {
        Column {
            nullable: true,
            ..self
        }
    }

    /// One such column for each whole number that follows the name.
    pub(super) const fn family(self) -> Column {
        Column {
            family: true,
            ..self
        }
    }

    /// The number behind a family's prefix, where `name` belongs to the family.
    pub fn member(&self, name: &str) -> Option<u64> {
        let digits = name.strip_prefix(self.name).filter(|_| self.family)?;
        let number: u64 = digits.parse().ok()?;
        (number.to_string() == digits).then_some(number)
    }
}

/// A nominal table.
#[derive(Debug, Serialize)]
pub struct Schema {
    pub name: &'static str,
    pub about: &'static str,
    /// In the order in which they are written.
    pub columns: &'static [Column],
}

impl Schema {
    /// The column or family that `name` belongs to, with its place in the
    /// order of a file: position in the schema, then the number of a family.
    pub fn place(&self, name: &str) -> Option<(usize, u64, &'static Column)> {
        self.columns
            .iter()
            .enumerate()
            .find_map(|(position, column)| {
                if column.family {
                    column.member(name).map(|number| (position, number, column))
                } else {
                    (column.name == name).then_some((position, 0, column))
                }
            })
    }
}

/// Every nominal table, sorted by name.
pub fn all() -> &'static [&'static Schema] {
    &[
        &schema::AFFINE,
        &schema::COMPARISONS,
        &schema::COSTATES,
        &schema::HEADROOM,
        &schema::HEADROOM_PROMPTS,
        &schema::IMPACT,
        &schema::IMPACT_SEEDS,
        &schema::PREDICTIONS,
        &schema::PRETRAIN_LOG,
        &schema::PROMPTS,
        &schema::READINGS,
        &schema::RECOMMENDATION,
        &schema::REWARDS,
        &schema::ROLLOUTS,
        &schema::SCORES,
        &schema::SCORES_WIDE,
        &schema::SENSITIVITY,
        &schema::SIGNAL,
        &schema::TRAINING_LOG,
        &schema::VERDICT,
    ]
}

/// The nominal table of a name.
pub fn named(name: &str) -> Option<&'static Schema> {
    all().iter().find(|schema| schema.name == name).copied()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_distinct_and_sorted() {
        let names: Vec<&str> = all().iter().map(|schema| schema.name).collect();
        assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
        for schema in all() {
            let columns: BTreeSet<&str> = schema.columns.iter().map(|c| c.name).collect();
            assert_eq!(columns.len(), schema.columns.len(), "{}", schema.name);
            assert_eq!(
                named(schema.name).map(|found| found.name),
                Some(schema.name)
            );
        }
        assert!(named("reward").is_none());
    }

    #[test]
    fn a_family_takes_whole_numbers_only() {
        let place = |name| schema::IMPACT.place(name).map(|(_, number, _)| number);
        assert_eq!(place("gain_k10"), Some(10));
        assert_eq!(place("gain_mean"), Some(0));
        for stranger in ["gain_k", "gain_k010", "gain_kx", "gain_k1.5", "gain_k-1"] {
            assert_eq!(place(stranger), None, "{stranger}");
        }
    }

    #[test]
    fn column_names_are_what_a_file_system_and_python_take() {
        for column in all().iter().flat_map(|schema| schema.columns) {
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            assert!(column.name.chars().all(plain), "{}", column.name);
        }
    }
}
