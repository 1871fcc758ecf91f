//! A folder in which the real program runs a small pipeline of the real kinds.
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use vgh::cache::Cache;

pub(crate) const MINI: &str = include_str!("mini.toml");

pub(crate) struct Project {
    folder: tempfile::TempDir,
}

impl Project {
    /// An empty folder.
    pub(crate) fn empty() -> Project {
        Project {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// An empty folder in memory where the system offers that: for tests of
    /// many runs, which would wait for the disk most of the time.
    pub(crate) fn in_memory() -> Project {
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        Project {
            folder: folder.unwrap(),
        }
    }

    /// A folder with the small pipeline as `mini.toml`.
    pub(crate) fn mini() -> Project {
        let project = Project::empty();
        project.write("mini.toml", MINI);
        project
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.file(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Replaces text in `mini.toml`, which must hold it.
    pub(crate) fn edit(&self, from: &str, to: &str) {
        let text = fs::read_to_string(self.file("mini.toml")).unwrap();
        assert!(text.contains(from), "no `{from}` in the pipeline");
        self.write("mini.toml", text.replace(from, to));
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vgh"));
        command
            .args(args)
            .current_dir(self.path())
            .env_remove("VGH_CACHE")
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn vgh(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// `vgh run --json mini.toml ARGS`: exit code, executed instances by stage, totals.
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        let mut all = vec!["run", "--json", "mini.toml"];
        all.extend(args);
        let output = self.vgh(&all);
        Ran::of(&output)
    }

    pub(crate) fn cache(&self) -> Cache {
        Cache::open(&self.file("cache")).unwrap()
    }

    /// Key to the digests of its outputs, of everything in the cache.
    pub(crate) fn digests(&self) -> BTreeMap<String, Vec<String>> {
        let outputs = |record: vgh::cache::Record| {
            let digests = record
                .outputs
                .values()
                .map(|content| content.digest.to_string());
            (record.key.to_string(), digests.collect())
        };
        self.cache().records().unwrap().map(outputs).collect()
    }
}

/// What `--json` printed, which must be JSON Lines and nothing else.
pub(crate) fn events(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    let event = |line: &str| serde_json::from_str(line).unwrap();
    text.lines().map(event).collect()
}

/// Copies a folder; the files have the times of now.
pub(crate) fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    /// Stage name to how many of its instances were executed.
    pub(crate) executed: BTreeMap<String, usize>,
    /// Marks from which progressive passes went on, and to which.
    pub(crate) passes: Vec<(String, Option<u64>, u64)>,
    pub(crate) totals: Value,
    pub(crate) failures: Vec<String>,
    pub(crate) stderr: String,
}

impl Ran {
    fn of(output: &Output) -> Ran {
        let events = events(output);
        let mut ran = Ran {
            code: output.status.code(),
            executed: BTreeMap::new(),
            passes: Vec::new(),
            totals: events.last().cloned().unwrap_or(Value::Null),
            failures: Vec::new(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        };
        for event in &events {
            let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
            match event["event"].as_str() {
                Some("finished") => *ran.executed.entry(text("stage")).or_default() += 1,
                Some("failed") => {
                    ran.failures
                        .push(format!("{}: {}", text("instance"), text("error")));
                }
                Some("started") => {
                    if let Some(last) = event["marks"].as_array().and_then(|marks| marks.last()) {
                        ran.passes.push((
                            text("stage"),
                            event["resumed_at"].as_u64(),
                            last.as_u64().unwrap(),
                        ));
                    }
                }
                _ => {}
            }
        }
        ran
    }

    pub(crate) fn stages(&self) -> Vec<&str> {
        self.executed.keys().map(String::as_str).collect()
    }
}
