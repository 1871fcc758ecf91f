//! The table of edits against which build tools were measured, one row each:
//! what runs after an edit, what `plan` said before, and whether the results
//! are right. 19 edits of one pipeline of real commands, by the real program:
//!
//!     cargo test --release --test it -- edit_table --nocapture
//!
//! White space inside a word of `argv` is part of the word; between words it
//! is layout, and that is the row `whitespace_in_cmd`.
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

mod rows;

use rows::ROWS;

/// `aside` reads what `fit` does not need: each run asks for `fit`.
const PIPELINE: &str = r#"[pipeline]
format = 1
name = "table"

[params]
lr = 0.0001
beta = 1

[axes]
i = [1, 2]

[stages.prep]
kind = "command"
argv = ["sh", "{files.script}", "{files.text}", "{outputs.lines}"]
files = { script = "prep.sh", text = "in.txt" }
outputs = { lines = "lines.txt" }
pass_env = ["EDIT_TABLE_LOG"]

[stages.train]
kind = "command"
over = ["i"]
argv = ["sh", "{files.script}", "{inputs.lines}", "{i}", "{lr}", "{outputs.model}"]
files = { script = "train.sh" }
inputs = { lines = "prep" }
outputs = { model = "model.txt" }
pass_env = ["EDIT_TABLE_LOG", "EDIT_TABLE_GATE"]

[stages.fit]
kind = "command"
argv = ["sh", "{files.script}", "{inputs.models}", "{outputs.fit}"]
files = { script = "fit.sh" }
inputs = { models = "train" }
outputs = { fit = "fit.txt" }
pass_env = ["EDIT_TABLE_LOG"]

[stages.aside]
kind = "command"
argv = ["sh", "-c", "echo {beta} > {outputs.beta}"]
outputs = { beta = "beta.txt" }
"#;

/// Each says in a log outside of the project that it ran.
const SCRIPTS: [(&str, &str); 3] = [
    (
        "prep.sh",
        "echo prep >> \"$EDIT_TABLE_LOG\"\ngrep -v '^#' \"$1\" > \"$2\"\n",
    ),
    (
        "train.sh",
        "echo partial > \"$4\"\necho \"train_$2\" >> \"$EDIT_TABLE_LOG\"\n\
         while [ \"$2\" = 2 ] && [ -e \"$EDIT_TABLE_GATE\" ]; do sleep 0.02; done\n\
         awk -v i=\"$2\" -v lr=\"$3\" '{ s += $1 } END { printf \"%.6f\\n\", s * i * lr }' \"$1\" > \"$4\"\n",
    ),
    (
        "fit.sh",
        "echo fit >> \"$EDIT_TABLE_LOG\"\n\
         cat \"$1\"/*/* | awk '{ s += $1 } END { printf \"%.6f\\n\", s }' > \"$2\"\n",
    ),
];

/// Nothing waits that long unless it is broken.
const PATIENCE: Duration = Duration::from_mins(1);

/// One row: an edit of a project that has run, and what it should make run.
struct Row {
    edit: &'static str,
    apply: fn(&mut Table),
    ideal: &'static [&'static str],
}

/// The project, and what its results must be.
struct Table {
    outside: tempfile::TempDir,
    folder: PathBuf,
    numbers: Vec<u32>,
    lr: f64,
    axis: Vec<u32>,
    /// What the stage `train` is called.
    train: &'static str,
}

/// What `plan --json` says, by short names.
#[derive(Default)]
struct Planned {
    run: BTreeSet<String>,
    maybe: BTreeSet<String>,
}

