//! Edits that change nothing.
use vgh::artifact::show_coords;

use crate::{
    meaning::{edit, read, same},
    sketch::GOOD,
};

#[test]
fn comments_order_and_spelling_change_nothing() {
    same(&GOOD.replace("[stages.", "# a comment\n[stages."), &[]);
    same(&edit("lr = [1e-4, 3e-4]", "lr = [0.0001, 3.0e-4]"), &[]);
    same(&edit("alpha = 1.0", "alpha = 1"), &[]);
    same(&edit("alpha = 1.0\n", ""), &[]);
    same(&edit("decay_steps = 400", "decay_steps = 4_00"), &[]);
    same(&edit("seed = 0", "seed = 0x0"), &[]);
    same(&edit("kind = \"grpo\"", "kind = 'grpo'"), &[]);
    same(
        &edit(
            "resources = { cpu = 1 }",
            "retries = 3\ntemp = true\npublish = false",
        ),
        &[],
    );
    same(&edit("seed = \"{rl_seed}\"", "seed = \"{ rl_seed }\""), &[]);
    same(
        &edit("rewards = \"grpo\"", "rewards = \"grpo.rewards\""),
        &[],
    );
    same(
        &edit(
            "steps = \"{step}\"\ndecay_steps = 400",
            "decay_steps = 400\nsteps = \"{step}\"",
        ),
        &[],
    );
    same(
        &edit(
            "step = { from = 25, to = 100, by = 25 }",
            "step = [25, 50, 75, 100]",
        ),
        &[],
    );
    let stages: Vec<&str> = GOOD.split("\n[").collect();
    let mut reversed = stages.clone();
    reversed[1..].reverse();
    let joined = reversed.join("\n[");
    assert_ne!(joined, GOOD);
    same(&joined, &[]);
}

#[test]
fn reordering_an_axis_or_over_changes_nothing() {
    let moved = edit("budget = [10, 20, 30]", "budget = [30, 10, 20]");
    same(&moved, &[]);
    let written: Vec<String> = read(&moved).axes[1]
        .values
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(written, ["30", "10", "20"]);
    same(
        &edit(
            "step = { from = 25, to = 100, by = 25 }",
            "step = { from = 100, to = 25, by = -25 }",
        ),
        &[],
    );
    same(
        &edit(
            "[\"step\", \"lr\", \"rl_seed\", \"budget\"]",
            "[\"budget\", \"step\", \"rl_seed\", \"lr\"]",
        ),
        &[],
    );
    let pipeline = read(&edit(
        "over = [\"step\", \"lr\", \"rl_seed\", \"budget\"]",
        "over = [\"budget\", \"step\", \"lr\", \"rl_seed\"]",
    ));
    let grpo = pipeline.stage_named("grpo").unwrap();
    let second = &pipeline.instances[grpo.instances.start + 1];
    assert_eq!(
        show_coords(&second.coords),
        "budget=10,lr=1e-4,rl_seed=1,step=25"
    );
}
