//! The 19 edits.
use std::{
    fs::{self, File},
    path::Path,
    time::Duration,
};

use crate::{
    edit_table::{PIPELINE, Row, Table},
    project::copy_folder,
};

const fn row(edit: &'static str, apply: fn(&mut Table), ideal: &'static [&'static str]) -> Row {
    Row { edit, apply, ideal }
}

const NOTHING: &[&str] = &[];
const ALL: &[&str] = &["fit", "prep", "train_1", "train_2"];
const TRAINING: &[&str] = &["fit", "train_1", "train_2"];

pub(super) const ROWS: &[Row] = &[
    row("touch_input", touch_input, NOTHING),
    row("comment_in_pipeline", comment_in_pipeline, NOTHING),
    row("reorder_stages", reorder_stages, NOTHING),
    row("whitespace_in_cmd", whitespace_in_cmd, NOTHING),
    row("float_spelling_0_0001_to_1e_4", float_spelling, NOTHING),
    row("real_param_change", real_param_change, TRAINING),
    row("unrelated_param", unrelated_param, NOTHING),
    row("add_axis_value", add_axis_value, &["fit", "train_3"]),
    row("rename_stage", rename_stage, NOTHING),
    row("delete_intermediate", delete_intermediate, NOTHING),
    row("delete_final", delete_final, NOTHING),
    row("corrupt_intermediate", corrupt_intermediate, NOTHING),
    row("corrupt_final", corrupt_final, NOTHING),
    row("early_cutoff_comment_in_input", input_comment, &["prep"]),
    row("real_input_change", real_input_change, ALL),
    row("revert_input_AtoBtoA", revert_input, NOTHING),
    row("move_project", move_project, NOTHING),
    row("copy_project_new_mtimes", copy_project, NOTHING),
    row("kill9_midstage_then_resume", kill, &["fit", "train_2"]),
];

fn touch_input(table: &mut Table) {
    let file = File::open(table.file("in.txt")).unwrap();
    let then = file.metadata().unwrap().modified().unwrap();
    file.set_modified(then + Duration::from_secs(5)).unwrap();
}

fn comment_in_pipeline(table: &mut Table) {
    let commented = PIPELINE.replace('\n', "   # a comment\n# another\n");
    table.write("table.toml", &commented);
}

fn reorder_stages(table: &mut Table) {
    let mut parts: Vec<&str> = PIPELINE.trim_end().split("\n\n").collect();
    assert_eq!(parts.len(), 7);
    parts.reverse();
    table.write("table.toml", &(parts.join("\n\n") + "\n"));
}

fn whitespace_in_cmd(table: &mut Table) {
    let spaced = PIPELINE
        .replace("argv = [\"sh\", ", "argv   =  [\n    \"sh\"  ,\n\t")
        .replace("}\", \"{", "}\" ,   \"{");
    assert!(spaced.contains("\"{i}\" ,   \"{lr}\""));
    table.write("table.toml", &spaced);
}

fn float_spelling(table: &mut Table) {
    table.edit("lr = 0.0001", "lr = 1e-4");
}

fn real_param_change(table: &mut Table) {
    table.edit("lr = 0.0001", "lr = 0.0002");
    table.lr = 0.0002;
}

fn unrelated_param(table: &mut Table) {
    table.edit("beta = 1", "beta = 2");
}

fn add_axis_value(table: &mut Table) {
    table.edit("i = [1, 2]", "i = [1, 2, 3]");
    table.axis.push(3);
}

fn rename_stage(table: &mut Table) {
    table.edit("[stages.train]", "[stages.training]");
    table.edit("models = \"train\"", "models = \"training\"");
    table.train = "training";
}

fn delete_intermediate(table: &mut Table) {
    fs::remove_dir_all(table.file("results/table/prep")).unwrap();
    fs::remove_file(table.file("results/table/train/i=2/model.txt")).unwrap();
}

fn delete_final(table: &mut Table) {
    fs::remove_file(table.file("results/table/fit/fit.txt")).unwrap();
}

fn corrupt_intermediate(table: &mut Table) {
    spoil(&table.file("results/table/prep/lines.txt"));
    spoil(&table.file("results/table/train/i=1/model.txt"));
}

fn corrupt_final(table: &mut Table) {
    spoil(&table.file("results/table/fit/fit.txt"));
}

/// Another digit in front.
fn spoil(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    bytes[0] = if bytes[0] == b'7' { b'8' } else { b'7' };
    fs::write(path, bytes).unwrap();
}

fn input_comment(table: &mut Table) {
    table.write("in.txt", "# one\n1000\n# two\n2000\n");
}

fn real_input_change(table: &mut Table) {
    table.write("in.txt", "# one\n1000\n4000\n");
    table.numbers = vec![1000, 4000];
}

fn revert_input(table: &mut Table) {
    let first = fs::read_to_string(table.file("in.txt")).unwrap();
    table.write("in.txt", "# one\n1000\n4000\n");
    assert_eq!(table.run().len(), ALL.len());
    table.write("in.txt", &first);
}

fn move_project(table: &mut Table) {
    let moved = table.outside.path().join("moved");
    fs::rename(&table.folder, &moved).unwrap();
    table.folder = moved;
}

fn copy_project(table: &mut Table) {
    let copied = table.outside.path().join("copied");
    copy_folder(&table.folder, &copied);
    fs::remove_dir_all(&table.folder).unwrap();
    table.folder = copied;
}

/// In the second of two trainings that an edit makes run.
fn kill(table: &mut Table) {
    real_param_change(table);
    table.kill_in_training();
}
