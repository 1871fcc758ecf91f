//! `vgh show`.
use std::fs;

use crate::{
    commands::{TOY, ran, said, shows},
    project::Project,
};

#[test]
fn a_selector_may_name_an_output() {
    let project = ran();
    let titles = |args: &[&str]| -> Vec<String> {
        let (code, text) = said(&project, &[&["show", "toy.toml"], args].concat());
        assert_eq!(code, Some(0), "{text}");
        let lines = text.lines().filter(|line| line.starts_with("list."));
        lines.map(str::to_owned).collect()
    };
    assert_eq!(titles(&["list"]), ["list.names", "list.size"]);
    assert_eq!(titles(&["list.size"]), ["list.size"]);
    // Of several selectors each stands for itself.
    assert_eq!(titles(&["list.size", "say"]), ["list.size"]);
    assert_eq!(
        titles(&["list.size", "list.names"]),
        ["list.names", "list.size"]
    );
    assert_eq!(titles(&["list", "--output", "names"]), ["list.names"]);
}

#[test]
fn without_a_result_the_command_that_makes_it_is_told() {
    let project = ran();
    project.write("toy.toml", TOY.replace("hello", "goodbye"));
    let args = ["show", "toy.toml", "say@x=1", "--set", "word=\"ho\""];
    shows("show-none.txt", &project, &args);
    let empty = Project::empty();
    empty.write("toy.toml", TOY);
    shows("show-no-cache.txt", &empty, &["show", "toy.toml", "say"]);
}

#[test]
fn damaged_bytes_are_a_fault_of_the_cache() {
    let project = ran();
    let path = project.vgh(&["cache", "path", "toy.toml", "rewards"]);
    let path = String::from_utf8(path.stdout).unwrap();
    let path = path.trim();
    let bytes = fs::read(path).unwrap();
    fs::remove_file(path).unwrap();
    fs::write(path, &bytes[1..]).unwrap();
    let (code, text) = said(&project, &["show", "toy.toml", "rewards"]);
    assert_eq!(code, Some(4), "{text}");
    assert!(
        text.starts_with("error: `rewards.rewards` cannot be read: blob ")
            && text.contains(" is corrupt: it has ")
            && text.ends_with("; `vgh run` makes it again\n"),
        "{text}"
    );
}
