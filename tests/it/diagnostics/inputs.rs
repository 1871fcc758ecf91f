//! References, ports, alignment.
use crate::diagnostics::told;

#[test]
fn an_unknown_axis() {
    assert_eq!(
        told(
            &[(
                "over = [\"step\"]\ninputs = { corpus",
                "over = [\"stpe\"]\ninputs = { corpus"
            )],
            &[]
        ),
        r#"error: no axis is named `stpe`
  --> pipelines/sketch.toml:20:9
   |
20 | over = ["stpe"]
   |         ^^^^^^ there are: budget, lr, rl_seed, step
help: did you mean `step`?

1 fault; nothing was run"#
    );
}

#[test]
fn an_unknown_stage() {
    assert_eq!(
        told(&[("rewards = \"grpo\" }", "rewards = \"gpro\" }")], &[]),
        r#"error: no stage is named `gpro`
  --> pipelines/sketch.toml:55:41
   |
55 | inputs = { scores = "scores", rewards = "gpro" }
   |                                         ^^^^^^
help: did you mean `grpo`?

1 fault; nothing was run"#
    );
}

#[test]
fn an_unknown_axis_in_a_selector() {
    assert_eq!(
        told(
            &[("rewards = \"grpo\" }", "rewards = \"grpo@budgt=30\" }")],
            &[]
        ),
        r#"error: `grpo` does not vary along `budgt`
  --> pipelines/sketch.toml:55:47
   |
55 | inputs = { scores = "scores", rewards = "grpo@budgt=30" }
   |                                               ^^^^^^^^ axes: step, lr, rl_seed, budget
help: did you mean `budget`?

1 fault; nothing was run"#
    );
}

#[test]
fn an_unknown_value_in_a_selector() {
    assert_eq!(
        told(
            &[("rewards = \"grpo\" }", "rewards = \"grpo@budget=35\" }")],
            &[]
        ),
        r#"error: `budget` has no value 35
  --> pipelines/sketch.toml:55:47
   |
55 | inputs = { scores = "scores", rewards = "grpo@budget=35" }
   |                                               ^^^^^^^^^ values: 10, 20, 30
help: the nearest: 30

1 fault; nothing was run"#
    );
}

#[test]
fn a_selector_without_form() {
    assert_eq!(
        told(
            &[("rewards = \"grpo\" }", "rewards = \"grpo@budget\" }")],
            &[]
        ),
        r#"error: `budget` is not axis=value
  --> pipelines/sketch.toml:55:47
   |
55 | inputs = { scores = "scores", rewards = "grpo@budget" }
   |                                               ^^^^^^
help: a selector is stage@axis=value,axis=a..b; `first` and `last` are values

1 fault; nothing was run"#
    );
}

#[test]
fn a_cycle() {
    assert_eq!(
        told(
            &[
                (
                    "checkpoint = \"ladder\", prompts = \"prompts\" }\nupdates",
                    "checkpoint = \"again.checkpoint\", prompts = \"prompts\" }\nupdates"
                ),
                (
                    "[stages.impact]",
                    "[stages.again]\nkind = \"grpo\"\nover = [\"step\", \"lr\", \"rl_seed\", \"budget\"]\ninputs = { checkpoint = \"grpo.checkpoint\", prompts = \"prompts\" }\nupdates = 1\nlearning_rate = 1\n\n[stages.impact]"
                )
            ],
            &[]
        ),
        r#"error: stages depend on each other: grpo -> again -> grpo
  --> pipelines/sketch.toml:52:25
   |
52 | inputs = { checkpoint = "grpo.checkpoint", prompts = "prompts" }
   |                         ^^^^^^^^^^^^^^^^^ `again` reads `grpo`
  --> pipelines/sketch.toml:43:25
   |
43 | inputs = { checkpoint = "again.checkpoint", prompts = "prompts" }
   |                         ^^^^^^^^^^^^^^^^^^ `grpo` reads `again`

1 fault; nothing was run"#
    );
}

