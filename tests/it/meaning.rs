//! What a good pipeline means, and which edits change nothing.
use std::path::PathBuf;

use serde_json::json;
use vgh::{
    artifact::{Scalar, show_coords},
    diagnostic::{Faults, Source},
    pipeline::{Pipeline, Selector, Snapshots, load},
};

use crate::sketch::{GOOD, KINDS};

mod edits;
mod mutations;

fn with(text: &str, set: &[&str]) -> Result<Pipeline, Faults> {
    let set: Vec<String> = set.iter().map(|text| (*text).to_owned()).collect();
    load(
        Source::file("sketch.toml", text),
        PathBuf::new(),
        KINDS,
        &set,
    )
}

fn read(text: &str) -> Pipeline {
    with(text, &[]).unwrap_or_else(|faults| panic!("{faults}"))
}

/// Everything that keys are made of, and the order in which it is delivered:
/// stages by name, so that the order of tables does not show.
fn meaning(pipeline: &Pipeline) -> Vec<String> {
    let mut lines: Vec<String> = pipeline
        .ids()
        .map(|id| {
            let instance = pipeline.instance(id);
            let inputs: Vec<String> = instance
                .inputs
                .iter()
                .map(|input| {
                    let sources: Vec<String> = input
                        .sources
                        .iter()
                        .map(|source| {
                            let label = pipeline.label(source.instance);
                            let place = show_coords(&source.coords);
                            format!("{label}.{} at [{place}]", source.output.name)
                        })
                        .collect();
                    format!("{} = {}", input.port.name, sources.join("; "))
                })
                .collect();
            format!(
                "{} {} {}",
                pipeline.label(id),
                instance.params,
                inputs.join(" | ")
            )
        })
        .collect();
    lines.sort();
    lines
}

fn same(text: &str, set: &[&str]) {
    let changed = with(text, set).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(meaning(&read(GOOD)), meaning(&changed));
}

/// The file with one passage replaced, which must be there.
fn edit(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    GOOD.replace(from, to)
}

#[test]
fn the_grid_is_expanded() {
    let pipeline = read(GOOD);
    assert_eq!(pipeline.name, "sketch");
    let counts: Vec<(&str, usize)> = pipeline.counts().into_iter().collect();
    assert_eq!(
        counts,
        [
            ("corpus", 1),
            ("grpo", 48),
            ("headroom", 4),
            ("impact", 2),
            ("ladder", 4),
            ("prompts", 1),
            ("report", 1),
            ("scores", 1)
        ]
    );
    let order: Vec<&str> = pipeline
        .stages
        .iter()
        .map(|stage| stage.name.as_str())
        .collect();
    assert_eq!(
        order,
        [
            "corpus", "ladder", "prompts", "headroom", "scores", "grpo", "impact", "report"
        ]
    );
    for (position, stage) in pipeline.stages.iter().enumerate() {
        for instance in &pipeline.instances[stage.instances.clone()] {
            assert_eq!(instance.stage, position);
            for source in instance.inputs.iter().flat_map(|input| &input.sources) {
                assert!(source.instance.0 < stage.instances.start);
            }
        }
    }
}

#[test]
fn shared_axes_match_and_others_are_gathered_in_order() {
    let pipeline = read(GOOD);
    let selector = Selector::parse("grpo@step=50,lr=3e-4,rl_seed=1,budget=20").unwrap();
    let [grpo] = pipeline.select(&[selector]).unwrap()[..] else {
        panic!("one instance");
    };
    let instance = pipeline.instance(grpo);
    assert_eq!(
        *instance.params,
        json!({ "updates": 20, "learning_rate": 3e-4, "beta": 0.0, "advantage": "mean",
                "seed": 1, "note": "" })
    );
    let sources: Vec<String> = instance
        .inputs
        .iter()
        .map(|input| pipeline.label(input.sources[0].instance))
        .collect();
    assert_eq!(sources, ["ladder@step=50", "prompts"]);

    let impact = pipeline.stage_named("impact").unwrap();
    let second = &pipeline.instances[impact.instances.start + 1];
    assert_eq!(show_coords(&second.coords), "lr=3e-4");
    let rewards = &second.inputs[1];
    assert_eq!((rewards.port.name, rewards.sources.len()), ("rewards", 24));
    let places: Vec<_> = rewards
        .sources
        .iter()
        .map(|source| source.coords.clone())
        .collect();
    assert!(places.is_sorted());
    assert_eq!(show_coords(&places[1]), "budget=10,rl_seed=0,step=50");
    for source in &rewards.sources {
        let coords = &pipeline.instance(source.instance).coords;
        assert_eq!(coords["lr"], Scalar::Float(3e-4));
        assert!(
            source
                .coords
                .iter()
                .all(|(axis, value)| coords[axis] == *value)
        );
        assert_eq!(source.output.name, "rewards");
    }
}

