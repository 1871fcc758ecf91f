//! The stream of events: its form, and that docs/events.md tells all of it.
use std::{collections::BTreeSet, fs, path::Path};

use serde_json::Value;
use vgh::engine::{Event, EventLine};

use crate::commands::{BAD, TOY, toy};

fn documentation() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/events.md");
    fs::read_to_string(path).unwrap()
}

/// The part of the page below a heading.
fn section<'a>(page: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = page.split_once(&format!("\n## `{name}`\n"))?;
    Some(rest.split("\n## ").next().unwrap_or(rest))
}

#[test]
fn every_event_and_field_is_documented() {
    let page = documentation();
    let schema = schemars::schema_for!(Event).to_value();
    let variants = schema["oneOf"].as_array().unwrap();
    assert!(variants.len() > 8);
    for variant in variants {
        let name = variant["properties"]["event"]["const"].as_str().unwrap();
        let about = section(&page, name).unwrap_or_else(|| panic!("no section `{name}`"));
        let mut fields: BTreeSet<&str> = variant["properties"]
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        if let Some(place) = variant["$ref"].as_str() {
            let of = place.trim_start_matches("#/$defs/");
            let more = schema["$defs"][of]["properties"].as_object().unwrap();
            fields.extend(more.keys().map(String::as_str));
        }
        fields.remove("event");
        for field in fields {
            assert!(about.contains(&format!("| `{field}` |")), "{name}: {field}");
        }
        assert!(!about.contains("| `event` |"), "{name}");
    }
}

#[test]
fn a_file_gets_the_same_events_as_the_stream() {
    let project = toy();
    project.write("toy.toml", format!("{TOY}{BAD}"));
    let args = [
        "run",
        "toy.toml",
        "--json",
        "--keep-going",
        "--events",
        "events.jsonl",
    ];
    let output = project.vgh(&args);
    assert_eq!(output.status.code(), Some(1));
    let stream = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        stream,
        fs::read_to_string(project.file("events.jsonl")).unwrap()
    );
    let first = stream.lines().next().unwrap();
    assert!(
        first.starts_with("{\"event\":\"run-started\",\"format\":1,"),
        "{first}"
    );
    let last = stream.lines().last().unwrap();
    let begin = "{\"event\":\"run-finished\",\"executed\":4,\"cached\":0,\"failed\":2,\"wall_s\":";
    assert!(last.starts_with(begin), "{last}");
    let lines: Vec<EventLine> = stream
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(lines.is_sorted_by_key(|line| line.at));
    let page = documentation();
    for line in stream.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        let about = section(&page, event["event"].as_str().unwrap()).unwrap();
        for field in event.as_object().unwrap().keys() {
            let common = matches!(field.as_str(), "event" | "at");
            assert!(
                common || about.contains(&format!("| `{field}` |")),
                "{line}"
            );
        }
    }
}
