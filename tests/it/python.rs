//! What others see: transformers loads our checkpoints, pandas reads our results.
use std::{fs, path::Path, process::Command};

use candle_core::{DType, Device};
use vgh::lm::{Batch, Files, Model, Observe};

use crate::{project::Project, skip::python_with};

/// Largest difference of float32 logits between two implementations, as a part of one plus their size.
const LOGITS: f64 = 2e-5;

fn python(args: &[&str]) -> String {
    let output = Command::new("python3").args(args).output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_pretrained_checkpoint_loads_in_transformers_with_equal_logits() {
    if !python_with(
        "a_pretrained_checkpoint_loads_in_transformers",
        &["torch", "transformers"],
    ) {
        return;
    }
    let project = Project::mini();
    assert_eq!(project.run(&["ladder@step=8", "prompts"]).code, Some(0));
    let folder = project.file("results/mini/ladder/step=8/checkpoint");
    let csv = project.vgh(&["show", "mini.toml", "prompts", "--json"]);
    let prompts: serde_json::Value = serde_json::from_slice(&csv.stdout).unwrap();
    assert_same_logits(&folder, prompts[0]["text"].as_str().unwrap());
}

#[test]
fn what_is_saved_of_other_families_loads_in_transformers_with_equal_logits() {
    if !python_with(
        "what_is_saved_of_other_families_loads_in_transformers",
        &["torch", "transformers"],
    ) {
        return;
    }
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    for name in ["llama/tied", "gpt_neox/sequential"] {
        let files = Files::of_folder(&fixtures.join(name)).unwrap();
        let model = Model::load(&files, &Device::Cpu, DType::F32).unwrap();
        let saved = tempfile::tempdir().unwrap();
        model.save(saved.path()).unwrap();
        let tokenizer = "tokenizer.json";
        fs::copy(files.get(tokenizer).unwrap(), saved.path().join(tokenizer)).unwrap();
        assert_same_logits(saved.path(), "Pick A over B.\nAnswer:");
    }
}

/// Our logits of a text against transformers', both of the same folder.
fn assert_same_logits(folder: &Path, text: &str) {
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/it/transformers_logits.py"
    );
    let theirs: serde_json::Value =
        serde_json::from_str(&python(&[script, folder.to_str().unwrap(), text])).unwrap();

    let files = Files::of_folder(folder).unwrap();
    let ids = vgh::lm::Tokenizer::load(&files)
        .unwrap()
        .encode(text)
        .unwrap();
    assert_eq!(serde_json::json!(ids), theirs["ids"]);
    let model = Model::load(&files, &Device::Cpu, DType::F32).unwrap();
    let batch = Batch::new(&[ids], 0, &Device::Cpu).unwrap();
    let forward = model.forward(&batch, &Observe::default()).unwrap();
    let ours = model
        .head(&forward.post)
        .unwrap()
        .squeeze(0)
        .unwrap()
        .to_vec2::<f32>()
        .unwrap();
    let mut worst = 0.0_f64;
    for (ours, theirs) in ours.iter().zip(theirs["logits"].as_array().unwrap()) {
        for (ours, theirs) in ours.iter().zip(theirs.as_array().unwrap()) {
            let theirs = theirs.as_f64().unwrap();
            worst = worst.max((f64::from(*ours) - theirs).abs() / (1.0 + theirs.abs()));
        }
    }
    assert!(
        worst <= LOGITS,
        "the worst logit differs by {worst} of 1 + its size"
    );
}

#[test]
fn pandas_reads_a_folder_of_results_with_the_axes_as_columns() {
    if !python_with("pandas_reads_a_folder_of_results", &["pandas", "pyarrow"]) {
        return;
    }
    let project = Project::mini();
    assert_eq!(project.run(&["grpo"]).code, Some(0));
    // One folder holds tables of several schemas, so the name picks one.
    let script = "import pandas, sys, glob\n\
        frame = pandas.read_parquet(sys.argv[1])\n\
        print(sorted(frame.columns), len(frame), sorted(set(frame['budget'].astype(int))))\n";
    let folder = project.file("rewards");
    // `grpo` has three tables; a folder of one of them is what pandas reads.
    let source = project.file("results/mini/grpo");
    copy_named(&source, &folder, "rewards.parquet");
    let said = python(&["-c", script, folder.to_str().unwrap()]);
    assert_eq!(
        said.trim(),
        "['budget', 'gain', 'learning_rate', 'lr', 'r_after', 'r_before', 'rl_seed', 'step', 'updates'] 12 [1, 2]"
    );
}

fn copy_named(from: &Path, to: &Path, name: &str) {
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_named(&path, &target, name);
        } else if path.file_name().is_some_and(|file| file == name) {
            fs::create_dir_all(to).unwrap();
            fs::copy(&path, target).unwrap();
        }
    }
}
