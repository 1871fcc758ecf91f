//! The plan as the folder of a run keeps it: what is to be done, a line for each
//! instance.
use std::{
    borrow::Cow,
    io::{self, Write},
};

use serde_json::json;

use crate::engine::{Pass, State};

/// An instance of a plan as the folder of a run keeps it.
pub(super) struct PlanLine<'a> {
    pub(super) stage: &'a str,
    pub(super) instance: Cow<'a, str>,
    pub(super) state: &'a State,
    pub(super) key: Option<Cow<'a, str>>,
    pub(super) estimate_ms: Option<u64>,
}

impl PlanLine<'_> {
    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(b"{\"stage\":")?;
        quote(self.stage, out)?;
        out.write_all(b",\"instance\":")?;
        quote(&self.instance, out)?;
        out.write_all(b",\"plan\":")?;
        match self.state {
            State::Cached => out.write_all(b"{\"state\":\"cached\"}")?,
            state => write!(out, "{}", json!(state))?,
        }
        out.write_all(b",\"key\":")?;
        match &self.key {
            Some(key) => quote(key, out)?,
            None => out.write_all(b"null")?,
        }
        match self.estimate_ms {
            Some(ms) => write!(out, ",\"estimate_ms\":{ms}}}"),
            None => out.write_all(b",\"estimate_ms\":null}"),
        }
    }
}

/// Thousands of names are as JSON has them: they are taken whole.
fn quote(text: &str, out: &mut dyn Write) -> io::Result<()> {
    let odd = |byte: &u8| *byte < b' ' || *byte == b'"' || *byte == b'\\';
    // Counted, since many bytes are then looked at together.
    if text.bytes().filter(odd).count() > 0 {
        return write!(out, "{}", json!(text));
    }
    out.write_all(b"\"")?;
    out.write_all(text.as_bytes())?;
    out.write_all(b"\"")
}

/// Writes what the folder of a run keeps of its plan, as JSON.
///
/// # Errors
/// Those of `out`.
pub(super) fn write<'a>(
    pipeline: &str,
    (cached, run, maybe): (usize, usize, usize),
    passes: &[Pass],
    lines: impl Iterator<Item = PlanLine<'a>>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let head = json!({
        "pipeline": pipeline, "cached": cached, "run": run, "maybe": maybe, "passes": passes,
    });
    let head = head.to_string();
    let head = head.strip_suffix('}').unwrap_or(&head);
    write!(out, "{head},\"instances\":[")?;
    let mut separator = "\n";
    for line in lines {
        out.write_all(separator.as_bytes())?;
        separator = ",\n";
        line.write(out)?;
    }
    out.write_all(b"\n]}\n")
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::engine::Reason;

    #[test]
    fn a_kept_plan_is_the_json_that_it_means() {
        let states = [
            (State::Cached, Some("ab12"), None),
            (State::Run(Reason::NoRecord), None, Some(7)),
            (
                State::Maybe(Reason::InputsChange),
                Some("\"\\\n\u{e9}"),
                Some(0),
            ),
        ];
        let lines = states.iter().map(|(state, key, estimate_ms)| PlanLine {
            stage: "s\"1\"",
            instance: "s@i=1".into(),
            state,
            key: key.map(Cow::Borrowed),
            estimate_ms: *estimate_ms,
        });
        let mut text = Vec::new();
        write("p", (1, 1, 1), &[], lines, &mut text).unwrap();
        let found: Value = serde_json::from_slice(&text).unwrap();
        let instances: Vec<Value> = (states.iter())
            .map(|(state, key, estimate_ms)| {
                json!({
                    "stage": "s\"1\"", "instance": "s@i=1", "plan": state, "key": key,
                    "estimate_ms": estimate_ms,
                })
            })
            .collect();
        let expected = json!({
            "pipeline": "p", "cached": 1, "run": 1, "maybe": 1, "passes": [],
            "instances": instances,
        });
        assert_eq!(found, expected);
    }
}
