//! The words of a command as the pipeline writes them: places of outputs,
//! names of variables, and strings with places to be filled in.
use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a command leaves an output, relative to the folder that it runs in.
/// A slash at the end says that it is a folder, which is then made beforehand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub(super) struct Place(String);

impl TryFrom<String> for Place {
    type Error = String;

    fn try_from(text: String) -> Result<Place, String> {
        let inner = text.strip_suffix('/').unwrap_or(&text);
        let sound = |part: &str| !matches!(part, "" | "." | "..") && !part.contains('\0');
        if inner.split('/').all(sound) {
            Ok(Place(text))
        } else {
            Err(format!(
                "an output is a path below the folder that the command runs in, such as \
                 \"plot.svg\" or \"figures/\", not \"{text}\""
            ))
        }
    }
}

impl From<Place> for String {
    fn from(place: Place) -> String {
        place.0
    }
}

impl Place {
    /// As written.
    pub(super) fn text(&self) -> &str {
        &self.0
    }

    /// Without the slash at the end.
    pub(super) fn path(&self) -> &str {
        self.0.strip_suffix('/').unwrap_or(&self.0)
    }

    pub(super) fn is_folder(&self) -> bool {
        self.0.ends_with('/')
    }

    /// Whether one of the two lies in the other or is the same.
    pub(super) fn overlaps(&self, other: &Place) -> bool {
        let inside = |a: &str, b: &str| a == b || a.starts_with(&format!("{b}/"));
        inside(self.path(), other.path()) || inside(other.path(), self.path())
    }
}

/// The name of an environment variable.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub(super) struct Variable(String);

impl TryFrom<String> for Variable {
    type Error = String;

    fn try_from(text: String) -> Result<Variable, String> {
        let letters = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let digit = text.starts_with(|c: char| c.is_ascii_digit());
        if !text.is_empty() && !digit && text.chars().all(letters) {
            Ok(Variable(text))
        } else {
            Err(format!(
                "\"{text}\" cannot name an environment variable (letters, digits and `_`)"
            ))
        }
    }
}

impl From<Variable> for String {
    fn from(variable: Variable) -> String {
        variable.0
    }
}

impl Variable {
    pub(super) fn name(&self) -> &str {
        &self.0
    }
}

/// What placeholders stand for: table and name to the path that is put in.
pub(super) type Paths = BTreeMap<(&'static str, String), String>;

/// A string with its placeholders filled in and doubled braces made single.
pub(super) fn fill(text: &str, paths: &Paths) -> Result<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        out.push_str(&rest[..at]);
        let brace = &rest[at..=at];
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix(brace) {
            out.push_str(brace);
            rest = after;
            continue;
        }
        let end = rest.find('}').filter(|_| brace == "{");
        let Some(end) = end else {
            bail!("a lone `{brace}` in \"{text}\"");
        };
        let inner = &rest[..end];
        let found = inner.split_once('.').and_then(|(table, name)| {
            let mut entries = paths.iter();
            entries.find(|((known, key), _)| *known == table && key == name)
        });
        let (_, path) = found.with_context(|| format!("nothing is known as {{{inner}}}"))?;
        out.push_str(path);
        rest = &rest[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str) -> Result<Place, String> {
        Place::try_from(text.to_owned())
    }

    #[test]
    fn outputs_lie_below_the_folder() {
        for good in ["plot.svg", "a/b.c", "figures/", "ü b/\n", "..a", "-"] {
            assert_eq!(place(good).unwrap().text(), good);
        }
        for bad in [
            "", "/", ".", "..", "/etc/x", "a/../b", "../a", "a//b", "a//", "./a", "a\0",
        ] {
            assert!(place(bad).is_err(), "{bad:?}");
        }
        let overlap = |a: &str, b: &str| place(a).unwrap().overlaps(&place(b).unwrap());
        assert!(overlap("a", "a/") && overlap("a/b", "a/") && overlap("a", "a/b"));
        assert!(!overlap("a", "ab") && !overlap("a/b", "a/c"));
    }

    #[test]
    fn variables_have_plain_names() {
        for (name, good) in [
            ("A_1", true),
            ("_", true),
            ("1A", false),
            ("", false),
            ("A=B", false),
        ] {
            assert_eq!(Variable::try_from(name.to_owned()).is_ok(), good, "{name}");
        }
    }

    #[test]
    fn places_are_filled_in_and_braces_halved() {
        let paths = Paths::from([
            (("files", "s".to_owned()), "../files/s.py".to_owned()),
            (("inputs", "a-b".to_owned()), "../inputs/a-b".to_owned()),
        ]);
        assert_eq!(fill("x", &paths).unwrap(), "x");
        assert_eq!(
            fill("{files.s}:{inputs.a-b}", &paths).unwrap(),
            "../files/s.py:../inputs/a-b"
        );
        assert_eq!(
            fill("awk '{{print ü}}' {files.s}", &paths).unwrap(),
            "awk '{print ü}' ../files/s.py"
        );
        for bad in ["{", "}", "{files.x}", "{s}", "{files.s", "a}b"] {
            assert!(fill(bad, &paths).is_err(), "{bad}");
        }
    }
}
