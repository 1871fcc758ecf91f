//! What counts as a change and what does not: cases 1 to 9, 13, 14, 19, 20.
use std::{fs, os::unix::fs::symlink, path::Path};

use vgh::{
    engine::{Reason, State},
    stage::Kind,
};

use crate::{
    project::{Project, copy_folder},
    space::{Asked, BASE, Ran, Space},
    toy,
};

pub(super) fn none(ran: &Ran) {
    assert_eq!(ran.failures, Vec::<String>::new());
    assert_eq!(ran.executed, Vec::<String>::new());
}

fn edit(from: &str, to: &str) -> String {
    assert!(BASE.contains(from), "{from}");
    BASE.replace(from, to)
}

/// A space in which the base has run.
fn settled() -> Space {
    let space = Space::new();
    assert_eq!(space.run(BASE).executed.len(), 7);
    space
}

#[test]
fn case_01_comments() {
    let space = settled();
    none(&space.run(&edit("[axes]", "# one\n[axes] # two")));
    none(&space.run(&edit("value = 1e-4", "value = 1e-4 # learning rate")));
    none(&space.run(&BASE.replace('\n', "\n# everywhere\n")));
}

#[test]
fn case_02_order_and_layout() {
    let space = settled();
    let mut stages: Vec<&str> = BASE.split("\n\n").collect();
    stages.reverse();
    none(&space.run(&stages.join("\n\n")));
    none(&space.run(&edit(
        "kind = \"number\"\nvalue = 1e-4",
        "value = 1e-4\nkind = \"number\"",
    )));
    none(&space.run(&edit("i = [1, 2]", "i = [\n  1,\n  2,\n]")));
    none(&space.run(&edit("inputs = { n = \"c\" }", "inputs = {n=\"c\"}")));
    none(&space.run(&edit("inputs = { n = \"c\" }", "inputs.n = \"c\"")));
}

#[test]
fn case_03_float_spelling() {
    let space = settled();
    for spelling in ["0.0001", "1.0e-4", "1E-4", "0.000_1"] {
        none(&space.run(&edit("1e-4", spelling)));
    }
    for spelling in ["1_000", "1000.0", "1e3", "0x3e8"] {
        none(&space.run(&edit("1000", spelling)));
    }
    none(&space.run(&edit("\"double\"", "'double'")));
    let refused = space.faults(&edit("value = 1e-4", "value = \"1\""));
    assert!(
        refused.contains("`value` takes a number, not the string \"1\""),
        "{refused}"
    );
}

#[test]
fn case_05_unused_and_unknown_params() {
    let space = settled();
    let with = |beta: u32| {
        let head = format!("[params]\nbeta = {beta}\n\n[axes]");
        edit("[axes]", &head) + "\n[stages.other]\nkind = \"number\"\nvalue = \"{beta}\"\n"
    };
    assert_eq!(space.run(&with(3)).executed, ["other"]);
    assert_eq!(space.run(&with(4)).executed, ["other"]);
    let unused = space.faults(&edit("[axes]", "[params]\nbeta = 3\n\n[axes]"));
    assert!(
        unused.contains("nothing reads the parameter `beta`"),
        "{unused}"
    );
    let refused = space.faults(&edit("add = 1000", "adds = 1000"));
    assert!(
        refused.contains("`adds`") && refused.contains("did you mean `add`?"),
        "{refused}"
    );
}

#[test]
fn case_06_axis_values() {
    let space = settled();
    none(&space.run(&edit("i = [1, 2]", "i = [2, 1]")));
    let added = space.run(&edit("i = [1, 2]", "i = [1, 3, 2]"));
    assert_eq!(added.executed, ["all", "c@i=3", "d@i=3"]);
    let removed = space.run(&edit("i = [1, 2]", "i = [2]"));
    assert_eq!(removed.executed, ["all"]);
    none(&space.run(BASE));
}

#[test]
fn case_07_renames() {
    let space = settled();
    let renamed = BASE
        .replace("stages.b]", "stages.twice]")
        .replace("\"b\"]", "\"twice\"]");
    none(&space.run(&renamed));
    let axis = BASE
        .replace("i = [1, 2]", "index = [1, 2]")
        .replace("\"i\"", "\"index\"");
    // Only the gather, which says the coordinates, sees the name of an axis.
    assert_eq!(space.run(&axis.replace("{i}", "{index}")).executed, ["all"]);
}

