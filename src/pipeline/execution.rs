//! Settings of execution: how often, with how much, and what is kept. They
//! never enter a key.
use toml::de::DeValue;

use crate::{
    diagnostic::{Diagnostic, Faults},
    pipeline::{
        meaning::{Execution, Snapshots},
        names::Names,
        node::{Entry, Node, describe, entries},
    },
    stage::Kind,
};

const RESOURCES: [&str; 6] = ["cpu", "gpu", "memory", "disk", "network", "time"];

/// The settings of one stage; what has a fault keeps its default.
pub(super) fn settle(
    written: &[Entry<'_>],
    kind: Option<&Kind>,
    names: &mut Names<'_>,
    faults: &mut Faults,
) -> Execution {
    let mut execution = Execution::default();
    for entry in written {
        let done = names.fill_plain(&entry.value, faults, |node| {
            let mut found = set(&mut execution, entry.key.get_ref(), node);
            if let Some(kind) = kind.filter(|kind| execution.temp && !kind.bitwise)
                && entry.key.get_ref() == "temp"
            {
                found.push(not_made_again(kind, node));
            }
            found
        });
        for fault in done.unwrap_or_default() {
            faults.push(fault);
        }
    }
    if !written.iter().any(|entry| entry.key.get_ref() == "publish") {
        execution.publish = !execution.temp && kind.is_none_or(|kind| kind.publish);
    }
    execution
}

fn set(execution: &mut Execution, word: &str, node: &Node<'_>) -> Vec<Diagnostic> {
    let done = match word {
        "resources" => return resources(execution, node),
        "retries" => whole(word, node).map(|n| execution.retries = n),
        "temp" => boolean(word, node).map(|value| execution.temp = value),
        "publish" => boolean(word, node).map(|value| execution.publish = value),
        _ => snapshots(node).map(|value| execution.snapshots = value),
    };
    done.err().into_iter().collect()
}

fn not_made_again(kind: &Kind, node: &Node<'_>) -> Diagnostic {
    Diagnostic::new(format!(
        "`temp` is not for kind `{}`, which may give other bytes when it runs again",
        kind.name
    ))
    .at(node.span())
    .help("leave `temp` out; `vgh cache gc` removes bytes that no pipeline needs")
}

fn resources(execution: &mut Execution, node: &Node<'_>) -> Vec<Diagnostic> {
    let DeValue::Table(table) = node.get_ref() else {
        return vec![takes("resources", "a table such as { cpu = 1 }", node)];
    };
    let wanted = &mut execution.resources;
    let (mut faults, mut cpu) = (Vec::new(), None);
    for Entry { key, value } in entries(table.clone()) {
        let name = key.get_ref().as_str();
        let done = match name {
            "cpu" => whole(name, &value).map(|n| cpu = Some(n)),
            "gpu" => whole(name, &value).map(|n| wanted.gpu = n),
            "network" => whole(name, &value).map(|n| wanted.network = n),
            "memory" => bytes(name, &value).map(|n| wanted.memory_bytes = n),
            "disk" => bytes(name, &value).map(|n| wanted.disk_bytes = n),
            "time" => seconds(name, &value).map(|s| wanted.time_s = Some(s)),
            _ => Err(Diagnostic::new(format!("unknown resource `{name}`"))
                .at(key.span())
                .label(format!("resources: {}", RESOURCES.join(", ")))
                .nearest(name, RESOURCES)),
        };
        faults.extend(done.err());
    }
    // What waits for the network needs no processor, unless it says so.
    wanted.cpu = cpu.unwrap_or(u32::from(wanted.network == 0));
    faults
}

fn takes(name: &str, wanted: &str, node: &Node<'_>) -> Diagnostic {
    Diagnostic::new(format!(
        "`{name}` takes {wanted}, not {}",
        describe(node.get_ref())
    ))
    .at(node.span())
}

fn integer(node: &Node<'_>) -> Option<i64> {
    let number = node.get_ref().as_integer()?;
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

fn whole(name: &str, node: &Node<'_>) -> Result<u32, Diagnostic> {
    integer(node)
        .and_then(|n| u32::try_from(n).ok())
        .ok_or_else(|| takes(name, "a whole number of 0 or more", node))
}

fn boolean(name: &str, node: &Node<'_>) -> Result<bool, Diagnostic> {
    node.get_ref()
        .as_bool()
        .ok_or_else(|| takes(name, "`true` or `false`", node))
}

fn snapshots(node: &Node<'_>) -> Result<Snapshots, Diagnostic> {
    match node.get_ref().as_str() {
        Some("last") => Ok(Snapshots::Last),
        Some("none") => Ok(Snapshots::None),
        _ => Err(takes("snapshots", "\"last\" or \"none\"", node)),
    }
}

/// A number with the unit behind it, by a table of units.
pub fn with_unit(text: &str, units: &[(&str, f64)]) -> Option<f64> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim())?;
    Some(number.parse::<f64>().ok()? * factor)
}

