//! Bad input to the real kinds, as a user meets it: the exact message, the exit
//! code, and that nothing is lost. (Faults of a pipeline's text alone are in
//! `diagnostics.rs`.)
use std::fs;

use serde_json::Value;

use crate::project::Project;

const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/open");

/// The fixture model as a folder that a test may spoil.
fn model(project: &Project) {
    fs::create_dir(project.file("model")).unwrap();
    for name in ["config.json", "tokenizer.json", "model.safetensors"] {
        fs::copy(
            format!("{FIXTURE}/{name}"),
            project.file("model").join(name),
        )
        .unwrap();
    }
    project.write(
        "mini.toml",
        "[pipeline]\nformat = 1\nname = \"mini\"\n[stages.model]\nkind = \"local-checkpoint\"\npath = \"model\"\nstep = 1\ntokens = 16\n\
         [stages.prompts]\nkind = \"jsonl-prompts\"\npath = \"prompts.jsonl\"\n\
         [stages.headroom]\nkind = \"headroom\"\ninputs = { checkpoint = \"model\", prompts = \"prompts\" }\n",
    );
    prompts(project, " A");
}

fn prompts(project: &Project, label: &str) {
    let line = |split: &str, text: &str| {
        format!("{{\"text\": \"{text}\", \"label\": \"{label}\", \"split\": \"{split}\"}}\n")
    };
    project.write(
        "prompts.jsonl",
        [line("train", "x y"), line("eval", "y x")].concat(),
    );
}

/// The one failure of a run, without the temporary folder's name.
fn failure(project: &Project, args: &[&str]) -> String {
    let ran = project.run(args);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert_eq!(ran.failures.len(), 1, "{ran:?}");
    ran.failures[0].replace(&project.path().display().to_string(), "PROJECT")
}

