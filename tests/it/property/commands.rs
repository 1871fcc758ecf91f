//! The same worlds as real commands in worker processes, run by the program:
//! fewer sequences, all the machinery.
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use proptest::collection::vec;
use serde_json::Value;

use crate::{
    project::Project,
    property::{
        edit::Edit,
        runner,
        sequence::{Asked, Sequence},
        world::{FILES, Meant, World},
    },
};

const CASES: u32 = 50;
const EDITS: usize = 2;
/// A larger world takes seconds: each of its stages is a process.
const STAGES_MAX: usize = 8;
/// Runs that may fail over damage that they find.
const MENDING: usize = 20;

#[test]
fn case_33_edited_worlds_of_commands_equal_fresh_ones() {
    runner::share(
        100,
        CASES,
        (World::any(), vec(Edit::any(), 1..=EDITS)),
        |(world, edits)| {
            let mut world = world.clone();
            world.stages.truncate(STAGES_MAX);
            let edited = Project::in_memory();
            let mut sequence = Sequence::new(&world);
            check(&edited, &sequence.asked(&Edit::Nothing));
            for edit in edits {
                sequence.apply(edit, || edited.cache());
                check(&edited, &sequence.asked(edit));
            }
        },
    );
}

fn text(world: &World) -> String {
    let mut text = String::from("[pipeline]\nformat = 1\nname = \"w\"\n");
    text.push_str(&world.axes_text());
    for stage in world.meant_in_order() {
        text.push_str(&stage_text(&stage, world));
    }
    text
}

fn stage_text(stage: &Meant, world: &World) -> String {
    // `value = 3` or `value = "{a0_0}"`: what stands behind the sign, bare.
    let value = stage
        .params
        .split_once(" = ")
        .map_or("", |(_, value)| value);
    let value = value.trim_matches('"');
    let sources: Vec<String> = (0..stage.inputs.len())
        .map(|at| format!("{{inputs.n{at}}}"))
        .collect();
    let (first, all) = (
        sources.first().cloned().unwrap_or_default(),
        sources.join(" "),
    );
    let all = format!("find -L {all} -type f | sort | xargs cat");
    let number = |formula: &str| format!("x=$(cat {first}); echo $(({formula})) > {{outputs.n}}");
    let shell = match stage.kind {
        "number" => format!("echo {value} > {{outputs.n}}"),
        "double" => number(&format!("2 * x + {value}")),
        "floor" => number(&format!("x / {value}")),
        "join" => format!(
            "x=$(cat {first}); y=$(cat {}); echo $(((7 * x + y) % 1009)) > {{outputs.n}}",
            sources[1]
        ),
        "split" => format!(
            "{}; echo $((x % {value})) > {{outputs.rest}}",
            number(&format!("x / {value}"))
        ),
        "climb" => number(&format!("3 * x % 97 + {value}")),
        "count" => format!(
            "echo counted {value}; cat {first} > {{outputs.n}}; echo {value} >> {{outputs.n}}"
        ),
        "lines" => "grep -v '^#' {files.f} > {outputs.n}".to_owned(),
        "total" => format!(
            "{all} | awk '{{{{ s += $1 }}}} END {{{{ print s % 1000003 }}}}' > {{outputs.n}}"
        ),
        _ => format!("{all} > {{outputs.n}}"),
    };
    let outputs: Vec<String> = (stage.outputs.iter())
        .map(|name| format!("{name} = \"{name}\""))
        .collect();
    let mut text = format!(
        "[stages.{}]\nkind = \"command\"\nshell = \"\"\"{shell}\"\"\"\noutputs = {{ {} }}\n",
        stage.name,
        outputs.join(", ")
    );
    if stage.kind == "lines" {
        text.push_str(&format!("files = {{ f = \"{value}\" }}\n"));
    }
    if !stage.inputs.is_empty() {
        let inputs: Vec<String> = (stage.inputs.iter().enumerate())
            .map(|(at, source)| format!("n{at} = \"{source}\""))
            .collect();
        text.push_str(&format!("inputs = {{ {} }}\n", inputs.join(", ")));
    }
    if !stage.over.is_empty() {
        let over: Vec<String> = stage.over.iter().map(|axis| world.axis(*axis)).collect();
        text.push_str(&format!("over = {over:?}\n"));
    }
    text
}