impl Table {
    /// A project that has run once.
    fn settled() -> Table {
        let outside = tempfile::tempdir().unwrap();
        let table = Table {
            folder: outside.path().join("project"),
            outside,
            numbers: vec![1000, 2000],
            lr: 0.0001,
            axis: vec![1, 2],
            train: "train",
        };
        fs::create_dir(&table.folder).unwrap();
        table.write("table.toml", PIPELINE);
        for (name, text) in SCRIPTS {
            table.write(name, text);
        }
        table.write("in.txt", "# one\n1000\n2000\n");
        let ran = table.run();
        assert_eq!(ran, names(&["fit", "prep", "train_1", "train_2"]));
        assert_eq!(table.results(), table.meant());
        table
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.file(name), text).unwrap();
    }

    /// Replaces text in the pipeline, which must hold it.
    fn edit(&self, from: &str, to: &str) {
        let text = fs::read_to_string(self.file("table.toml")).unwrap();
        assert!(text.contains(from), "no `{from}` in the pipeline");
        self.write("table.toml", &text.replace(from, to));
    }

    fn log(&self) -> PathBuf {
        self.outside.path().join("log")
    }

    /// While it is there, the second training does not end.
    fn gate(&self) -> PathBuf {
        self.outside.path().join("gate")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vgh"));
        command
            .args(args)
            .args(["table.toml", "fit"])
            .current_dir(&self.folder)
            .env_remove("VGH_CACHE")
            .env("EDIT_TABLE_LOG", self.log())
            .env("EDIT_TABLE_GATE", self.gate())
            .stdin(Stdio::null());
        command
    }

    fn plan(&self) -> Planned {
        let output = self.command(&["plan", "--json"]).output().unwrap();
        let plan: Value = serde_json::from_str(&said(&output)).unwrap();
        let mut planned = Planned::default();
        for entry in plan["instances"].as_array().unwrap() {
            let name = self.short(entry["instance"].as_str().unwrap());
            match entry["state"].as_str().unwrap() {
                "cached" => {}
                "run" => assert!(planned.run.insert(name)),
                "maybe" => assert!(planned.maybe.insert(name)),
                other => panic!("a state `{other}`"),
            }
        }
        planned
    }

    /// What executed, as the stages themselves say and as the events do.
    fn run(&self) -> BTreeSet<String> {
        let _ = fs::remove_file(self.log());
        let output = self.command(&["run", "--json"]).output().unwrap();
        let text = said(&output);
        let mut told: Vec<String> = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .filter(|event| event["event"] == "finished")
            .map(|event| self.short(event["instance"].as_str().unwrap()))
            .collect();
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        let mut logged: Vec<&str> = log.lines().collect();
        told.sort();
        logged.sort_unstable();
        assert_eq!(told, logged);
        let ran: BTreeSet<String> = told.iter().cloned().collect();
        assert_eq!(ran.len(), told.len(), "each once: {told:?}");
        ran
    }

    /// `train@i=1` is `train_1`, whatever the stage is called.
    fn short(&self, label: &str) -> String {
        match label.strip_prefix(self.train) {
            Some(at) => format!("train_{}", at.trim_start_matches("@i=")),
            None => label.to_owned(),
        }
    }

    /// Every copy for people, by its place.
    fn results(&self) -> BTreeMap<String, String> {
        fn walk(root: &Path, folder: &Path, into: &mut BTreeMap<String, String>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(root).unwrap().display().to_string();
                if path.is_dir() {
                    walk(root, &path, into);
                } else if !name.starts_with('.') {
                    into.insert(name, fs::read_to_string(&path).unwrap());
                }
            }
        }
        let root = self.file("results/table");
        let mut found = BTreeMap::new();
        walk(&root, &root, &mut found);
        found
    }

    /// The results as they must be, computed here.
    fn meant(&self) -> BTreeMap<String, String> {
        let lines: Vec<String> = self.numbers.iter().map(u32::to_string).collect();
        let sum = f64::from(self.numbers.iter().sum::<u32>());
        let model = |i: &u32| sum * f64::from(*i) * self.lr;
        let fit: f64 = self.axis.iter().map(model).sum();
        let mut meant = BTreeMap::from([
            ("prep/lines.txt".to_owned(), lines.join("\n") + "\n"),
            ("fit/fit.txt".to_owned(), format!("{fit:.6}\n")),
        ]);
        for i in &self.axis {
            let name = format!("{}/i={i}/model.txt", self.train);
            meant.insert(name, format!("{:.6}\n", model(i)));
        }
        meant
    }

    /// Runs until the second training is at work, then kills the run.
    fn kill_in_training(&self) {
        fs::write(self.gate(), "").unwrap();
        let _ = fs::remove_file(self.log());
        let mut run = self
            .command(&["run", "-j", "1"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let begun = Instant::now();
        let training = || fs::read_to_string(self.log()).is_ok_and(|log| log.contains("train_2\n"));
        while !training() && begun.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(5));
        }
        let reached = training();
        run.kill().unwrap();
        assert!(!run.wait().unwrap().success());
        fs::remove_file(self.gate()).unwrap();
        assert!(reached, "the second training did not begin");
    }
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn said(output: &Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{error}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn shown(names: &BTreeSet<String>) -> String {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    if names.is_empty() {
        "nothing".to_owned()
    } else {
        names.join(" ")
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "the table is for people")]
fn edit_table_of_nineteen_rows_runs_what_it_should_and_nothing_else() {
    let mut text = format!(
        "{:<32}{:<52}{:<24}{}\n",
        "edit", "planned (perhaps)", "ran", "ideal"
    );
    let (mut right, mut wrong) = (0, Vec::new());
    for Row { edit, apply, ideal } in ROWS {
        let mut table = Table::settled();
        apply(&mut table);
        let Planned { run, maybe } = table.plan();
        let ran = table.run();
        let ideal = names(ideal);
        let possible: BTreeSet<String> = run.union(&maybe).cloned().collect();
        let foretold = run.is_subset(&ran) && ran.is_subset(&possible);
        let correct = table.results() == table.meant();
        let planned = if maybe.is_empty() {
            shown(&run)
        } else {
            format!("{} ({})", shown(&run), shown(&maybe))
        };
        let (did, wanted) = (shown(&ran), shown(&ideal));
        writeln!(text, "{edit:<32}{planned:<52}{did:<24}{wanted}").unwrap();
        if ran == ideal && foretold && correct {
            right += 1;
        } else {
            let results = table.results();
            wrong.push(format!(
                "{edit}: foretold {foretold}, results {correct}: {results:?}"
            ));
        }
    }
    println!("{text}{right} of {}", ROWS.len());
    assert_eq!((right, wrong), (19, Vec::new()), "\n{text}");
}
