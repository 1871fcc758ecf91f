//! Damaged files and overrides: refused or meant, never a panic.
use crate::{meaning::with, sketch::GOOD};

#[test]
fn no_mutation_of_a_file_panics() {
    // A small linear congruential generator: the edits are the same each time.
    let mut state = 1u64;
    let mut draw = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) as usize) % below
    };
    let words = [
        "{",
        "}",
        "[",
        "]",
        "\"",
        "=",
        ",",
        "@",
        ".",
        "..",
        "\n",
        "#",
        "0",
        "-1",
        "1e400",
        "nan",
        "step",
        "lr",
        "{lr}",
        "{step.x}",
        "{{",
        "\u{fc}",
        "\t",
        "over",
        "grpo@",
        "[stages.x]\n",
        "true",
        "'",
        "first",
    ];
    let mut good = 0;
    for _ in 0..2_000 {
        let mut text = GOOD.to_owned();
        for _ in 0..=draw(3) {
            let mut at = draw(text.len() + 1);
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            let mut end = (at + draw(6)).min(text.len());
            while !text.is_char_boundary(end) {
                end += 1;
            }
            let word = if draw(3) == 0 {
                ""
            } else {
                words[draw(words.len())]
            };
            text.replace_range(at..end, word);
        }
        match with(&text, &[]) {
            Ok(_) => good += 1,
            Err(faults) => assert!(!faults.is_empty() && !faults.to_string().is_empty()),
        }
    }
    assert!(good > 0 && good < 2_000, "{good}");
}

#[test]
fn no_mutation_of_an_override_panics() {
    for set in [
        "",
        "=",
        "lr",
        "lr=",
        ".=1",
        "stages=1",
        "stages.grpo=1",
        "stages.grpo.over=[]",
        "axes={}",
        "axes.lr={from=1,to=2}",
        "pipeline.format=2",
        "a.b=1",
        "lr=[[[[",
        "stages.grpo.inputs=1",
        "stages.grpo.inputs.prompts.x=1",
        "defaults=1",
        "lr={}",
        "step=[]",
        "lr=nan",
    ] {
        assert!(with(GOOD, &[set]).is_err(), "{set}");
    }
}
