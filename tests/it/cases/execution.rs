//! Cases 10, 11, 12 and 22: what only says how to execute changes no key, and
//! whoever dies, the next run finishes.
use std::{collections::BTreeMap, fs};

use vgh::seed::Seed;

use crate::{
    project::{MINI, Project},
    signals::{LONG, Running, children, is_gone, kill_one, training, wait_until},
};

/// Stage names whose instances a run would execute, by `plan --json`.
fn planned(project: &Project, args: &[&str]) -> BTreeMap<String, usize> {
    let mut all = vec!["plan", "--json", "mini.toml"];
    all.extend(args);
    let output = project.vgh(&all);
    let plan: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut stages = BTreeMap::new();
    for entry in plan["instances"].as_array().unwrap() {
        if entry["state"] != "cached" {
            let stage = entry["stage"].as_str().unwrap().to_owned();
            *stages.entry(stage).or_default() += 1;
        }
    }
    stages
}

#[test]
fn case_10_another_device_or_dtype_reruns_what_computes_with_a_model() {
    let project = Project::mini();
    assert_eq!(project.run(&["scores"]).code, Some(0));
    for (from, to) in [
        ("device = \"cpu\"", "device = \"cuda\""),
        ("dtype = \"f32\"", "dtype = \"bf16\""),
    ] {
        project.edit(from, to);
        let stages = planned(&project, &["scores"]);
        let names: Vec<&str> = stages.keys().map(String::as_str).collect();
        // What follows may still be cut off: `maybe`. Text and prompts stay.
        assert_eq!(names, ["costates", "headroom", "ladder", "scores"], "{to}");
        project.edit(to, from);
        assert_eq!(project.run(&["scores"]).totals["executed"], 0);
    }
}

#[test]
fn case_11_other_visible_devices_rerun_nothing_and_are_recorded() {
    let project = training("resources = { gpu = 1 }", 2);
    let run = |visible: &str| {
        let output = project
            .command(&["run", "--json", "mini.toml"])
            .env("CUDA_VISIBLE_DEVICES", visible)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let totals: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        (output.status.code(), totals["executed"].as_u64().unwrap())
    };
    assert_eq!(run("3,1"), (Some(0), 2));
    assert_eq!(run("1"), (Some(0), 0));
    assert_eq!(run("GPU-5f2c"), (Some(0), 0));
    let cache = project.cache();
    let records = cache.records().unwrap();
    let given: BTreeMap<String, Vec<String>> = records
        .map(|record| (record.kind().to_owned(), record.provenance.gpus))
        .collect();
    assert_eq!(given["pretrain"], ["3"]);
    assert_eq!(given["copy-corpus"], Vec::<String>::new());
}

#[test]
fn case_12_settings_of_execution_rerun_nothing() {
    let project = Project::mini();
    assert_eq!(project.run(&["affine"]).code, Some(0));
    let all = "retries = 3\nsnapshots = \"none\"\npublish = false\n\
               resources = { cpu = 2, memory = \"1 MiB\", disk = \"1 MB\", network = 1, time = \"2 h\" }";
    let mut stages = 0;
    let text: Vec<String> = MINI
        .lines()
        .map(|line| {
            let stage = line.starts_with("[stages.");
            stages += usize::from(stage);
            if stage {
                format!("{line}\n{all}")
            } else {
                line.to_owned()
            }
        })
        .collect();
    assert_eq!(stages, 12);
    project.write("mini.toml", text.join("\n"));
    for args in [
        vec!["affine"],
        vec!["affine", "-j", "1"],
        vec!["affine", "-j", "7", "--memory", "64 MiB", "--gpus", "0"],
    ] {
        let ran = project.run(&args);
        assert_eq!(
            (ran.code, &ran.totals["executed"]),
            (Some(0), &0.into()),
            "{args:?}"
        );
    }
    // And what does run obeys the same settings: more processors than there are.
    project.edit("train = 24", "train = 20");
    assert_eq!(project.run(&["affine", "-j", "1"]).code, Some(0));
}

