//! Kinds, parameters, placeholders, execution settings.
use crate::diagnostics::told;

#[test]
fn an_unknown_kind() {
    assert_eq!(
        told(&[("kind = \"headroom\"", "kind = \"headrom\"")], &[]),
        r#"error: unknown kind `headrom`
  --> pipelines/sketch.toml:30:8
   |
30 | kind = "headrom"
   |        ^^^^^^^^^
help: did you mean `headroom`?

1 fault; nothing was run"#
    );
}

#[test]
fn an_unknown_key() {
    assert_eq!(
        told(&[("alpha = 1.0", "alhpa = 1.0")], &[]),
        r"error: `headroom` has no parameter `alhpa`
  --> pipelines/sketch.toml:33:1
   |
33 | alhpa = 1.0
   | ^^^^^
help: did you mean `alpha`?

1 fault; nothing was run"
    );
}

#[test]
fn an_unknown_placeholder() {
    assert_eq!(
        told(&[("\"{budget}\"", "\"{bugdet}\"")], &[]),
        r#"error: no parameter or axis is named `bugdet`
  --> pipelines/sketch.toml:44:12
   |
44 | updates = "{bugdet}"
   |            ^^^^^^^^ there are: budget, lr, rl_seed, step
help: did you mean `budget`?

1 fault; nothing was run"#
    );
}

#[test]
fn an_axis_that_the_stage_is_not_over() {
    assert_eq!(
        told(&[("alpha = 1.0", "alpha = \"{lr}\"")], &[]),
        r#"error: stage `headroom` reads the axis `lr` but is not over it
  --> pipelines/sketch.toml:33:10
   |
33 | alpha = "{lr}"
   |          ^^^^
help: add over = ["step", "lr"]

1 fault; nothing was run"#
    );
}

#[test]
fn a_wrong_type() {
    assert_eq!(
        told(&[("decay_steps = 400", "decay_steps = \"400\"")], &[]),
        r#"error: `decay_steps` takes a whole number of 0 or more, not the string "400"
  --> pipelines/sketch.toml:23:15
   |
23 | decay_steps = "400"
   |               ^^^^^

1 fault; nothing was run"#
    );
}

#[test]
fn a_wrong_type_through_a_placeholder() {
    assert_eq!(
        told(
            &[(
                "step = { from = 25, to = 100, by = 25 }",
                "step = [25, 50.5]"
            )],
            &[]
        ),
        r#"error: `steps` takes a whole number of 0 or more, not 50.5
  --> pipelines/sketch.toml:22:9
   |
22 | steps = "{step}"
   |         ^^^^^^^^
note: in ladder@step=50.5

1 fault; nothing was run"#
    );
}

#[test]
fn several_types_of_fault_in_one_stage() {
    assert_eq!(
        told(
            &[(
                "updates = \"{budget}\"",
                "updates = -1\nnote = 7\ntemprature = 1"
            )],
            &[]
        ),
        r"error: `updates` takes a whole number of 0 or more, not -1
  --> pipelines/sketch.toml:44:11
   |
44 | updates = -1
   |           ^^

error: `note` takes a string, not 7
  --> pipelines/sketch.toml:45:8
   |
45 | note = 7
   |        ^

error: `grpo` has no parameter `temprature`
  --> pipelines/sketch.toml:46:1
   |
46 | temprature = 1
   | ^^^^^^^^^^
help: parameters: advantage, beta, learning_rate, note, seed, updates

3 faults; nothing was run"
    );
}

#[test]
fn an_unknown_choice() {
    assert_eq!(
        told(
            &[(
                "seed = \"{rl_seed}\"",
                "seed = \"{rl_seed}\"\nadvantage = \"standardised\""
            )],
            &[]
        ),
        r#"error: `advantage` cannot be "standardised"
  --> pipelines/sketch.toml:47:13
   |
47 | advantage = "standardised"
   |             ^^^^^^^^^^^^^^ one of: mean, standardized
help: did you mean `standardized`?

1 fault; nothing was run"#
    );
}

#[test]
fn out_of_range() {
    assert_eq!(
        told(&[("alpha = 1.0", "alpha = 1.5")], &[]),
        r"error: `alpha` lies in [0, 1], not at 1.5
  --> pipelines/sketch.toml:33:9
   |
33 | alpha = 1.5
   |         ^^^

1 fault; nothing was run"
    );
}

#[test]
fn out_of_range_in_some_instances() {
    assert_eq!(
        told(&[("decay_steps = 400", "decay_steps = 60")], &[]),
        r#"error: `steps` is 75, beyond `decay_steps` = 60
  --> pipelines/sketch.toml:22:9
   |
22 | steps = "{step}"
   |         ^^^^^^^^
note: in ladder@step=75

1 fault; nothing was run"#
    );
}

#[test]
fn a_missing_parameter() {
    assert_eq!(
        told(&[("decay_steps = 400\n", "")], &[]),
        r#"error: stage `ladder` does not set `decay_steps`
  --> pipelines/sketch.toml:19:8
   |
19 | kind = "pretrain"
   |        ^^^^^^^^^^ needs decay_steps

1 fault; nothing was run"#
    );
}

#[test]
fn a_default_that_no_kind_has() {
    assert_eq!(
        told(&[("seed = 0\n", "seed = 0\nsede = 1\n")], &[]),
        r"error: no kind of this file has a parameter `sede`
  --> pipelines/sketch.toml:8:1
   |
 8 | sede = 1
   | ^^^^
help: did you mean `seed`?

1 fault; nothing was run"
    );
}

#[test]
fn a_bad_setting_of_execution() {
    assert_eq!(
        told(
            &[(
                "resources = { cpu = 1 }",
                "resources = { cpus = 1, memory = \"4 gb\" }"
            )],
            &[]
        ),
        r#"error: unknown resource `cpus`
  --> pipelines/sketch.toml:47:15
   |
47 | resources = { cpus = 1, memory = "4 gb" }
   |               ^^^^ resources: cpu, gpu, memory, disk, network, time
help: did you mean `cpu`?

error: `memory` takes bytes, such as "4 GiB" or "500 MB", not the string "4 gb"
  --> pipelines/sketch.toml:47:34
   |
47 | resources = { cpus = 1, memory = "4 gb" }
   |                                  ^^^^^^

2 faults; nothing was run"#
    );
}

#[test]
fn a_brace_without_its_partner() {
    assert_eq!(
        told(
            &[(
                "seed = \"{rl_seed}\"",
                "seed = \"{rl_seed}\"\nnote = \"{print $1}\""
            )],
            &[]
        ),
        r#"error: no name stands between `{` and `}`
  --> pipelines/sketch.toml:47:9
   |
47 | note = "{print $1}"
   |         ^^^^^^^^^^
help: write `{{` and `}}` for braces; `{name}` is the value of a parameter or axis

1 fault; nothing was run"#
    );
}
