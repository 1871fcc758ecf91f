//! `command` stages, run by the real program: what they are given, what is
//! taken from them, what reruns them, and how they end.
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use vgh::cache::{Cache, Record};

use crate::project::{Project, events};

mod delivery;
mod examples;
mod faults;
mod keys;
mod outputs;
mod processes;
mod words;

/// A project with the pipeline `p.toml`.
pub(crate) struct Bench {
    project: Project,
}

/// What a run did.
#[derive(Debug)]
pub(crate) struct Did {
    code: Option<i32>,
    /// Labels of the executed instances, sorted.
    executed: Vec<String>,
    /// `label: error`.
    failures: Vec<String>,
    log: Vec<String>,
    /// Warnings of the engine.
    warnings: Vec<String>,
    #[expect(dead_code, reason = "shown when a test fails")]
    stderr: String,
}

impl Bench {
    pub(crate) fn new(stages: &str) -> Bench {
        let bench = Bench {
            project: Project::empty(),
        };
        bench.stages(stages);
        bench
    }

    /// Writes the pipeline anew.
    pub(crate) fn stages(&self, stages: &str) {
        let text = format!("[pipeline]\nformat = 1\nname = \"p\"\n{stages}");
        self.write("p.toml", text);
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        self.project.write(name, text);
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.project.file(name)
    }

    /// `vgh run --json p.toml`, not yet started.
    pub(crate) fn command(&self) -> Command {
        self.project.command(&["run", "--json", "p.toml"])
    }

    pub(crate) fn run(&self) -> Did {
        Did::of(&self.command().output().unwrap())
    }

    /// Runs, and every stage must succeed.
    pub(crate) fn succeed(&self) -> Did {
        let did = self.run();
        assert_eq!(did.code, Some(0), "{did:#?}");
        did
    }

    /// The text of a published result, such as `stage/out.txt`.
    pub(crate) fn result(&self, name: &str) -> String {
        let path = self.path("results/p").join(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    pub(crate) fn cache(&self) -> Cache {
        self.project.cache()
    }

    /// The record of the only instance in the cache whose kind is `command`.
    pub(crate) fn record(&self) -> Record {
        let cache = self.cache();
        let mut records = cache.records().unwrap();
        let record = records.find(|record| record.kind() == "command").unwrap();
        assert!(records.all(|record| record.kind() != "command"));
        record
    }
}

impl Did {
    pub(crate) fn of(output: &Output) -> Did {
        let mut did = Did {
            code: output.status.code(),
            executed: Vec::new(),
            failures: Vec::new(),
            log: Vec::new(),
            warnings: Vec::new(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        };
        for event in events(output) {
            let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
            match event["event"].as_str() {
                Some("finished") => did.executed.push(text("instance")),
                Some("failed") => {
                    did.failures
                        .push(format!("{}: {}", text("instance"), text("error")));
                }
                Some("log") => did.log.push(text("line")),
                Some("warning") => did.warnings.push(text("message")),
                _ => {}
            }
        }
        did.executed.sort();
        did
    }
}

/// The names in a folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_program_is_run_with_its_files_and_leaves_its_outputs() {
    let bench = Bench::new(
        r#"
[params]
greeting = "good {{day}}"

[axes]
step = [1, 2]

[stages.greet]
kind = "command"
over = ["step"]
argv = ["sh", "{files.script}", "{greeting}, $HOME", "{step}", "{outputs.said}", "a {{b}}"]
files = { script = "scripts/say.sh" }
outputs = { said = "said.txt" }
env = { NAME = "step {step} of {outputs.said}" }
"#,
    );
    bench.write(
        "scripts/say.sh",
        "echo \"$1\" \"$NAME\" \"$4\" > \"$3\"\necho done: $0\n",
    );
    let did = bench.succeed();
    assert_eq!(did.executed, ["greet@step=1", "greet@step=2"]);
    assert_eq!(
        did.log,
        ["done: ../files/script.sh", "done: ../files/script.sh"]
    );
    assert_eq!(
        bench.result("greet/step=2/said.txt"),
        "good {day}, $HOME step 2 of said.txt a {b}\n"
    );
    assert_eq!(bench.succeed().executed, Vec::<String>::new());
}

#[test]
fn a_command_may_follow_another() {
    let bench = Bench::new(
        r#"
[stages.first]
kind = "command"
shell = "echo 1 > a.txt; mkdir -p d/e; echo 2 > d/e/f; echo 3 > 'd/e/g h'"
outputs = { a = "a.txt", d = "d" }

[stages.second]
kind = "command"
shell = "cat {inputs.a} {inputs.d}/e/* > {outputs.all}; ls -d {inputs.a} {inputs.d} >> {outputs.all}"
inputs = { a = "first.a", d = "first" }
outputs = { all = "out/all" }
"#,
    );
    bench.succeed();
    assert_eq!(
        bench.result("second/all"),
        "1\n2\n3\n../inputs/a.txt\n../inputs/d\n"
    );
    // The same bytes from another command end the wave.
    let text = fs::read_to_string(bench.path("p.toml")).unwrap();
    bench.write("p.toml", text.replace("echo 1 >", "echo '1' >"));
    assert_eq!(bench.succeed().executed, ["first"]);
}
