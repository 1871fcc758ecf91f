//! One sequence of edits, and what must hold after each of them.
use std::{cell::RefCell, collections::BTreeMap};

use vgh::cache::Cache;

use crate::{
    property::{
        edit::Edit,
        world::{FILES, World},
    },
    space::{self, Ran, Space},
};

/// A damaged blob is found when it is read and made again by the next run, so
/// that a few runs may fail, each with at least one blob mended.
const MENDING: usize = 200;

/// Runs the world, then again after each edit.
pub(crate) fn hold(world: &World, edits: &[Edit]) {
    let edited = Space::in_memory();
    let fresh = Fresh::default();
    let mut sequence = Sequence::new(world);
    check(&edited, &fresh, &sequence.asked(&Edit::Nothing));
    for edit in edits {
        sequence.apply(edit, || edited.cache());
        check(&edited, &fresh, &sequence.asked(edit));
    }
}

/// A world on its way through edits.
pub(crate) struct Sequence {
    world: World,
    past: Vec<World>,
}

/// What is run after an edit.
pub(crate) struct Asked<'a> {
    pub(crate) world: &'a World,
    pub(crate) forced: Vec<String>,
    pub(crate) selected: Vec<String>,
}

impl Sequence {
    pub(crate) fn new(world: &World) -> Sequence {
        Sequence {
            world: world.clone(),
            past: vec![world.clone()],
        }
    }

    pub(crate) fn apply(&mut self, edit: &Edit, cache: impl Fn() -> Cache) {
        if let Edit::Revert(back) = edit {
            let next_name = self.world.next_name;
            let past = &self.past;
            self.world = past[past.len() - 1 - *back as usize % past.len()].clone();
            self.world.next_name = next_name;
        } else if edit.of_world(&mut self.world) {
            self.past.push(self.world.clone());
        } else {
            edit.of_cache(&cache());
        }
    }

    pub(crate) fn asked(&self, edit: &Edit) -> Asked<'_> {
        let world = &self.world;
        let stage = |at: &u16| {
            let stage = &world.stages[*at as usize % world.stages.len()];
            vec![format!("s{}", stage.name)]
        };
        let (forced, selected) = match edit {
            Edit::Force(at) => (stage(at), Vec::new()),
            Edit::Select(at) => (Vec::new(), stage(at)),
            _ => (Vec::new(), Vec::new()),
        };
        Asked {
            world,
            forced,
            selected,
        }
    }
}

/// Results of runs from scratch by what was asked, since reverts come back.
#[derive(Default)]
struct Fresh(RefCell<BTreeMap<String, BTreeMap<String, String>>>);

impl Fresh {
    fn texts(&self, world: &World, text: &str, selectors: &[&str]) -> BTreeMap<String, String> {
        let asked = format!("{text}{selectors:?}{:?}", world.files);
        let known = self.0.borrow().get(&asked).cloned();
        known.unwrap_or_else(|| {
            let space = Space::in_memory();
            write_files(&space, world);
            let ran = space.run_selected(text, selectors, false);
            assert_eq!(ran.failures, Vec::<String>::new());
            self.0.borrow_mut().insert(asked, ran.texts.clone());
            ran.texts
        })
    }
}

fn write_files(space: &Space, world: &World) {
    for at in 0..FILES {
        space.write(&format!("f{at}.txt"), &world.file(at));
    }
}

fn check(edited: &Space, fresh: &Fresh, asked: &Asked<'_>) {
    write_files(edited, asked.world);
    let text = asked.world.text();
    let forced: Vec<&str> = asked.forced.iter().map(String::as_str).collect();
    let selectors: Vec<&str> = asked.selected.iter().map(String::as_str).collect();
    let cache = edited.cache_path();
    let world = asked.world;
    let asked = space::Asked {
        forced: &forced,
        selectors: &selectors,
        ..edited.usual(&cache, &text)
    };
    let ran = until_whole(&asked);
    let expected = fresh.texts(world, &text, &selectors);
    for target in &ran.targets {
        assert_eq!(
            ran.texts.get(target),
            expected.get(target),
            "target {target}"
        );
    }
    for (label, text) in &ran.texts {
        assert_eq!(Some(text), expected.get(label), "{label}");
    }
    let again = space::Asked {
        forced: &[],
        ..asked
    };
    let idle = again.run();
    assert_eq!(idle.executed, Vec::<String>::new(), "a second run is idle");
    assert_eq!(idle.totals.cached, idle.planned.len());
}

/// Runs until nothing fails, which only damage that was found may do; then
/// every target can be read.
fn until_whole(asked: &space::Asked<'_>) -> Ran {
    for _ in 0..MENDING {
        let ran = asked.run();
        if ran.failures.is_empty() {
            for target in &ran.targets {
                assert!(ran.texts.contains_key(target), "`{target}` is not there");
            }
            return ran;
        }
        for failure in &ran.failures {
            assert!(failure.contains("is corrupt"), "{failure}");
        }
    }
    panic!("still not whole after {MENDING} runs");
}