#[test]
fn a_stage_that_reads_itself() {
    assert_eq!(
        told(
            &[(
                "checkpoint = \"ladder\", prompts = \"prompts\" }\nupdates",
                "checkpoint = \"grpo\", prompts = \"prompts\" }\nupdates"
            )],
            &[]
        ),
        r#"error: stages depend on each other: grpo -> grpo
  --> pipelines/sketch.toml:43:25
   |
43 | inputs = { checkpoint = "grpo", prompts = "prompts" }
   |                         ^^^^^^ `grpo` reads `grpo`

1 fault; nothing was run"#
    );
}

#[test]
fn a_wrong_port_type() {
    assert_eq!(
        told(
            &[(
                "checkpoint = \"ladder\", prompts = \"prompts\" }\nalpha",
                "checkpoint = \"corpus\", prompts = \"prompts\" }\nalpha"
            )],
            &[]
        ),
        r#"error: `corpus` has no output that `checkpoint` takes
  --> pipelines/sketch.toml:32:25
   |
32 | inputs = { checkpoint = "corpus", prompts = "prompts" }
   |                         ^^^^^^^^ `checkpoint` takes a checkpoint
help: outputs of `corpus`: corpus (corpus)

1 fault; nothing was run"#
    );
}

#[test]
fn a_wrong_type_of_a_named_output() {
    assert_eq!(
        told(
            &[(
                "checkpoint = \"ladder\", prompts = \"prompts\" }\nalpha",
                "checkpoint = \"grpo.rewards\", prompts = \"prompts\" }\nalpha"
            )],
            &[]
        ),
        r#"error: `grpo.rewards` is a table `rewards`, but `checkpoint` takes a checkpoint
  --> pipelines/sketch.toml:32:25
   |
32 | inputs = { checkpoint = "grpo.rewards", prompts = "prompts" }
   |                         ^^^^^^^^^^^^^^ outputs of `grpo`: rewards (table `rewards`), training-log (table `training-log`), checkpoint (checkpoint)

1 fault; nothing was run"#
    );
}

#[test]
fn several_outputs_that_fit() {
    assert_eq!(
        told(
            &[(
                "[stages.corpus]\nkind = \"copy-corpus\"",
                "[stages.corpus]\nkind = \"copy-corpora\""
            )],
            &[]
        ),
        r#"error: `corpus` has 2 outputs that `corpus` takes
  --> pipelines/sketch.toml:21:21
   |
21 | inputs = { corpus = "corpus" }
   |                     ^^^^^^^^
help: name one: "corpus.small", "corpus.large"

error: `corpus` has 2 outputs that `corpus` takes
  --> pipelines/sketch.toml:27:21
   |
27 | inputs = { corpus = "corpus" }
   |                     ^^^^^^^^
help: name one: "corpus.small", "corpus.large"

2 faults; nothing was run"#
    );
}

#[test]
fn an_unknown_output() {
    assert_eq!(
        told(
            &[("rewards = \"grpo\" }", "rewards = \"grpo.reward\" }")],
            &[]
        ),
        r#"error: `grpo` has no output `reward`
  --> pipelines/sketch.toml:55:41
   |
55 | inputs = { scores = "scores", rewards = "grpo.reward" }
   |                                         ^^^^^^^^^^^^^ outputs: rewards (table `rewards`), training-log (table `training-log`), checkpoint (checkpoint)
help: did you mean `rewards`?

1 fault; nothing was run"#
    );
}

#[test]
fn an_unknown_input() {
    assert_eq!(
        told(&[("rewards = \"grpo\" }", "reward = \"grpo\" }")], &[]),
        r#"error: `impact` has no input `reward`
  --> pipelines/sketch.toml:55:31
   |
55 | inputs = { scores = "scores", reward = "grpo" }
   |                               ^^^^^^ inputs: scores, rewards
help: did you mean `rewards`?

1 fault; nothing was run"#
    );
}