#[test]
fn case_07_renames_republish() {
    let project = Project::mini();
    assert_eq!(project.run(&["prompts"]).stages(), ["corpus", "prompts"]);
    let text = fs::read_to_string(project.file("mini.toml")).unwrap();
    let renamed = text.replace("stages.prompts", "stages.questions");
    let renamed = renamed.replace("prompts = \"prompts\"", "prompts = \"questions\"");
    project.write("mini.toml", &renamed);
    let again = project.run(&["questions"]);
    assert_eq!(
        (again.code, again.stages().len()),
        (Some(0), 0),
        "{}",
        again.stderr
    );
    let names = |folder: &str| {
        let mut names: Vec<_> = (fs::read_dir(project.file(folder)).unwrap())
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        names
    };
    let view = names("results/mini/questions");
    assert!(!view.is_empty());
    // Another file with the same stages: nothing runs, the results come along.
    project.write(
        "moved/other.toml",
        renamed.replace("name = \"mini\"", "name = \"other\""),
    );
    let output = project.vgh(&["run", "--json", "moved/other.toml", "questions"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("\"executed\":0"), "{text}");
    assert_eq!(names("results/other/questions"), view);
}

const FILED: &str = "[stages.a]\nkind = \"lines\"\npath = \"in.txt\"\n\
                     [stages.b]\nkind = \"double\"\ninputs = { n = \"a\" }\n";

#[test]
fn case_08_move_copy_and_link() {
    let space = Space::new();
    let first = space.path().join("first");
    fs::create_dir(&first).unwrap();
    fs::write(first.join("in.txt"), "# one\n21").unwrap();
    let run = |folder: &Path| {
        Asked {
            folder,
            cache: &folder.join("cache"),
            ..space.usual(folder, FILED)
        }
        .run()
    };
    assert_eq!(run(&first).executed, ["a", "b"]);
    // A copy has new times and inodes everywhere.
    let copied = space.path().join("copied");
    copy_folder(&first, &copied);
    none(&run(&copied));
    let moved = space.path().join("moved");
    fs::rename(&first, &moved).unwrap();
    none(&run(&moved));
    let linked = space.path().join("linked");
    symlink(&moved, &linked).unwrap();
    none(&run(&linked));
    fs::write(moved.join("in.txt"), "# one\n21").unwrap();
    none(&run(&moved));
}

#[test]
fn case_09_two_projects_one_cache() {
    let (one, two) = (Space::new(), Space::new());
    one.write("in.txt", "21");
    two.write("in.txt", "21");
    let cache = one.cache_path();
    assert_eq!(one.usual(&cache, FILED).run().executed, ["a", "b"]);
    let ran = two.usual(&cache, FILED).run();
    none(&ran);
    assert_eq!(ran.texts["b"], "42");
}

/// The toy kinds with one put in the place of its namesake.
fn kinds_with(kind: Kind) -> &'static [Kind] {
    let mut kinds: Vec<Kind> = Vec::new();
    for known in toy::all() {
        if known.name != kind.name {
            kinds.push(known);
        }
    }
    kinds.push(kind);
    kinds.leak()
}

#[test]
fn case_13_new_optional_param() {
    let space = Space::new();
    let cache = space.cache_path();
    let usual = space.usual(&cache, BASE);
    let before = Asked {
        kinds: kinds_with(toy::number_without_note()),
        ..usual
    };
    assert_eq!(before.run().executed.len(), 7);
    // This release has `note`, absent by default.
    none(&usual.run());
    let noted = edit("value = 1e-4", "value = 1e-4\nnote = \"x\"");
    assert_eq!(space.run(&noted).executed, ["a"]);
}

#[test]
fn case_14_kind_version() {
    let space = settled();
    let cache = space.cache_path();
    let double = (toy::all().into_iter())
        .find(|kind| kind.name == "double")
        .unwrap();
    let raised = Asked {
        kinds: kinds_with(Kind {
            version: double.version + 1,
            ..double
        }),
        ..space.usual(&cache, BASE)
    };
    let ran = raised.run();
    // The same bytes come out, so that what gathers them stays.
    assert_eq!(ran.executed, ["b", "d@i=1", "d@i=2"]);
    assert_eq!(ran.planned["all"], State::Maybe(Reason::InputsChange));
    none(&raised.run());
    none(&space.run(BASE));
}

#[test]
fn case_19_early_cutoff() {
    let space = Space::new();
    space.write("in.txt", "# one\n21");
    assert_eq!(space.run(FILED).texts["b"], "42");
    space.write("in.txt", "# two\n21");
    let ran = space.run(FILED);
    assert_eq!(ran.executed, ["a"]);
    assert_eq!(ran.planned["a"], State::Run(Reason::NoRecord));
    assert_eq!(ran.planned["b"], State::Maybe(Reason::InputsChange));
    none(&space.run(FILED));
}

#[test]
fn case_20_there_and_back() {
    let space = settled();
    assert_eq!(space.run(&edit("1e-4", "2e-4")).executed, ["a", "all", "b"]);
    none(&space.run(BASE));
    none(&space.run(&edit("1e-4", "2e-4")));
    space.write("in.txt", "21");
    space.run(FILED);
    space.write("in.txt", "4");
    assert_eq!(space.run(FILED).executed, ["a", "b"]);
    space.write("in.txt", "21");
    none(&space.run(FILED));
}
