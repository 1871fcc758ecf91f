//! The one invariant that subsumes the rest (edge case 33): after any edits of
//! any pipeline, a run gives what a run from scratch gives, and executes what
//! the plan said: all of `run`, and of the rest only `maybe`.
//!
//! `VGH_PROPERTY_SEED=7 cargo test property` tries other worlds, and
//! `VGH_PROPERTY_CASES=5000` more of them. A failure is shrunk by proptest and
//! printed with its seed, the pipeline and the edits.
mod commands;
mod edit;
mod runner;
mod sequence;
mod world;

use proptest::{
    collection::vec,
    strategy::{Strategy, ValueTree},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

use crate::property::{edit::Edit, sequence::hold, world::World};

/// Sequences of each of the four tests below.
const CASES: u32 = 500;
const EDITS: usize = 6;

/// One share of the sequences; the shares run in parallel.
fn share(of: u64) {
    let sequences = (World::any(), vec(Edit::any(), 1..=EDITS));
    runner::share(of, CASES, sequences, |(world, edits)| hold(world, edits));
}

#[test]
fn case_33_edited_worlds_equal_fresh_ones_a() {
    share(0);
}

#[test]
fn case_33_edited_worlds_equal_fresh_ones_b() {
    share(1);
}

#[test]
fn case_33_edited_worlds_equal_fresh_ones_c() {
    share(2);
}

#[test]
fn case_33_edited_worlds_equal_fresh_ones_d() {
    share(3);
}

#[test]
fn most_worlds_have_something_in_them() {
    // A generator that makes only trivial worlds would prove nothing.
    let mut runner = TestRunner::new_with_rng(
        Config::default(),
        TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]),
    );
    let (mut stages, mut gathers, mut progressive) = (0, 0, 0);
    for _ in 0..200 {
        let tree = World::any().new_tree(&mut runner).unwrap();
        let text = tree.current().text();
        stages += text.matches("[stages.").count();
        gathers += text.matches("along = [\"").count();
        progressive += text.matches("\"climb\"").count() + text.matches("\"count\"").count();
    }
    assert!(stages > 200 * 6, "{stages}");
    assert!(
        gathers > 200 && progressive > 200,
        "{gathers} {progressive}"
    );
}
