//! The real kinds end to end: what runs, what does not run again, and that the
//! bytes are the same however they were made.
use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader},
    time::Duration,
};

use vgh::seed::Seed;

use crate::project::{MINI, Project};

const EVERYTHING: &[(&str, usize)] = &[
    ("affine", 1),
    ("corpus", 1),
    ("correlate", 1),
    ("costates", 3),
    ("grpo", 12),
    ("headroom", 3),
    ("impact", 1),
    ("ladder", 3),
    ("prompts", 1),
    ("recommend", 1),
    ("report", 1),
    ("scores", 1),
];

fn counts(expected: &[(&str, usize)]) -> BTreeMap<String, usize> {
    expected
        .iter()
        .map(|(stage, count)| ((*stage).to_owned(), *count))
        .collect()
}

#[test]
fn an_experiment_runs_once_and_an_edit_reruns_what_it_touches() {
    let project = Project::mini();
    let first = project.run(&[]);
    assert_eq!(
        (first.code, &first.failures[..]),
        (Some(0), &[][..]),
        "{}",
        first.stderr
    );
    assert_eq!(first.executed, counts(EVERYTHING));
    assert_eq!(
        (&first.totals["event"], &first.totals["executed"]),
        (&"run-finished".into(), &29.into())
    );
    // Budgets of a family are one pass: to 2 updates, not 1 + 2.
    let grpo: Vec<_> = first
        .passes
        .iter()
        .filter(|(stage, _, _)| stage == "grpo")
        .collect();
    assert_eq!(grpo.len(), 6);
    assert!(project.file("results/mini/report.html").is_file());

    let again = project.run(&[]);
    assert_eq!(
        (&again.totals["executed"], &again.totals["cached"]),
        (&0.into(), &29.into())
    );

    for (from, to) in [
        ("# The quickstart in small", "# Another comment"),
        ("lr = [1e-3]", "lr = [0.001]"),
        ("step = [4, 8, 12]", "step = [12, 4, 8]"),
        ("train = 24\neval = 12", "eval = 12\ntrain = 24"),
        (
            "[stages.affine]",
            "[stages.affine]\nresources = { cpu = 2 }",
        ),
    ] {
        project.edit(from, to);
        assert_eq!(project.run(&[]).totals["executed"], 0, "{to}");
    }

    edits_of_meaning_rerun_what_they_touch(&project);
}

fn edits_of_meaning_rerun_what_they_touch(project: &Project) {
    project.edit("alpha = 1.0", "alpha = 2.0");
    let alpha = project.run(&[]);
    assert_eq!(
        alpha.stages(),
        [
            "affine",
            "correlate",
            "headroom",
            "impact",
            "recommend",
            "report",
            "scores"
        ]
    );

    project.edit("budget = [1, 2]", "budget = [1, 2, 4]");
    let budget = project.run(&[]);
    assert_eq!(budget.executed["grpo"], 6);
    assert!(
        budget
            .passes
            .iter()
            .all(|pass| *pass == ("grpo".to_owned(), Some(2), 4)),
        "{:?}",
        budget.passes
    );

    project.edit("train = 24", "train = 20");
    let prompts = project.run(&[]);
    assert!(
        !prompts.executed.contains_key("ladder") && prompts.executed["grpo"] == 18,
        "{prompts:?}"
    );

    project.write("mini.toml", MINI);
    assert_eq!(project.run(&[]).totals["executed"], 0);
}

#[test]
fn a_renamed_stage_and_a_moved_folder_rerun_nothing() {
    let project = Project::mini();
    assert_eq!(project.run(&["scores"]).code, Some(0));
    project.edit("\"ladder\"", "\"climb\"");
    project.edit("[stages.ladder]", "[stages.climb]");
    assert_eq!(project.run(&["scores"]).totals["executed"], 0);
    assert!(
        project.file("results/mini/climb").is_dir()
            && !project.file("results/mini/ladder").exists()
    );
    let moved = tempfile::tempdir().unwrap();
    let target = moved.path().join("elsewhere");
    fs::rename(project.path(), &target).unwrap();
    let output = project
        .command(&["run", "--json", "mini.toml", "scores"])
        .current_dir(&target)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.lines().last().unwrap().contains("\"executed\":0"),
        "{text}"
    );
    fs::create_dir(project.path()).unwrap();
}

