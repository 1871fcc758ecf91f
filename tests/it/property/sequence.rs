//! One sequence of edits, and what must hold after each of them.
use std::{collections::BTreeMap, sync::Mutex};

use crate::{
    property::{
        edit::Edit,
        world::{FILES, World},
    },
    space::{Asked, Ran, Space},
};

/// A damaged blob is found when it is read and made again by the next run, so
/// that a few runs may fail, each with at least one blob mended.
const MENDING: usize = 200;

/// Runs the world, then again after each edit.
pub(crate) fn hold(world: &World, edits: &[Edit]) {
    let edited = Space::in_memory();
    let mut world = world.clone();
    let mut past = vec![world.clone()];
    let fresh = Fresh::default();
    check(&edited, &fresh, &world, &Edit::Nothing);
    for edit in edits {
        if let Edit::Revert(back) = edit {
            let next_name = world.next_name;
            world = past[past.len() - 1 - *back as usize % past.len()].clone();
            world.next_name = next_name;
        } else if edit.of_world(&mut world) {
            past.push(world.clone());
        } else {
            edit.of_cache(&edited.cache());
        }
        check(&edited, &fresh, &world, edit);
    }
}

/// Results of runs from scratch by what was asked, since reverts come back.
#[derive(Default)]
struct Fresh(Mutex<BTreeMap<String, BTreeMap<String, String>>>);

impl Fresh {
    fn texts(&self, world: &World, text: &str, selectors: &[&str]) -> BTreeMap<String, String> {
        let asked = format!("{text}{selectors:?}{:?}", world.files);
        let known = self.0.lock().unwrap().get(&asked).cloned();
        known.unwrap_or_else(|| {
            let space = Space::in_memory();
            write_files(&space, world);
            let ran = space.run_selected(text, selectors, false);
            assert_eq!(ran.failures, Vec::<String>::new());
            self.0.lock().unwrap().insert(asked, ran.texts.clone());
            ran.texts
        })
    }
}

fn write_files(space: &Space, world: &World) {
    for at in 0..FILES {
        space.write(&format!("f{at}.txt"), &world.file(at));
    }
}

fn check(edited: &Space, fresh: &Fresh, world: &World, edit: &Edit) {
    write_files(edited, world);
    let text = world.text();
    let stage = |at: u16| format!("s{}", world.stages[at as usize % world.stages.len()].name);
    let (mut forced, mut selected) = (Vec::new(), Vec::new());
    match edit {
        Edit::Force(at) => forced.push(stage(*at)),
        Edit::Select(at) => selected.push(stage(*at)),
        _ => {}
    }
    let forced: Vec<&str> = forced.iter().map(String::as_str).collect();
    let selectors: Vec<&str> = selected.iter().map(String::as_str).collect();
    let cache = edited.cache_path();
    let asked = Asked {
        forced: &forced,
        selectors: &selectors,
        ..edited.usual(&cache, &text)
    };
    let ran = until_whole(&asked);
    let expected = fresh.texts(world, &text, &selectors);
    for target in &ran.targets {
        assert_eq!(ran.texts.get(target), expected.get(target), "target {target}");
    }
    for (label, text) in &ran.texts {
        assert_eq!(Some(text), expected.get(label), "{label}");
    }
    let again = Asked {
        forced: &[],
        ..asked
    };
    let idle = again.run();
    assert_eq!(idle.executed, Vec::<String>::new(), "a second run is idle");
    assert_eq!(idle.totals.cached, idle.planned.len());
}

/// Runs until nothing fails and every target can be read; only damage that
/// was found may make another run necessary.
fn until_whole(asked: &Asked<'_>) -> Ran {
    for _ in 0..MENDING {
        let ran = asked.run();
        let readable = |target: &String| ran.texts.contains_key(target);
        if ran.failures.is_empty() && ran.targets.iter().all(readable) {
            return ran;
        }
        for failure in &ran.failures {
            assert!(failure.contains("is corrupt"), "{failure}");
        }
    }
    panic!("still not whole after {MENDING} runs");
}
