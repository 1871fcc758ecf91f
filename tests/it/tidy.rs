//! Style that matters is a test: who may import whom, file length, headers.
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// A file longer than this does more than one thing.
const LINES_MAX: usize = 400;

/// The layer table of ARCHITECTURE.md: module to what it may import of ours.
const LAYERS: &[(&str, &[&str])] = &[
    ("theory", &[]),
    ("diagnostic", &[]),
    ("digest", &[]),
    ("disk", &[]),
    ("report", &[]),
    ("seed", &["digest"]),
    ("hub", &["digest", "disk", "diagnostic"]),
    ("artifact", &["digest", "disk"]),
    ("cache", &["digest", "disk", "host"]),
    ("host", &[]),
    ("stats", &["seed"]),
    ("lm", &["seed", "digest", "disk"]),
    ("rl", &["lm", "theory", "seed"]),
    ("stage", &["artifact", "diagnostic", "digest", "seed"]),
    ("pipeline", &["stage", "artifact", "diagnostic", "digest"]),
    (
        "engine",
        &[
            "pipeline",
            "stage",
            "artifact",
            "cache",
            "digest",
            "seed",
            "diagnostic",
            "host",
        ],
    ),
    (
        "stages",
        &[
            "stage",
            "artifact",
            "diagnostic",
            "digest",
            "disk",
            "host",
            "hub",
            "lm",
            "rl",
            "theory",
            "stats",
            "report",
            "seed",
        ],
    ),
    ("progress", &["engine"]),
    ("diagram", &[]),
    ("form", &["pipeline", "stage"]),
    (
        "runs",
        &[
            "progress",
            "engine",
            "pipeline",
            "artifact",
            "cache",
            "digest",
            "diagnostic",
            "disk",
            "host",
        ],
    ),
    ("worker", &["stage", "artifact", "cache", "engine"]),
];

/// Crates that only some modules may name.
const RESERVED: &[(&str, &[&str])] = &[
    ("candle_core", &["lm", "rl", "artifact", "stages"]),
    ("polars", &["artifact", "stages"]),
    ("toml", &["pipeline", "stage"]),
    ("clap", &["cli"]),
    ("plotters", &["report"]),
];

fn sources() -> Vec<(PathBuf, String)> {
    fn walk(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for folder in ["src", "tests"] {
        walk(&root.join(folder), &mut found);
    }
    found.sort();
    found
        .iter()
        .map(|(path, text)| (path.strip_prefix(root).unwrap().to_owned(), text.clone()))
        .collect()
}

/// `src/lm/ops/rope.rs` belongs to `lm`; `src/seed.rs` to `seed`.
fn module(path: &Path) -> Option<String> {
    let inner = path.strip_prefix("src").ok()?;
    let first = inner.components().next()?.as_os_str().to_str()?;
    Some(first.trim_end_matches(".rs").to_owned())
}

/// The names behind `crate::` in a line or a braced list after it.
fn imports(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in text.match_indices("crate::") {
        let before = text[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let rest = &text[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(list) => {
                let (mut depth, mut name) = (1, String::new());
                for c in list.chars() {
                    match c {
                        '{' => depth += 1,
                        '}' => depth -= 1,
                        _ => {}
                    }
                    if depth == 1 && (c.is_alphanumeric() || c == '_') {
                        name.push(c);
                    } else if depth == 1 && c == ',' || depth == 0 {
                        found.insert(std::mem::take(&mut name));
                    } else if depth == 1 && c == ':' {
                        found.insert(name.clone());
                        "\u{0}".clone_into(&mut name);
                    }
                    if depth == 0 {
                        break;
                    }
                }
            }
            None => {
                found.insert(
                    rest.chars()
                        .take_while(|c| c.is_alphanumeric() || *c == '_')
                        .collect(),
                );
            }
        }
    }
    found.retain(|name| !name.is_empty() && !name.contains('\u{0}'));
    found
}

#[test]
fn modules_import_only_what_the_layer_table_allows() {
    let layers: BTreeMap<&str, &[&str]> = LAYERS.iter().copied().collect();
    let mut faults = Vec::new();
    for (path, text) in sources() {
        let Some(module) = module(&path) else {
            continue;
        };
        if matches!(module.as_str(), "main" | "lib" | "cli") {
            continue;
        }
        let allowed = layers
            .get(module.as_str())
            .unwrap_or_else(|| panic!("`{module}` is not in the layer table"));
        for import in imports(&text) {
            if import != module
                && layers.contains_key(import.as_str())
                && !allowed.contains(&import.as_str())
                || import == "cli"
            {
                faults.push(format!(
                    "{}: `{module}` may not import `{import}`",
                    path.display()
                ));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_layer_table_has_no_cycle() {
    let layers: BTreeMap<&str, &[&str]> = LAYERS.iter().copied().collect();
    let mut left: BTreeSet<&str> = layers.keys().copied().collect();
    while !left.is_empty() {
        let free: Vec<&str> = left
            .iter()
            .copied()
            .filter(|module| layers[module].iter().all(|import| !left.contains(import)))
            .collect();
        assert!(!free.is_empty(), "a cycle among {left:?}");
        left.retain(|module| !free.contains(module));
    }
}

#[test]
fn crates_stay_where_they_belong() {
    let mut faults = Vec::new();
    for (path, text) in sources() {
        let Some(module) = module(&path) else {
            continue;
        };
        if path.file_name().is_some_and(|name| name == "tests.rs") {
            continue;
        }
        for (name, allowed) in RESERVED {
            let used =
                text.contains(&format!("use {name}::")) || text.contains(&format!(" {name}::"));
            if used && !allowed.contains(&module.as_str()) {
                faults.push(format!(
                    "{}: `{module}` may not use `{name}`",
                    path.display()
                ));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn files_are_short_and_say_what_they_own() {
    let mut faults = Vec::new();
    for (path, text) in sources() {
        let lines = text.lines().count();
        if lines > LINES_MAX {
            faults.push(format!(
                "{}: {lines} lines, more than {LINES_MAX}",
                path.display()
            ));
        }
        if !text.starts_with("//!") {
            faults.push(format!("{}: no //! header", path.display()));
        }
        if path.file_name().is_some_and(|name| {
            matches!(
                name.to_str(),
                Some("util.rs" | "utils.rs" | "helpers.rs" | "common.rs")
            )
        }) {
            faults.push(format!("{}: name it for what it does", path.display()));
        }
        if text.contains(concat!("#[", "allow(")) {
            faults.push(format!("{}: use expect with a reason", path.display()));
        }
        if path.ends_with("mod.rs") && path.starts_with("src") && text.contains("\nfn ") {
            faults.push(format!("{}: logic in mod.rs", path.display()));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