#[test]
fn a_port_for_all_takes_what_there_is_and_keeps_coordinates() {
    let text = edit(
        "inputs = { impact = \"impact\" }",
        "inputs = { impact = \"impact\", rewards = [\"grpo@budget=last,step=50..75\"] }",
    );
    let pipeline = read(&text);
    let report = pipeline.instances.last().unwrap();
    let impact: Vec<String> = report.inputs[0]
        .sources
        .iter()
        .map(|source| show_coords(&source.coords))
        .collect();
    assert_eq!(impact, ["lr=1e-4", "lr=3e-4"]);
    assert_eq!(report.inputs[1].sources.len(), 8);
    assert_eq!(
        show_coords(&report.inputs[1].sources[0].coords),
        "budget=30,lr=1e-4,rl_seed=0,step=50"
    );
}

#[test]
fn another_number_is_another_meaning() {
    let a = meaning(&read(GOOD));
    assert_ne!(a, meaning(&read(&edit("1e-4", "0.00010000000000000002"))));
    assert_ne!(a, meaning(&read(&edit("alpha = 1.0", "alpha = 0.9"))));
}

#[test]
fn a_parameter_becomes_an_axis_without_a_changed_reference() {
    let text = edit("[axes]", "[params]\nlr2 = 0.001\n\n[axes]").replace(
        "learning_rate = \"{lr}\"",
        "learning_rate = \"{lr}\"\nbeta = \"{lr2}\"\nnote = \"b{lr2} {{x}}\"",
    );
    let pipeline = read(&text);
    let grpo = pipeline.stage_named("grpo").unwrap();
    let params = &pipeline.instances[grpo.instances.start].params;
    assert_eq!(
        (&params["beta"], &params["note"]),
        (&json!(0.001), &json!("b1e-3 {x}"))
    );
    let text = text
        .replace("[params]\nlr2 = 0.001\n", "")
        .replace("[axes]", "[axes]\nlr2 = [0.001]")
        .replace("\"budget\"]\ninputs", "\"budget\", \"lr2\"]\ninputs")
        .replace("[\"rl_seed\"]", "[\"rl_seed\", \"lr2\"]");
    let pipeline = read(&text);
    let grpo = pipeline.stage_named("grpo").unwrap();
    assert_eq!(
        &pipeline.instances[grpo.instances.start].params["note"],
        "b1e-3 {x}"
    );
}

#[test]
fn records_give_their_fields() {
    let text = edit(
        "[axes]",
        "[axes]\nrun = [{ name = \"b\", beta = 0.5 }, { name = \"a\", beta = 0 }]",
    )
    .replace(
        "\"budget\"]\ninputs",
        "\"budget\", \"run\"]\nbeta = \"{run.beta}\"\nnote = \"{run}\"\ninputs",
    )
    .replace("[\"rl_seed\"]", "[\"rl_seed\", \"run\"]");
    let pipeline = read(&text);
    let found = pipeline
        .select(&[Selector::parse("grpo@run=b").unwrap()])
        .unwrap();
    assert_eq!(found.len(), 48);
    for id in found {
        let params = &pipeline.instance(id).params;
        assert_eq!(
            (&params["beta"], &params["note"]),
            (&json!(0.5), &json!("b"))
        );
    }
    let less = with(&text, &["run=a"]).unwrap();
    assert_eq!(less.counts()["grpo"], 48);
    assert_eq!(
        less.instance(
            less.select(&[Selector::parse("grpo@run=a,step=first").unwrap()])
                .unwrap()[0]
        )
        .params["beta"],
        json!(0.0)
    );
}

