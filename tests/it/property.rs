//! The one invariant that subsumes the rest (edge case 33): after any edits of
//! any pipeline, a run gives what a run from scratch gives, and executes what
//! the plan said: all of `run`, and of the rest only `maybe`.
//!
//! `VGH_PROPERTY_SEED=7 cargo test property` tries other worlds, and
//! `VGH_PROPERTY_CASES=5000` more of them. A failure is shrunk by proptest and
//! printed with its seed, the pipeline and the edits.
mod edit;
mod regress;
mod sequence;
mod world;

use std::env;

use proptest::{
    collection::vec,
    strategy::Strategy,
    test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner},
};

use crate::property::{edit::Edit, sequence::hold, world::World};

/// Sequences of each of the four tests below.
const CASES: u32 = 500;
const EDITS: usize = 6;

fn number(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |text| text.parse().expect("a whole number"))
}

/// Runs one share of the sequences; the shares run in parallel.
fn share(of: u64) {
    let seed = number("VGH_PROPERTY_SEED", 1);
    let cases = number("VGH_PROPERTY_CASES", u64::from(CASES));
    println!("seed {seed}, share {of}, {cases} sequences");
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..16].copy_from_slice(&of.to_le_bytes());
    let config = Config {
        cases: u32::try_from(cases).expect("a small number"),
        failure_persistence: None,
        max_shrink_iters: 2_000,
        ..Config::default()
    };
    let mut runner =
        TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let sequences = (World::any(), vec(Edit::any(), 1..=EDITS));
    let outcome = runner.run(&sequences, |(world, edits)| {
        hold(&world, &edits);
        Ok(())
    });
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(why, (world, edits))) => panic!(
            "seed {seed}, share {of}: {why}\n{}\n{world:?}\nedits: {edits:?}",
            world.text()
        ),
        Err(TestError::Abort(why)) => panic!("seed {seed}, share {of}: {why}"),
    }
}

#[test]
fn edited_worlds_equal_fresh_ones_a() {
    share(0);
}

#[test]
fn edited_worlds_equal_fresh_ones_b() {
    share(1);
}

#[test]
fn edited_worlds_equal_fresh_ones_c() {
    share(2);
}

#[test]
fn edited_worlds_equal_fresh_ones_d() {
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
        let text = proptest::strategy::ValueTree::current(&tree).text();
        stages += text.matches("[stages.").count();
        gathers += text.matches("along = [\"").count();
        progressive += text.matches("\"climb\"").count() + text.matches("\"count\"").count();
    }
    assert!(stages > 200 * 6, "{stages}");
    assert!(gathers > 200 && progressive > 200, "{gathers} {progressive}");
}