#[test]
fn scores_need_no_rl() {
    let project = Project::mini();
    let ran = project.run(&["scores"]);
    assert_eq!(
        ran.stages(),
        [
            "corpus", "costates", "headroom", "ladder", "prompts", "scores"
        ]
    );
    let shown = project.vgh(&["show", "mini.toml", "scores", "--output", "wide", "--csv"]);
    let text = String::from_utf8(shown.stdout).unwrap();
    assert!(text.starts_with("step,tokens,sigma,ip,"), "{text}");
    assert_eq!(text.lines().count(), 4);
}

#[test]
fn bytes_do_not_depend_on_jobs_cache_warmth_or_history() {
    let (one, two) = (Project::mini(), Project::mini());
    assert_eq!(one.run(&["-j", "1"]).code, Some(0));
    // In pieces, so that workers are fresh where they were warm, and the other way round.
    for selector in [
        "costates@step=8",
        "grpo@step=12,budget=1",
        "grpo@step=4",
        "scores",
    ] {
        assert_eq!(two.run(&["-j", "2", selector]).code, Some(0));
    }
    assert_eq!(two.run(&["-j", "2"]).code, Some(0));
    assert_eq!(one.digests(), two.digests());
}

#[test]
fn results_for_people_come_back_when_lost_or_altered() {
    let project = Project::mini();
    project.run(&["scores", "grpo@step=4"]);
    let table = project.file("results/mini/grpo/step=4/lr=1e-3/rl_seed=0/budget=2/rewards.parquet");
    let before = fs::read(&table).unwrap();
    fs::remove_file(&table).unwrap();
    assert_eq!(
        project.run(&["scores", "grpo@step=4"]).totals["executed"],
        0
    );
    assert_eq!(fs::read(&table).unwrap(), before);
    fs::write(&table, "spoilt").unwrap();
    assert_eq!(
        project.run(&["scores", "grpo@step=4"]).totals["executed"],
        0
    );
    assert_eq!(fs::read(&table).unwrap(), before);
    fs::remove_dir_all(project.file("results")).unwrap();
    assert_eq!(
        project.run(&["scores", "grpo@step=4"]).totals["executed"],
        0
    );
    assert_eq!(fs::read(&table).unwrap(), before);
}

#[test]
fn killed_at_any_moment_a_run_loses_only_what_was_unfinished() {
    let reference = Project::mini();
    assert_eq!(reference.run(&[]).code, Some(0));
    let project = Project::mini();
    let mut moments = Seed(11).stream("kill", &[]);
    let mut known = BTreeMap::new();
    for _ in 0..12 {
        let mut child = project
            .command(&["run", "--json", "mini.toml"])
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(30 + moments.below(400) as u64));
        child.kill().unwrap();
        child.wait().unwrap();
        let now = project.digests();
        assert!(
            known.keys().all(|key| now.contains_key(key)),
            "a finished result is gone"
        );
        known = now;
    }
    let last = project.run(&[]);
    assert_eq!(last.code, Some(0), "{last:?}");
    assert_eq!(project.digests(), reference.digests());
    let report = project.cache().verify(true).unwrap();
    assert!(report.is_sound(), "{report:?}");
}

#[test]
fn an_interrupted_run_says_so_and_goes_on_later() {
    let project = Project::mini();
    let mut child = project
        .command(&["run", "--json", "mini.toml"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // The first stage is at work, and all others are still to come.
    let begun = |line: String| line.contains("\"event\":\"started\"");
    assert!(lines.by_ref().map(Result::unwrap).any(begun));
    let pid = libc::pid_t::try_from(child.id()).unwrap();
    // SAFETY: a signal to a child that has not been waited for.
    unsafe { libc::kill(pid, libc::SIGINT) };
    let last = lines.map(Result::unwrap).last().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(last.contains("\"interrupted\":true"), "{last}");
    assert_eq!(project.run(&[]).code, Some(0));
}
