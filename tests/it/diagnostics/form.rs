//! The form of a file: TOML, sections, axes, `--set`.
use crate::diagnostics::told;

#[test]
fn an_unknown_section() {
    assert_eq!(
        told(&[("[stages.corpus]", "[stage.corpus]")], &[]),
        r"error: unknown section `stage`
  --> pipelines/sketch.toml:15:2
   |
15 | [stage.corpus]
   |  ^^^^^ sections: pipeline, defaults, params, axes, stages
help: did you mean `stages`?

1 fault; nothing was run"
    );
}

#[test]
fn a_stage_defined_twice() {
    assert_eq!(
        told(&[("[stages.scores]", "[stages.headroom]")], &[]),
        r"error: stage `headroom` is defined twice
  --> pipelines/sketch.toml:35:9
   |
35 | [stages.headroom]
   |         ^^^^^^^^ again here
  --> pipelines/sketch.toml:29:9
   |
29 | [stages.headroom]
   |         ^^^^^^^^ first here

1 fault; nothing was run"
    );
}

#[test]
fn a_key_defined_twice() {
    assert_eq!(
        told(&[("alpha = 1.0", "alpha = 1.0\nalpha = 0.5")], &[]),
        r"error: `alpha` is defined twice
  --> pipelines/sketch.toml:34:1
   |
34 | alpha = 0.5
   | ^^^^^ again here
  --> pipelines/sketch.toml:33:1
   |
33 | alpha = 1.0
   | ^^^^^ first here

1 fault; nothing was run"
    );
}

#[test]
fn a_name_that_is_parameter_and_axis() {
    assert_eq!(
        told(&[("[axes]", "[params]\nlr = 1e-4\n\n[axes]")], &[]),
        r"error: `lr` is both a parameter and an axis
  --> pipelines/sketch.toml:15:1
   |
15 | lr = [1e-4, 3e-4]
   | ^^
  --> pipelines/sketch.toml:10:1
   |
10 | lr = 1e-4
   | ^^ the parameter
help: they share one namespace: rename one of them

1 fault; nothing was run"
    );
}

#[test]
fn an_empty_axis() {
    assert_eq!(
        told(&[("budget = [10, 20, 30]", "budget = []")], &[]),
        r"error: the axis `budget` is empty
  --> pipelines/sketch.toml:11:10
   |
11 | budget = []
   |          ^^
help: give it at least one value: no stage over it would have an instance

1 fault; nothing was run"
    );
}

#[test]
fn an_axis_with_a_value_twice() {
    assert_eq!(
        told(&[("lr = [1e-4, 3e-4]", "lr = [1e-4, 0.0001]")], &[]),
        r"error: the axis `lr` has the value 1e-4 twice
  --> pipelines/sketch.toml:12:13
   |
12 | lr = [1e-4, 0.0001]
   |             ^^^^^^
  --> pipelines/sketch.toml:12:7
   |
12 | lr = [1e-4, 0.0001]
   |       ^^^^ first here

1 fault; nothing was run"
    );
}

#[test]
fn a_range_that_leads_away() {
    assert_eq!(
        told(&[("by = 25", "by = -25")], &[]),
        r"error: `by` leads away from `to`
  --> pipelines/sketch.toml:10:36
   |
10 | step = { from = 25, to = 100, by = -25 }
   |                                    ^^^
help: change its sign, or exchange `from` and `to`

1 fault; nothing was run"
    );
}

#[test]
fn an_unused_axis() {
    assert_eq!(
        told(&[("[axes]", "[axes]\nwarmup = [1, 2]")], &[]),
        r#"error: no stage is over the axis `warmup`
  --> pipelines/sketch.toml:10:1
   |
10 | warmup = [1, 2]
   | ^^^^^^
help: add over = ["warmup"] to a stage, or remove it

1 fault; nothing was run"#
    );
}

