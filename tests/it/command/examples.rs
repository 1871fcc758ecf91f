//! The scripts in `examples/`: a Python stage, and a run sent to a tracker.
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;

use crate::{command::Did, project::Project, skip::python_with};

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples")
        .join(name)
}

fn python(args: &[&str]) -> Output {
    let output = Command::new("python3").args(args).output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

#[test]
fn a_python_script_is_a_cached_stage() {
    if !python_with(
        "a_python_script_is_a_cached_stage",
        &["numpy", "pandas", "pyarrow"],
    ) {
        return;
    }
    let project = Project::empty();
    for name in ["command.toml", "plot.py", "rewards-a.csv", "rewards-b.csv"] {
        project.write(
            &format!("examples/{name}"),
            fs::read(example(name)).unwrap(),
        );
    }
    let run = || {
        let did = Did::of(&project.vgh(&["run", "--json", "examples/command.toml"]));
        assert_eq!(did.code, Some(0), "{did:#?}");
        did.executed
    };
    assert_eq!(run(), ["plot", "rewards@model=a", "rewards@model=b"]);
    assert_eq!(run(), Vec::<String>::new());
    let figure = fs::read_to_string(project.file("results/command/plot/plot.svg")).unwrap();
    assert!(figure.starts_with("<svg ") && figure.matches("<polyline").count() == 2);
    let said = python(&[
        "-c",
        "import pandas, sys; f = pandas.read_parquet(sys.argv[1]); \
         print(list(f.columns), len(f), round(float(f['mean'][1]), 4))",
        project
            .file("results/command/plot/summary.parquet")
            .to_str()
            .unwrap(),
    ]);
    assert_eq!(
        String::from_utf8_lossy(&said.stdout).trim(),
        "['model', 'step', 'mean', 'seeds', 'error'] 6 0.1007"
    );
    // The same bytes again, from scratch.
    let first = project.digests();
    fs::remove_dir_all(project.file("cache")).unwrap();
    assert_eq!(run().len(), 3);
    assert_eq!(project.digests(), first);
    // An edit of the script reruns it alone; of a number, what follows from it.
    let script = fs::read_to_string(example("plot.py")).unwrap();
    project.write(
        "examples/plot.py",
        script.replace("gain by RL", "gain by GRPO"),
    );
    assert_eq!(run(), ["plot"]);
    let rewards = fs::read_to_string(example("rewards-a.csv")).unwrap();
    project.write(
        "examples/rewards-a.csv",
        rewards.replace("0.2,0.24,0.04", "0.2,0.25,0.05"),
    );
    assert_eq!(run(), ["plot", "rewards@model=a"]);
}

fn finished_run() -> (Project, String) {
    let project = Project::empty();
    project.write(
        "p.toml",
        "[pipeline]\nformat = 1\nname = \"p\"\n\
         [stages.a]\nkind = \"command\"\nshell = \"echo > a\"\noutputs = { a = \"a\" }\n\
         [stages.b]\nkind = \"command\"\nshell = \"exit 1\"\noutputs = { a = \"a\" }\n",
    );
    let output = project.vgh(&["run", "--json", "--keep-going", "p.toml"]);
    (project, String::from_utf8(output.stdout).unwrap())
}

#[test]
fn a_finished_run_is_described_for_a_tracker() {
    if !python_with("a_finished_run_is_described_for_a_tracker", &["json"]) {
        return;
    }
    let (project, events) = finished_run();
    project.write("events.jsonl", &events);
    let script = example("track.py");
    let file = project.file("events.jsonl");
    let output = python(&[script.to_str().unwrap(), "--print", file.to_str().unwrap()]);
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["tags"]["vgh.pipeline"], "p");
    assert_eq!(told["tags"]["vgh.failed"], "b");
    assert_eq!(told["name"], told["tags"]["vgh.run"]);
    let metrics = &told["metrics"];
    assert_eq!(
        (
            &metrics["instances"],
            &metrics["executed"],
            &metrics["failed"]
        ),
        (&2.into(), &1.into(), &1.into())
    );
    assert!(metrics["seconds.a"].as_f64().unwrap() >= 0.0);
}

#[test]
fn a_finished_run_is_sent_to_mlflow_where_there_is_one() {
    if !python_with("a_finished_run_is_sent_to_mlflow", &["json"]) {
        return;
    }
    let (project, events) = finished_run();
    let mut tracker = Command::new("python3")
        .args([
            example("track.py").to_str().unwrap(),
            "--results",
            "results/p",
        ])
        .current_dir(project.path())
        .env("MLFLOW_ALLOW_FILE_STORE", "true")
        .env(
            "MLFLOW_TRACKING_URI",
            format!("file:{}", project.file("mlruns").display()),
        )
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = tracker.stdin.take().unwrap();
    stdin.write_all(events.as_bytes()).unwrap();
    drop(stdin);
    let output = tracker.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    if python_with(
        "a_finished_run_is_sent_to_mlflow (the sending)",
        &["mlflow"],
    ) {
        assert!(said.contains(" is in file:"), "{said}");
        assert!(project.file("mlruns").is_dir());
    } else {
        assert_eq!(
            said,
            "track.py: MLflow is not installed, nothing was sent (pip install mlflow)\n"
        );
    }
}