fn edit_config(project: &Project, name: &str, value: Value) {
    let path = project.file("model/config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    config[name] = value;
    fs::write(path, config.to_string()).unwrap();
}

fn spoil_weights(project: &Project, spoil: impl FnOnce(&mut Vec<u8>)) {
    let path = project.file("model/model.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    spoil(&mut bytes);
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_good_folder_is_taken() {
    let project = Project::empty();
    model(&project);
    let ran = project.run(&[]);
    assert_eq!(
        (ran.code, ran.totals["executed"].as_u64()),
        (Some(0), Some(3)),
        "{ran:?}"
    );
}

#[test]
fn another_architecture_lists_what_is_supported() {
    let project = Project::empty();
    model(&project);
    edit_config(&project, "model_type", "mistral".into());
    assert_eq!(
        failure(&project, &["model"]),
        "model: model: `config.json`: `model_type` is `mistral`; supported: `olmo2`, `llama`, `gpt_neox`"
    );
}

#[test]
fn a_truncated_file_is_named() {
    let project = Project::empty();
    model(&project);
    spoil_weights(&project, |bytes| bytes.truncate(bytes.len() / 2));
    assert_eq!(
        failure(&project, &["model"]),
        "model: model: `model.safetensors`: the file is truncated: its tensors end at 703744, its data at 350016"
    );
}

#[test]
fn a_header_that_lies_is_refused() {
    let project = Project::empty();
    model(&project);
    spoil_weights(&project, |bytes| {
        bytes[..8].copy_from_slice(&(1u64 << 63).to_le_bytes());
    });
    assert_eq!(
        failure(&project, &["model"]),
        "model: model: `model.safetensors`: the header claims 9223372036854775808 bytes; allowed: 100000000"
    );
}

#[test]
fn missing_weights_are_named() {
    let project = Project::empty();
    model(&project);
    fs::remove_file(project.file("model/model.safetensors")).unwrap();
    assert_eq!(
        failure(&project, &["model"]),
        "model: model: `model.safetensors` is missing (there: config.json, tokenizer.json)"
    );
}

#[test]
fn weights_that_are_no_numbers_are_named() {
    let project = Project::empty();
    model(&project);
    spoil_weights(&project, |bytes| {
        let end = bytes.len();
        bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    });
    assert_eq!(
        failure(&project, &["model"]),
        "model: model: `model.safetensors`: tensor `model.norm.weight` holds 1 of 64 values that are not finite"
    );
}

#[test]
fn a_vocabulary_smaller_than_the_tokenizer_is_refused() {
    let project = Project::empty();
    model(&project);
    edit_config(&project, "vocab_size", 100.into());
    assert_eq!(
        failure(&project, &["model"]),
        "model: model: `model.safetensors`: tensor `model.embed_tokens.weight` has shape [264, 64]; the config asks for [100, 64]"
    );
}

#[test]
fn a_label_of_several_tokens_is_refused() {
    let project = Project::empty();
    model(&project);
    prompts(&project, " Alpha");
    assert_eq!(
        failure(&project, &["headroom"]),
        "headroom: prompt 1: label ` Alpha` is 5 tokens (ĠA, l, p, h, a): labels must be single tokens"
    );
}

#[test]
fn a_correlation_needs_three_checkpoints() {
    let project = Project::mini();
    project.edit("step = [4, 8, 12]", "step = [4, 8]");
    assert_eq!(
        failure(&project, &["correlate"]),
        "correlate@lr=1e-3: correlate needs at least 3 checkpoints, got 2"
    );
}

#[test]
fn an_imported_table_that_misses_a_column_is_refused() {
    let project = Project::empty();
    project.write(
        "rewards.csv",
        "step,learning_rate,rl_seed,updates,r_before,r_after\n25,1e-4,0,10,0.1,0.2\n",
    );
    project.write(
        "mini.toml",
        "[pipeline]\nformat = 1\nname = \"mini\"\n[stages.rewards]\nkind = \"table\"\nschema = \"rewards\"\npath = \"rewards.csv\"\n",
    );
    assert_eq!(
        failure(&project, &[]),
        "rewards: table rewards.csv misses column `gain` of schema `rewards` (it has: step, learning_rate, rl_seed, updates, r_before, r_after)"
    );
}

#[test]
fn steps_beyond_the_schedule_are_refused_before_anything_runs() {
    let project = Project::mini();
    project.edit("step = [4, 8, 12]", "step = [4, 8, 25]");
    let output = project.vgh(&["run", "mini.toml"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        concat!(
            "error: `steps` is 25, beyond `decay_steps` = 20: the learning rate has no value there; raise decay_steps (this changes every checkpoint)\n",
            "  --> mini.toml:28:9\n",
            "   |\n",
            "28 | steps = \"{step}\"\n",
            "   |         ^^^^^^^^\n",
            "note: in ladder@step=25\n",
            "\n",
            "1 fault; nothing was run\n"
        )
    );
    assert!(!project.file("cache").exists());
}

#[test]
fn a_cache_of_another_format_is_left_alone() {
    let project = Project::mini();
    project.write("cache/format", "7\n");
    project.write(
        "cache/CACHEDIR.TAG",
        "Signature: 8a477f597d28d172789f06886806bc55\n",
    );
    let output = project.vgh(&["run", "mini.toml"]);
    assert_eq!(output.status.code(), Some(4));
    let text = String::from_utf8(output.stderr)
        .unwrap()
        .replace(&project.path().display().to_string(), "PROJECT");
    assert_eq!(
        text,
        "error: cache at PROJECT/cache has format 7, this vgh reads format 1: use the vgh that made it, or choose another place with --cache or VGH_CACHE\n"
    );
    assert_eq!(
        fs::read_to_string(project.file("cache/format")).unwrap(),
        "7\n"
    );
}

#[test]
fn a_pipeline_that_is_not_there_is_named() {
    let output = Project::empty().vgh(&["run", "gone.toml"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "error: read gone.toml: No such file or directory (os error 2)\n"
    );
}

#[test]
fn several_pipelines_are_listed() {
    let project = Project::empty();
    project.write("pipelines/a.toml", "");
    project.write("pipelines/b.toml", "");
    let output = project.vgh(&["run"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        concat!(
            "error: several pipelines here; name one of them:\n",
            "  pipelines/a.toml\n",
            "  pipelines/b.toml\n"
        )
    );
}
