//! The plan as the folder of a run keeps it: what is to be done, a line for each
//! instance, and the keys of what is there already.
use std::{
    borrow::Cow,
    io::{self, Write},
};

use serde::Serialize;
use serde_json::json;

use crate::engine::{Pass, State};

/// The list of keys in a kept plan.
pub(super) const STANDING: &str = "standing";

/// An instance that is to be made.
#[derive(Serialize)]
pub(super) struct PlanLine<'a> {
    pub(super) stage: &'a str,
    pub(super) instance: String,
    pub(super) plan: &'a State,
    pub(super) key: Option<String>,
    pub(super) estimate_ms: Option<u64>,
}

/// Writes what the folder of a run keeps of its plan, as JSON. `standing` are
/// keys of cached results, of which it does not say more: they are thousands.
///
/// # Errors
/// Those of `out`.
pub(super) fn write<'a>(
    pipeline: &str,
    (cached, run, maybe): (usize, usize, usize),
    passes: &[Pass],
    lines: impl Iterator<Item = PlanLine<'a>>,
    standing: impl Iterator<Item = Cow<'a, str>>,
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
        serde_json::to_writer(&mut *out, &line)?;
    }
    write!(out, "\n],\"{STANDING}\":[")?;
    let (mut separator, mut line) = ("\n\"", String::new());
    for key in standing {
        line.clear();
        for piece in [separator, &key, "\""] {
            line.push_str(piece);
        }
        out.write_all(line.as_bytes())?;
        separator = ",\n\"";
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
            (State::Run(Reason::NoRecord), None, Some(7)),
            (
                State::Maybe(Reason::InputsChange),
                Some("\"\\\n\u{e9}"),
                Some(0),
            ),
        ];
        for (count, keys) in [(2, vec!["ab12", "cd34"]), (1, vec!["ab12"]), (0, vec![])] {
            let states = &states[..count];
            let lines = states.iter().map(|(state, key, estimate_ms)| PlanLine {
                stage: "s\"1\"",
                instance: "s@i=1".to_owned(),
                plan: state,
                key: key.map(str::to_owned),
                estimate_ms: *estimate_ms,
            });
            let mut text = Vec::new();
            let standing = keys.iter().map(|key| Cow::Borrowed(*key));
            write("p", (2, 1, 1), &[], lines, standing, &mut text).unwrap();
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
                "pipeline": "p", "cached": 2, "run": 1, "maybe": 1, "passes": [],
                "instances": instances, "standing": keys,
            });
            assert_eq!(found, expected);
        }
    }
}
