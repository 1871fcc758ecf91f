//! Coordinates: where on the axes an instance stands. Plain ordered values.
use std::{cmp::Ordering, collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

/// The value of one axis: what a TOML scalar can be.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Value")]
pub enum Scalar {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
}

/// Axis name to value. Sorted by name, so equal coordinates are equal values.
pub type Coords = BTreeMap<String, Scalar>;

impl Scalar {
    fn rank(&self) -> u8 {
        match self {
            Scalar::Bool(_) => 0,
            Scalar::Int(_) | Scalar::Float(_) => 1,
            Scalar::Text(_) => 2,
        }
    }

    /// The number, where the value is one.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Scalar::Int(i) => Some(*i as f64),
            Scalar::Float(x) => Some(*x),
            Scalar::Bool(_) | Scalar::Text(_) => None,
        }
    }

    pub fn to_json(&self) -> Value {
        match self {
            Scalar::Bool(b) => Value::from(*b),
            Scalar::Int(i) => Value::from(*i),
            Scalar::Float(x) => Value::from(*x),
            Scalar::Text(s) => Value::from(s.as_str()),
        }
    }
}

/// Numbers by size (integers and floats mixed), then text by bytes.
impl Ord for Scalar {
    fn cmp(&self, other: &Scalar) -> Ordering {
        match (self, other) {
            (Scalar::Int(a), Scalar::Int(b)) => a.cmp(b),
            (Scalar::Bool(a), Scalar::Bool(b)) => a.cmp(b),
            (Scalar::Text(a), Scalar::Text(b)) => a.cmp(b),
            _ => match (self.as_f64(), other.as_f64()) {
                (Some(a), Some(b)) => a.total_cmp(&b),
                _ => self.rank().cmp(&other.rank()),
            },
        }
    }
}

impl PartialOrd for Scalar {
    fn partial_cmp(&self, other: &Scalar) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Eq for Scalar {}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scalar::Bool(b) => write!(f, "{b}"),
            Scalar::Int(i) => write!(f, "{i}"),
            // Shortest round trip, with an exponent where people write one: 1e-4, 0.5.
            Scalar::Float(x) if *x != 0.0 && (x.abs() <= 1e-3 || x.abs() >= 1e15) => {
                write!(f, "{x:e}")
            }
            Scalar::Float(x) => write!(f, "{x}"),
            Scalar::Text(s) => f.write_str(s),
        }
    }
}

impl Serialize for Scalar {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

impl TryFrom<Value> for Scalar {
    type Error = String;

    fn try_from(value: Value) -> Result<Scalar, String> {
        match value {
            Value::Bool(b) => Ok(Scalar::Bool(b)),
            Value::String(s) => Ok(Scalar::Text(s)),
            Value::Number(n) => match (n.as_i64(), n.as_f64()) {
                (Some(i), _) => Ok(Scalar::Int(i)),
                (None, Some(x)) => Ok(Scalar::Float(x)),
                (None, None) => Err(format!("{n} is out of range")),
            },
            other => Err(format!("{other} is not a scalar")),
        }
    }
}

/// `lr=1e-4,step=100`, the form that selectors use; empty for no coordinates.
pub fn show(coords: &Coords) -> String {
    let parts: Vec<String> = coords
        .iter()
        .map(|(axis, value)| format!("{axis}={value}"))
        .collect();
    parts.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_sort_by_size_and_text_after_them() {
        let mut values = [
            Scalar::Text("a".into()),
            Scalar::Int(10),
            Scalar::Float(2.5),
            Scalar::Int(2),
        ];
        values.sort();
        assert_eq!(values.map(|v| v.to_string()), ["2", "2.5", "10", "a"]);
    }

    #[test]
    fn scalars_round_trip_through_json() {
        for value in [
            Scalar::Float(1e-4),
            Scalar::Int(-3),
            Scalar::Bool(true),
            Scalar::Text("x".into()),
        ] {
            let text = serde_json::to_string(&value).unwrap();
            assert_eq!(serde_json::from_str::<Scalar>(&text).unwrap(), value);
        }
    }

    #[test]
    fn small_floats_read_as_people_write_them() {
        let coords = Coords::from([
            ("lr".to_owned(), Scalar::Float(0.0001)),
            ("step".to_owned(), Scalar::Int(25)),
        ]);
        assert_eq!(show(&coords), "lr=1e-4,step=25");
    }
}