/// A number of bytes as people write it: `4 GiB`, `500 MB`, `1000`.
pub fn parse_bytes(text: &str) -> Option<u64> {
    const UNITS: [(&str, f64); 9] = [
        ("B", 1.0),
        ("kB", 1e3),
        ("MB", 1e6),
        ("GB", 1e9),
        ("TB", 1e12),
        ("KiB", 1024.0),
        ("MiB", 1_048_576.0),
        ("GiB", 1_073_741_824.0),
        ("TiB", 1_099_511_627_776.0),
    ];
    let text = text.trim();
    let with_unit = || with_unit(text, &UNITS).map(|bytes| bytes as u64);
    text.parse().ok().or_else(with_unit)
}

fn bytes(name: &str, node: &Node<'_>) -> Result<u64, Diagnostic> {
    let read = match node.get_ref() {
        DeValue::String(text) => parse_bytes(text),
        _ => integer(node).and_then(|n| u64::try_from(n).ok()),
    };
    read.ok_or_else(|| takes(name, "bytes, such as \"4 GiB\" or \"500 MB\"", node))
}

fn seconds(name: &str, node: &Node<'_>) -> Result<f64, Diagnostic> {
    const UNITS: [(&str, f64); 4] = [("s", 1.0), ("min", 60.0), ("h", 3600.0), ("d", 86400.0)];
    let read = match node.get_ref() {
        DeValue::String(text) => with_unit(text.trim(), &UNITS),
        DeValue::Float(number) => number.as_str().parse().ok(),
        _ => integer(node).map(|n| n as f64),
    };
    read.filter(|s| s.is_finite() && *s > 0.0).ok_or_else(|| {
        takes(
            name,
            "seconds, or a text such as \"90 min\" or \"2 h\"",
            node,
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set_one(word: &str, value: &str) -> Result<Execution, String> {
        let mut execution = Execution::default();
        let faults = set(&mut execution, word, &DeValue::parse(value).unwrap());
        match faults.first() {
            None => Ok(execution),
            Some(fault) => Err(fault.message.clone()),
        }
    }

    #[test]
    fn settings_are_read_with_units() {
        let value = "{ cpu = 2, memory = \"1.5 GiB\", disk = \"2MB\", time = \"90 min\" }";
        let resources = set_one("resources", value).unwrap().resources;
        assert_eq!(resources.cpu, 2);
        let cpu = |value| set_one("resources", value).unwrap().resources.cpu;
        assert_eq!((cpu("{ network = 1 }"), cpu("{ gpu = 1 }")), (0, 1));
        assert_eq!(cpu("{ network = 1, cpu = 1 }"), 1);
        assert_eq!(resources.memory_bytes, 1_610_612_736);
        assert_eq!(resources.disk_bytes, 2_000_000);
        assert_eq!(resources.time_s, Some(5400.0));
        assert_eq!(
            set_one("snapshots", "\"none\"").unwrap().snapshots,
            Snapshots::None
        );
        assert!(set_one("temp", "true").unwrap().temp);
    }

    #[test]
    fn other_values_are_refused() {
        for (word, value) in [
            ("retries", "-1"),
            ("temp", "1"),
            ("snapshots", "\"all\""),
            ("resources", "3"),
            ("resources", "{ memory = \"4 gb\" }"),
            ("resources", "{ time = 0 }"),
            ("resources", "{ cpus = 1 }"),
        ] {
            assert!(set_one(word, value).is_err(), "{word} = {value}");
        }
    }
}