#[test]
fn set_restricts_axes_and_changes_any_key() {
    let pipeline = with(
        GOOD,
        &["lr=3e-4", "budget=[10, 40]", "stages.grpo.beta=0.5"],
    )
    .unwrap();
    assert_eq!(pipeline.counts()["grpo"], 16);
    assert_eq!(pipeline.counts()["impact"], 1);
    let grpo = pipeline.stage_named("grpo").unwrap();
    let params = &pipeline.instances[grpo.instances.start].params;
    assert_eq!(
        (&params["beta"], &params["learning_rate"]),
        (&json!(0.5), &json!(3e-4))
    );
    let pipeline = with(
        GOOD,
        &[
            "stages.grpo.note=hello",
            "pipeline.name=other",
            "defaults.seed=7",
            "stages.grpo.snapshots=none",
            "stages.grpo.resources.cpu=4",
        ],
    )
    .unwrap();
    assert_eq!(pipeline.name, "other");
    let grpo = pipeline.stage_named("grpo").unwrap();
    assert_eq!(grpo.execution.snapshots, Snapshots::None);
    assert_eq!(grpo.execution.resources.cpu, 4);
    assert_eq!(
        &pipeline.instances[grpo.instances.start].params["note"],
        "hello"
    );
    assert_eq!(&pipeline.instances[0].params["seed"], 7);
    same(GOOD, &["lr=[3e-4, 1e-4]"]);
}

#[test]
fn what_is_temp_or_exists_elsewhere_is_copied_for_people_only_if_asked_for() {
    let text = |settings: &str| {
        format!(
            "[pipeline]\nformat = 1\nname = \"p\"\n\n[stages.model]\nkind = \"local-checkpoint\"\n\
             path = \"m\"\nstep = 1\ntokens = 1\n{settings}\n\n[stages.corpus]\n\
             kind = \"copy-corpus\"\n{settings}\n"
        )
    };
    for (settings, copied) in [
        ("", [false, true]),
        ("temp = true", [false, false]),
        ("temp = true\npublish = true", [true, true]),
        ("publish = false", [false, false]),
    ] {
        let source = Source::file("p.toml", text(settings));
        let pipeline = load(source, PathBuf::new(), vgh::stages::KINDS, &[]);
        let pipeline = pipeline.unwrap_or_else(|faults| panic!("{faults}"));
        let published = ["model", "corpus"].map(|name| {
            let stage = pipeline.stage_named(name).unwrap();
            stage.execution.publish
        });
        assert_eq!(published, copied, "{settings}");
    }
}

#[test]
fn selectors_name_instances() {
    let pipeline = read(GOOD);
    let select = |texts: &[&str]| {
        let selectors: Vec<Selector> = texts.iter().map(|t| Selector::parse(t).unwrap()).collect();
        pipeline
            .select(&selectors)
            .map(|found| found.len())
            .map_err(|faults| faults.to_string())
    };
    assert_eq!(select(&["grpo"]), Ok(48));
    assert_eq!(select(&["grpo@lr=0.0001,step=25..50"]), Ok(12));
    assert_eq!(
        select(&["grpo@step=last,budget=first", "ladder@step=last"]),
        Ok(5)
    );
    assert_eq!(select(&["ladder", "ladder@step=50"]), Ok(4));
    assert_eq!(select(&["grpo.rewards@step=..60"]), Ok(24));
    assert_eq!(select(&[]), Ok(0));
    assert_eq!(
        select(&["grop", "grpo@lr=2e-4"]).unwrap_err(),
        "error: no stage is named `grop`\n  --> command line\n   |\n   | grop\n   | ^^^^\n\
         help: did you mean `grpo`?\n\n\
         error: `lr` has no value 2e-4\n  --> command line\n   |\n   | grpo@lr=2e-4\n   \
         |      ^^^^^^^ values: 1e-4, 3e-4\nhelp: the nearest: 1e-4, 3e-4\n\n\
         2 faults; nothing was run"
    );
}