/// What a run did, and what it left for people.
struct Ran {
    executed: BTreeSet<String>,
    failures: Vec<String>,
    /// Whether it found bytes that were not those of their name.
    damage: bool,
    results: BTreeMap<String, String>,
}

fn write(project: &Project, world: &World) {
    project.write("w.toml", text(world));
    for at in 0..FILES {
        project.write(&format!("f{at}.txt"), world.file(at) + "\n");
    }
}

fn with<'a>(first: &[&'a str], asked: &'a Asked<'_>) -> Vec<String> {
    let mut args: Vec<String> = first.iter().map(|arg| (*arg).to_owned()).collect();
    args.extend(asked.forced.iter().map(|stage| format!("--force={stage}")));
    args.push("w.toml".to_owned());
    args.extend(asked.selected.iter().cloned());
    args
}

fn call(project: &Project, args: &[String]) -> (String, String) {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let output = project.vgh(&args);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr))
}

/// Label to `cached`, `run` or `maybe`.
fn planned(project: &Project, asked: &Asked<'_>) -> BTreeMap<String, String> {
    let (out, error) = call(project, &with(&["plan", "--json"], asked));
    let plan: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{error}"));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (plan["instances"].as_array().unwrap().iter())
        .map(|one| (text(&one["instance"]), text(&one["state"])))
        .collect()
}

fn run(project: &Project, asked: &Asked<'_>) -> Ran {
    let folder = project.file("results");
    let _ = fs::remove_dir_all(&folder);
    let (out, error) = call(project, &with(&["run", "--json", "-j", "2"], asked));
    let mut ran = Ran {
        executed: BTreeSet::new(),
        failures: Vec::new(),
        damage: out.contains("is corrupt"),
        results: BTreeMap::new(),
    };
    for line in out.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
        match event["event"].as_str() {
            Some("finished") => drop(ran.executed.insert(text("instance"))),
            Some("failed") => ran.failures.push(text("error")),
            _ => {}
        }
    }
    if !out.contains("run-finished") {
        ran.failures.push(error);
    }
    collect(&folder, &folder, &mut ran.results);
    ran
}

fn collect(root: &Path, folder: &Path, into: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, into);
        } else if !entry_name(&path).starts_with('.') {
            let name = path.strip_prefix(root).unwrap().display().to_string();
            into.insert(name, fs::read_to_string(&path).unwrap());
        }
    }
}

fn entry_name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

fn check(edited: &Project, asked: &Asked<'_>) {
    write(edited, asked.world);
    let ran = (0..MENDING).find_map(|_| {
        let plan = planned(edited, asked);
        let ran = run(edited, asked);
        if !ran.failures.is_empty() {
            for failure in &ran.failures {
                assert!(failure.contains("is corrupt"), "{failure}");
            }
            return None;
        }
        for (label, state) in &plan {
            match state.as_str() {
                "run" => assert!(ran.executed.contains(label), "`{label}` was to run"),
                "cached" if !ran.damage => {
                    assert!(!ran.executed.contains(label), "`{label}` was cached");
                }
                _ => {}
            }
        }
        Some(ran)
    });
    let ran = ran.expect("damage is mended after a few runs");
    let fresh = Project::in_memory();
    write(&fresh, asked.world);
    let unforced = Asked {
        forced: Vec::new(),
        selected: asked.selected.clone(),
        world: asked.world,
    };
    let expected = run(&fresh, &unforced);
    assert_eq!(expected.failures, Vec::<String>::new());
    // A copy may be missing whose bytes were evicted and that nothing wanted.
    for (name, text) in &ran.results {
        assert_eq!(Some(text), expected.results.get(name), "{name}");
    }
    let idle = run(edited, &unforced);
    assert_eq!(idle.executed, BTreeSet::new());
}
