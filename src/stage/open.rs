//! Ports whose names come from the text of a pipeline, and what a kind that
//! runs a foreign program is told of the world.
//!
//! A name lives as long as the program, once however often it is written: a
//! process loads few pipelines, and everything else may hold `&'static` ports.
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    hash::Hash,
    sync::{LazyLock, Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};

use crate::{
    artifact::ArtifactType,
    digest::Digest,
    stage::{InputPort, OutputPort},
};

/// What a kind leaves to the text of the pipeline.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Open {
    /// What every name in a stage's `inputs` stands for.
    pub input: InputPort,
    /// What every key of the parameter `outputs` stands for.
    pub output: OutputPort,
    /// The parameter whose keys name the outputs.
    pub outputs: &'static str,
    /// Parameters whose keys a placeholder of the run may name, as in
    /// `{files.script}`; `inputs` always is one.
    pub tables: &'static [&'static str],
    /// What lies in a stage's scratch folder beforehand: these folders, empty.
    pub folders: &'static [&'static str],
    /// Parameters in whose strings such placeholders stay until the run.
    pub texts: &'static [&'static str],
}

/// Environment variables that a kind passes to a foreign program, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Variables {
    /// Their values enter the key; unset is a value.
    pub hashed: Vec<String>,
    /// Their values are recorded and do not enter the key.
    pub passed: Vec<String>,
}

/// Variables that every foreign program is given where they are set: to find
/// programs and the user's own files, and the devices that the engine chose.
pub const ALWAYS_PASSED: [&str; 5] = ["PATH", "HOME", "USER", "LOGNAME", "CUDA_VISIBLE_DEVICES"];

/// Whether a variable of this name may hold what no record or log should.
pub fn is_secret(name: &str) -> bool {
    const WORDS: [&str; 7] = [
        "TOKEN",
        "SECRET",
        "PASSW",
        "CREDENTIAL",
        "API_KEY",
        "ACCESS_KEY",
        "PRIVATE_KEY",
    ];
    let name = name.to_ascii_uppercase();
    WORDS.iter().any(|word| name.contains(word))
}

/// What a kind that runs a foreign program is told beyond its parameters.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Foreign {
    /// Values of the variables that it declared and that are set.
    pub environment: BTreeMap<String, String>,
    /// Digests of its externals as they stand in the key, by parameter.
    pub externals: BTreeMap<String, Digest>,
    /// How the artifacts of each input port are delivered.
    pub inputs: BTreeMap<String, Delivery>,
}

/// How artifacts are delivered to a foreign program. Part of the key, since
/// the program sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Delivery {
    /// A parquet file; several become one, with their coordinates as columns.
    Table,
    /// As they are, in files of this ending (`.svg`, or nothing); several in
    /// folders `axis=value`.
    Files(String),
}

impl OutputPort {
    /// How a foreign program gets what this port gives.
    pub fn delivery(&self) -> Delivery {
        match self.artifact {
            ArtifactType::Table(_) | ArtifactType::Prompts => Delivery::Table,
            _ => Delivery::Files(self.ending.to_owned()),
        }
    }
}

/// A text that lives as long as the program.
pub fn lasting(text: &str) -> &'static str {
    static TEXTS: LazyLock<Mutex<HashSet<&'static str>>> = LazyLock::new(Mutex::default);
    let mut texts = TEXTS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = texts.get(text) {
        return known;
    }
    let known: &'static str = Box::leak(text.into());
    texts.insert(known);
    known
}

impl Open {
    /// The input port of this name.
    pub fn input(&self, name: &str) -> &'static InputPort {
        static PORTS: LazyLock<Known<[&str; 2], InputPort>> = LazyLock::new(Mutex::default);
        let key = [lasting(name), self.input.about];
        lasting_port(&PORTS, key, || InputPort {
            name: lasting(name),
            ..self.input
        })
    }

    /// The output port of this name, whose content is found at `place`.
    pub fn output(&self, name: &str, place: &str) -> &'static OutputPort {
        static PORTS: LazyLock<Known<[&str; 3], OutputPort>> = LazyLock::new(Mutex::default);
        let ending = lasting(ending(place));
        let key = [lasting(name), ending, self.output.about];
        lasting_port(&PORTS, key, || OutputPort {
            name: lasting(name),
            ending,
            ..self.output
        })
    }
}

/// Ports by what sets them apart.
type Known<K, P> = Mutex<HashMap<K, &'static P>>;

fn lasting_port<K: Hash + Eq, P>(
    known: &Known<K, P>,
    key: K,
    make: impl FnOnce() -> P,
) -> &'static P {
    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
    known
        .entry(key)
        .or_insert_with(|| Box::leak(Box::new(make())))
}

/// The ending of a file's name, with its dot: what tells programs the format.
/// Empty where there is none of a few plain letters. `.tar.gz` is one ending.
pub fn ending(place: &str) -> &str {
    const LONGEST: usize = 10;
    const PACKED: [&str; 5] = ["gz", "bz2", "xz", "zst", "lz4"];
    let name = place.rsplit('/').next().unwrap_or(place);
    let dot = |name: &str| {
        let (stem, ending) = name.rsplit_once('.')?;
        let plain = !ending.is_empty()
            && ending.len() <= LONGEST
            && ending.chars().all(|c| c.is_ascii_alphanumeric());
        (plain && !stem.is_empty()).then_some(stem.len())
    };
    let Some(mut at) = dot(name) else {
        return "";
    };
    if PACKED.contains(&&name[at + 1..])
        && let Some(inner) = dot(&name[..at])
    {
        at = inner;
    }
    &name[at..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_are_short_and_plain() {
        for (place, expected) in [
            ("plot.svg", ".svg"),
            ("a/b.c/plot", ""),
            ("a/model.tar.gz", ".tar.gz"),
            ("plot.v2.svg", ".svg"),
            (".hidden", ""),
            (".gz", ""),
            ("odd.na me", ""),
            ("odd.", ""),
            ("folder.d/", ""),
            ("a.tooooooolong", ""),
            ("é.R", ".R"),
            ("", ""),
        ] {
            assert_eq!(ending(place), expected, "{place}");
        }
    }

    #[test]
    fn the_same_name_is_the_same_port() {
        let open = Open {
            input: InputPort::all("", ArtifactType::Files, "anything"),
            output: OutputPort::new("", ArtifactType::Files, "what it wrote"),
            outputs: "outputs",
            tables: &[],
            folders: &[],
            texts: &[],
        };
        let plot = open.output("plot", "a/plot.svg");
        assert!(std::ptr::eq(plot, open.output("plot", "b.svg")));
        assert_eq!((plot.name, plot.ending), ("plot", ".svg"));
        assert_eq!(open.output("plot", "plot.png").ending, ".png");
        assert!(std::ptr::eq(open.input("x"), open.input("x")));
        assert_eq!(open.input("x").name, "x");
        assert!(std::ptr::eq(lasting("x"), lasting(&String::from("x"))));
    }
}
