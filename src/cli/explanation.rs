//! Differences and explanations in words, for `plan` and `why`.
use serde_json::Value;

use crate::{
    digest::Digest,
    engine::{
        Reason, State,
        explain::{Cause, Change, Difference, Explanation, Nearness, Root},
    },
    progress::{duration, plural},
};

/// A longer value is cut.
const VALUE_MAX: usize = 60;
/// So many of a list are named.
const NAMED_MAX: usize = 4;

/// How much is said: all, or only what instances of one stage have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    Full,
    /// Stages instead of instances, no digests.
    Common,
}

impl Detail {
    fn name(self, label: &str) -> String {
        match self {
            Detail::Full => label.to_owned(),
            Detail::Common => label.split('@').next().unwrap_or(label).to_owned(),
        }
    }
}

pub(super) fn state(state: &State) -> String {
    match state {
        State::Cached => "cached".to_owned(),
        State::Run(reason) => format!("to run, {}", because(reason)),
        State::Maybe(reason) => format!("maybe, {}", because(reason)),
    }
}

pub(super) fn because(reason: &Reason) -> &'static str {
    match reason {
        Reason::NoRecord => "no result for this key",
        Reason::NewShape => "nothing like it was run before",
        Reason::BytesMissing => "its bytes are gone and are wanted",
        Reason::InputsChange => "something before it runs",
        Reason::Forced => "forced",
        Reason::Unresolved => "unresolved: what it names on the hub is not in the lock yet",
        Reason::Dropped => "its result was dropped or damaged",
    }
}

/// `params.alpha  1.0 -> 2.0`.
pub(super) fn difference(difference: &Difference, detail: Detail) -> String {
    match difference {
        Difference::Entry { path, before, now } => match (before, now) {
            (Some(before), Some(now)) => format!("{path}  {} -> {}", value(before), value(now)),
            (None, Some(now)) => format!("{path}  new, {}", value(now)),
            (before, None) => format!(
                "{path}  gone, was {}",
                before.as_ref().map(value).unwrap_or_default()
            ),
        },
        Difference::Input {
            port,
            at,
            before,
            now,
            change,
            producer,
        } => {
            let gathered = !at.is_empty();
            let at = match detail {
                Detail::Full if gathered => format!("[{at}]"),
                _ => String::new(),
            };
            let from = producer
                .as_ref()
                .map(|producer| format!(" from {}", detail.name(producer)));
            let from = from.unwrap_or_default();
            match change {
                // Which ones, only `why` of one instance lists.
                Change::Added | Change::Removed if detail == Detail::Common && gathered => {
                    format!("input {port}  gathers other coordinates")
                }
                Change::Added => format!("input {port}{at}  new{from}"),
                Change::Removed => format!("input {port}{at}  gone"),
                Change::Content if detail == Detail::Common => {
                    format!("input {port}  other bytes{from}")
                }
                Change::Content => format!(
                    "input {port}{at}  other bytes{from}, {} -> {}",
                    short(before.as_ref()),
                    short(now.as_ref())
                ),
            }
        }
    }
}

fn short(digest: Option<&Digest>) -> String {
    digest.map_or_else(|| "not known yet".to_owned(), Digest::short)
}

/// JSON as it is, floats in shortest round-trip form; digests and long ones cut.
fn value(value: &Value) -> String {
    if let Some(digest) = value.as_str().and_then(|text| text.parse::<Digest>().ok()) {
        return digest.short();
    }
    let text = value.to_string();
    if text.chars().count() > VALUE_MAX {
        let start: String = text.chars().take(VALUE_MAX).collect();
        return format!("{start}...");
    }
    text
}

/// An instance's explanation: what follows its name, then indented lines.
pub(super) fn lines(explained: &Explanation, detail: Detail) -> Vec<String> {
    let mut lines = vec![state(&explained.plan)];
    if let (Detail::Full, Some(made)) = (detail, &explained.made) {
        let run = if made.run.is_empty() {
            String::new()
        } else {
            format!(", run {}", made.run)
        };
        let named = if made.instance.is_empty() || made.instance == explained.instance {
            String::new()
        } else {
            format!(", for {}", made.instance)
        };
        lines.push(format!(
            "made {} on {} ({}) in {}{run}{named}",
            whole_seconds(&made.started),
            made.host,
            made.device,
            duration(made.duration_ms)
        ));
    }
    if let Some(compared) = &explained.compared {
        let near = near(compared.nearness);
        lines.push(match detail {
            Detail::Full => format!(
                "compared with {near}, of {}",
                whole_seconds(&compared.made.started)
            ),
            Detail::Common => format!("compared with {near}"),
        });
    }
    lines.extend(some(
        &explained.differences,
        |one| format!("  {}", difference(one, detail)),
        detail,
    ));
    if !explained.waits_for.is_empty() {
        lines.push(format!(
            "waits for {}",
            listing(&explained.waits_for, detail)
        ));
    }
    if !explained.wanted_by.is_empty() {
        lines.push(format!(
            "wanted by {}",
            listing(&explained.wanted_by, detail)
        ));
    }
    let others = (explained.roots.iter()).filter(|root| root.instance != explained.instance);
    let others: Vec<&Root> = others.collect();
    if !others.is_empty() {
        lines.push("set off by".to_owned());
        lines.extend(roots(&others, detail));
    }
    lines
}

