//! Seeds and shrinking: proptest, started from a number that is printed.
use std::{env, fmt::Debug};

use proptest::{
    strategy::Strategy,
    test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner},
};

fn number(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(text.parse().expect("a whole number"))
}

/// Shrinking a failure of real commands would take hours.
const SHRINK_MS: u32 = 60_000;

/// Runs `cases` values through `hold`, which panics where something does not.
#[expect(clippy::print_stdout, reason = "a failure must name its seed")]
pub(crate) fn share<S: Strategy>(of: u64, cases: u32, strategy: S, hold: impl Fn(&S::Value))
where
    S::Value: Debug,
{
    let seed = number("VGH_PROPERTY_SEED").unwrap_or(1);
    let cases = number("VGH_PROPERTY_CASES").map_or(cases, |cases| cases as u32);
    println!("seed {seed}, share {of}, {cases} sequences");
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..16].copy_from_slice(&of.to_le_bytes());
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 2_000,
        max_shrink_time: SHRINK_MS,
        ..Config::default()
    };
    let mut runner =
        TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let outcome = runner.run(&strategy, |value| {
        hold(&value);
        Ok(())
    });
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(why, value)) => panic!("seed {seed}, share {of}: {why}\n{value:#?}"),
        Err(TestError::Abort(why)) => panic!("seed {seed}, share {of}: {why}"),
    }
}