#[test]
fn a_missing_input() {
    assert_eq!(
        told(&[("inputs = { headroom = \"headroom\" }\n", "")], &[]),
        r#"error: stage `scores` has no input `headroom`
  --> pipelines/sketch.toml:36:8
   |
36 | kind = "scores"
   |        ^^^^^^^^ needs headroom = a table `headroom`
help: add inputs = { headroom = "headroom" }; a table `headroom` is made by: headroom

1 fault; nothing was run"#
    );
}

#[test]
fn a_list_where_one_is_taken() {
    assert_eq!(
        told(
            &[(
                "inputs = { scores = \"scores\", rewards",
                "inputs = { scores = [\"scores\"], rewards"
            )],
            &[]
        ),
        r#"error: `scores` takes one artifact, not a list
  --> pipelines/sketch.toml:55:22
   |
55 | inputs = { scores = ["scores"], rewards = "grpo" }
   |                      ^^^^^^^^
help: write scores = "scores"

1 fault; nothing was run"#
    );
}

#[test]
fn two_sources_at_one_place() {
    assert_eq!(
        told(
            &[(
                "rewards = \"grpo\" }",
                "rewards = [\"grpo\", \"grpo@step=25..50\"] }"
            )],
            &[]
        ),
        r#"error: two sources of `rewards` stand at the same place: budget=10,rl_seed=0,step=25
  --> pipelines/sketch.toml:55:50
   |
55 | inputs = { scores = "scores", rewards = ["grpo", "grpo@step=25..50"] }
   |                                                  ^^^^^^^^^^^^^^^^^^ `impact` could not tell them apart

1 fault; nothing was run"#
    );
}

#[test]
fn many_into_one() {
    assert_eq!(
        told(
            &[(
                "over = [\"step\"]\ninputs = { checkpoint",
                "inputs = { checkpoint"
            )],
            &[]
        ),
        r#"error: `ladder` varies along `step`, but `checkpoint` of `headroom` takes one
  --> pipelines/sketch.toml:31:25
   |
31 | inputs = { checkpoint = "ladder", prompts = "prompts" }
   |                         ^^^^^^^^ axes: step
help: add over = ["step"], or fix a coordinate: checkpoint = "ladder@step=100"

1 fault; nothing was run"#
    );
}

#[test]
fn an_axis_without_a_role() {
    assert_eq!(
        told(&[("over = [\"lr\"]\nladder", "ladder")], &[]),
        r#"error: `grpo` varies along `lr`, which `impact` neither keeps nor averages
  --> pipelines/sketch.toml:54:41
   |
54 | inputs = { scores = "scores", rewards = "grpo" }
   |                                         ^^^^^^ axes: step, lr, rl_seed, budget
help: add over = ["lr"], or replicates = ["rl_seed", "lr"]

1 fault; nothing was run"#
    );
}

#[test]
fn an_axis_that_is_kept_and_gathered() {
    assert_eq!(
        told(
            &[(
                "over = [\"lr\"]\nladder",
                "over = [\"lr\", \"budget\"]\nladder"
            )],
            &[]
        ),
        r#"error: stage `impact` is over `budget` and gathers along it
  --> pipelines/sketch.toml:53:11
   |
53 | budgets = "budget"
   |           ^^^^^^^^
help: take `budget` out of `over`, or out of the roles

1 fault; nothing was run"#
    );
}

#[test]
fn a_role_for_an_unknown_axis() {
    assert_eq!(
        told(
            &[("ladder = \"step\"\nbudgets", "ladder = \"steps\"\nbudgets")],
            &[]
        ),
        r#"error: no axis is named `steps`
  --> pipelines/sketch.toml:52:10
   |
52 | ladder = "steps"
   |          ^^^^^^^ there are: budget, lr, rl_seed, step
help: did you mean `step`?

1 fault; nothing was run"#
    );
}