#[test]
fn an_unused_parameter() {
    assert_eq!(
        told(&[("[axes]", "[params]\nwarmup = 1\n\n[axes]")], &[]),
        r#"error: nothing reads the parameter `warmup`
  --> pipelines/sketch.toml:10:1
   |
10 | warmup = 1
   | ^^^^^^
help: use it in a stage as "{warmup}", or remove it

1 fault; nothing was run"#
    );
}

#[test]
fn another_format() {
    assert_eq!(
        told(&[("format = 1", "format = 2")], &[]),
        r"error: format 2 is not known to this version of vgh
  --> pipelines/sketch.toml:3:10
   |
 3 | format = 2
   |          ^ known formats: 1
help: a newer vgh may read it

1 fault; nothing was run"
    );
}

#[test]
fn no_head() {
    assert_eq!(
        told(&[("[pipeline]\nformat = 1\nname = \"sketch\"\n", "")], &[]),
        r"error: the section [pipeline] is missing
  --> pipelines/sketch.toml:1:1
   |
 1 | # From which checkpoint should RL start?
   | ^
help: begin with [pipeline], format = 1 and a name

1 fault; nothing was run"
    );
}

#[test]
fn not_toml() {
    assert_eq!(
        told(&[("kind = \"grpo\"", "kind = grpo")], &[]),
        r"error: not TOML: string values must be quoted, expected literal string
  --> pipelines/sketch.toml:41:8
   |
41 | kind = grpo
   |        ^^^^

1 fault; nothing was run"
    );
}

#[test]
fn set_of_an_unknown_key() {
    assert_eq!(
        told(&[], &["stages.grpo.betta=0"]),
        r"error: `grpo` has no parameter `betta`
  --> command line
   |
   | --set stages.grpo.betta=0
   |                   ^^^^^
help: did you mean `beta`?

1 fault; nothing was run"
    );
}

#[test]
fn set_of_an_unknown_name() {
    assert_eq!(
        told(&[], &["rl=3e-4"]),
        r"error: no parameter or axis is named `rl`
  --> command line
   |
   | --set rl=3e-4
   |       ^^ there are: budget, lr, rl_seed, step
help: did you mean `lr`?
help: write --set lr=3e-4 for a parameter or an axis, --set stages.grpo.beta=0 for any key

1 fault; nothing was run"
    );
}

#[test]
fn set_of_an_unknown_stage() {
    assert_eq!(
        told(&[], &["stages.gropo.beta=0"]),
        r"error: no stage is named `gropo`
  --> command line
   |
   | --set stages.gropo.beta=0
   |              ^^^^^
help: did you mean `grpo`?

1 fault; nothing was run"
    );
}

#[test]
fn set_of_a_broken_value() {
    assert_eq!(
        told(&[], &["lr=[1e-4"]),
        r"error: not a TOML value: unclosed array, expected `]`
  --> command line
   |
   | --set lr=[1e-4
   |               ^

1 fault; nothing was run"
    );
}

#[test]
fn set_of_a_wrong_type() {
    assert_eq!(
        told(&[], &["stages.grpo.beta=often"]),
        r#"error: `beta` takes a number, not the string "often"
  --> command line
   |
   | --set stages.grpo.beta=often
   |                        ^^^^^

1 fault; nothing was run"#
    );
}

#[test]
fn two_faults_together() {
    assert_eq!(
        told(
            &[
                ("\"{budget}\"", "\"{bugdet}\""),
                ("rewards = \"grpo\" }", "rewards = \"gpro\" }")
            ],
            &[]
        ),
        r#"error: no parameter or axis is named `bugdet`
  --> pipelines/sketch.toml:44:12
   |
44 | updates = "{bugdet}"
   |            ^^^^^^^^ there are: budget, lr, rl_seed, step
help: did you mean `budget`?

error: no stage is named `gpro`
  --> pipelines/sketch.toml:55:41
   |
55 | inputs = { scores = "scores", rewards = "gpro" }
   |                                         ^^^^^^
help: did you mean `grpo`?

2 faults; nothing was run"#
    );
}