/// RFC 3339 without a fraction: `2026-11-24T14:25:10Z`.
fn whole_seconds(moment: &str) -> String {
    match moment.split_once('.') {
        Some((seconds, rest)) => {
            let zone = rest.trim_start_matches(|c: char| c.is_ascii_digit());
            format!("{seconds}{zone}")
        }
        None => moment.to_owned(),
    }
}

/// Each text once, in the order of their first places.
pub(super) fn distinct(texts: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for text in texts {
        if !found.contains(&text) {
            found.push(text);
        }
    }
    found
}

/// What many instances have in common is said once; of one, not everything.
fn some<T>(items: &[T], line: impl Fn(&T) -> String, detail: Detail) -> Vec<String> {
    let lines = items.iter().map(line);
    if detail == Detail::Common {
        return distinct(lines);
    }
    let mut lines: Vec<String> = lines.collect();
    let more = lines.len().saturating_sub(2 * NAMED_MAX);
    if more > 0 {
        lines.truncate(2 * NAMED_MAX);
        lines.push(format!("  and {}", plural(more, "other difference")));
    }
    lines
}

/// Roots of one stage with one cause are one line.
fn roots(roots: &[&Root], detail: Detail) -> Vec<String> {
    let mut groups: Vec<(String, &Root, usize)> = Vec::new();
    for root in roots {
        let common = format!(
            "{}: {}",
            Detail::Common.name(&root.instance),
            cause(&root.cause, Detail::Common)
        );
        match groups.iter_mut().find(|(known, ..)| *known == common) {
            Some((.., count)) => *count += 1,
            None => groups.push((common, root, 1)),
        }
    }
    let line = |(common, root, count): (String, &Root, usize)| {
        if detail == Detail::Common {
            return format!("  {common}");
        }
        let alike = match count {
            1 => String::new(),
            _ => format!(" (and {} alike)", count - 1),
        };
        let way: Vec<&str> = root.chain.iter().rev().map(String::as_str).collect();
        let way = if way.len() > 2 {
            format!("\n    by way of {}", way.join(" > "))
        } else {
            String::new()
        };
        format!(
            "  {}: {}{alike}{way}",
            root.instance,
            cause(&root.cause, Detail::Full)
        )
    };
    groups.into_iter().map(line).collect()
}

fn cause(cause: &Cause, detail: Detail) -> String {
    match cause {
        Cause::Changed { differences } => {
            let said = some(differences, |one| difference(one, detail), detail);
            said.iter()
                .map(|line| line.trim())
                .collect::<Vec<_>>()
                .join("; ")
        }
        Cause::New => "new, nothing of its kind was run before".to_owned(),
        Cause::BytesMissing => "its bytes are gone".to_owned(),
        Cause::Forced => "forced".to_owned(),
        Cause::Dropped => "its result was dropped or damaged".to_owned(),
        Cause::OtherBytes => "delivers other bytes than were used before".to_owned(),
    }
}

fn near(nearness: Nearness) -> &'static str {
    match nearness {
        Nearness::UsedBefore => "the result that was used before",
        Nearness::Instance => "the nearest result of this instance",
        Nearness::Shape => "a result with the same parameters",
        Nearness::Family => "a result of the same family",
        Nearness::Kind => "the nearest result of this kind",
    }
}

/// `a, b, c, d and 12 more`.
pub(super) fn listing(labels: &[String], detail: Detail) -> String {
    let mut names: Vec<String> = labels.iter().map(|label| detail.name(label)).collect();
    names.dedup();
    let more = names.len().saturating_sub(NAMED_MAX);
    names.truncate(NAMED_MAX);
    let named = names.join(", ");
    if more > 0 {
        format!("{named} and {more} more")
    } else {
        named
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(at: &str, change: Change) -> Difference {
        Difference::Input {
            port: "costates".to_owned(),
            at: at.to_owned(),
            before: None,
            now: None,
            change,
            producer: Some("costates@step=25".to_owned()),
        }
    }

    #[test]
    fn other_coordinates_of_a_gather_are_said_once() {
        let all = [
            input("step=100", Change::Removed),
            input("step=25", Change::Content),
            input("step=50", Change::Added),
        ];
        let said = some(&all, |one| difference(one, Detail::Common), Detail::Common);
        assert_eq!(
            said,
            [
                "input costates  gathers other coordinates",
                "input costates  other bytes from costates"
            ]
        );
        assert_eq!(
            difference(&all[2], Detail::Full),
            "input costates[step=50]  new from costates@step=25"
        );
        // On a port that takes one there are no coordinates.
        assert_eq!(
            difference(&input("", Change::Removed), Detail::Common),
            "input costates  gone"
        );
    }

    #[test]
    fn moments_are_told_to_the_second() {
        let moments = ["2026-11-24T14:25:10.982095002Z", "2026-11-24T14:25:10Z"];
        let expected = "2026-11-24T14:25:10Z";
        assert_eq!(moments.map(whole_seconds), [expected; 2]);
    }
}