#[test]
fn case_22_whoever_is_killed_the_next_run_finishes() {
    let reference = Project::mini();
    assert_eq!(reference.run(&["scores"]).code, Some(0));
    let project = Project::mini();
    let mut draw = Seed(22).stream("case 22", &[]);
    for round in 0..8 {
        let mut running = Running::start(&project, &["scores"]);
        running.until("run-started");
        std::thread::sleep(std::time::Duration::from_millis(draw.below(250) as u64));
        let workers = children(running.child.id());
        match round % 4 {
            0 => running.signal(libc::SIGKILL),
            1 => running.signal(libc::SIGTERM),
            2 => running.signal(libc::SIGINT),
            // A worker, as when memory runs out; it may be idle or gone by now.
            _ => workers
                .iter()
                .filter(|pid| !is_gone(**pid))
                .for_each(|pid| kill_one(*pid, libc::SIGKILL)),
        }
        let (code, _) = running.end();
        match round % 4 {
            0 => assert!(code.is_none() || code == Some(0), "{code:?}"),
            1 | 2 => assert!(matches!(code, Some(0 | 130)), "{code:?}"),
            _ => assert!(matches!(code, Some(0 | 1)), "{code:?}"),
        }
        wait_until("no worker is left", || {
            workers.iter().all(|worker| is_gone(*worker))
        });
    }
    let last = project.run(&["scores"]);
    assert_eq!(last.code, Some(0), "{last:?}");
    assert_eq!(project.digests(), reference.digests());
    assert!(project.cache().verify(true).unwrap().is_sound());
}

#[test]
fn case_22_what_a_killed_worker_left_is_not_visible() {
    let project = training("", LONG);
    let mut running = Running::start(&project, &[]);
    let worker = running.until_training();
    kill_one(worker, libc::SIGKILL);
    assert_eq!(running.end().0, Some(1));
    let kinds: Vec<String> = project
        .cache()
        .records()
        .unwrap()
        .map(|record| record.kind().to_owned())
        .collect();
    assert_eq!(kinds, ["copy-corpus"]);
    assert!(project.cache().verify(true).unwrap().is_sound());
    let text = fs::read_to_string(training("", 2).file("mini.toml")).unwrap();
    project.write("mini.toml", text);
    assert_eq!(project.run(&[]).stages(), ["ladder"]);
}

#[test]
fn what_the_machine_has_not_is_refused_before_anything_starts() {
    for (asked, args, line) in [
        (
            "gpu = 2",
            vec!["--gpus", "1"],
            "`ladder` asks for 2 gpu, this machine has 1",
        ),
        (
            "memory = \"4 GiB\"",
            vec!["--memory", "2 GiB"],
            "`ladder` asks for 4 GiB of memory, this machine has 2 GiB",
        ),
        (
            "network = 5",
            vec!["--network", "3"],
            "`ladder` asks for 5 network slots, this machine has 3",
        ),
    ] {
        let project = training(&format!("resources = {{ {asked} }}"), 2);
        let mut all = vec!["run", "mini.toml"];
        all.extend(&args);
        let output = project
            .command(&all)
            .env_remove("CUDA_VISIBLE_DEVICES")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert_eq!(
            text.lines().last(),
            Some(&*format!("error: {line}")),
            "{text}"
        );
        assert_eq!(project.cache().records().unwrap().count(), 0);
    }
    let project = training("resources = { disk = \"900000 TiB\" }", 2);
    let ran = project.run(&[]);
    assert_eq!(ran.code, Some(2));
    assert!(
        ran.stderr
            .contains("`ladder` asks for 900000 TiB of free disk, this machine has "),
        "{}",
        ran.stderr
    );
}

#[test]
fn few_open_files_cost_speed_not_results() {
    let project = Project::mini();
    let script = format!(
        "ulimit -n 40; exec {} run --json mini.toml -j 12 scores",
        env!("CARGO_BIN_EXE_vgh")
    );
    let output = std::process::Command::new("sh")
        .args(["-c", &script])
        .current_dir(project.path())
        .env_remove("VGH_CACHE")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{text}");
    let few = project
        .command(&["run", "mini.toml"])
        .output()
        .map(|output| output.status.code());
    assert_eq!(few.unwrap(), Some(0));
}
