//! Against the gold data, and what is refused.
use crate::{
    artifact::{Artifact, schema::HEADROOM, table::read_rows},
    stages::{
        harness::{refusal, run},
        open::{assert_close, open},
    },
};

use super::*;

#[test]
fn the_gold_data() {
    let open = open();
    let inputs: [(&str, &Artifact); 2] =
        [("checkpoint", &open.checkpoint), ("prompts", &open.prompts)];
    let ran = run(&Headroom::default(), &inputs).unwrap();
    let rows: Vec<HeadroomRow> = read_rows(ran.artifact("headroom"), &HEADROOM).unwrap();
    assert_eq!(rows.len(), 2 * 2 * 5);
    for row in &rows {
        assert_eq!((row.step, row.tokens), (7, Some(4480)));
        let name = format!("{}|{}|{:.1}", row.kind, row.vocab, row.alpha);
        let want = &open.gold["headroom"][&name]["mean"];
        assert_close(&name, row.value, want, 1e-5, row.value);
    }
    let prompts: Vec<PromptRow> = read_rows(ran.artifact("prompts"), &HEADROOM_PROMPTS).unwrap();
    assert_eq!(prompts.len(), 2 * 5 * 12);
    for row in &prompts {
        let name = format!("per-prompt|{}|{:.1}", row.vocab, row.alpha);
        let place = row.prompt as usize;
        let want = &open.gold["headroom"][&name]["per_prompt"][place];
        assert_close(&name, row.value, want, 1e-5, row.value);
        let p_y = &open.gold["one_token"]["p_y"][&row.vocab][place];
        assert_close("p_y", row.p_y, p_y, 1e-5, row.p_y);
    }
    let again = run(&Headroom::default(), &inputs).unwrap();
    for port in ["headroom", "prompts"] {
        assert_eq!(again.artifact(port).digest, ran.artifact(port).digest);
    }
}

#[test]
fn an_alpha_outside_the_sweep_is_reported_besides() {
    let open = open();
    let stage = Headroom {
        alpha: 3.0,
        sweep: vec![10.0, 0.5],
        ..Headroom::default()
    };
    assert_eq!(stage.alphas(), [0.5, 3.0, 10.0]);
    let inputs: [(&str, &Artifact); 2] =
        [("checkpoint", &open.checkpoint), ("prompts", &open.prompts)];
    let ran = run(&stage, &inputs).unwrap();
    let rows: Vec<HeadroomRow> = read_rows(ran.artifact("headroom"), &HEADROOM).unwrap();
    assert_eq!(rows.iter().filter(|row| row.alpha == 3.0).count(), 4);
}

#[test]
fn faults() {
    let stage = |alpha, sweep| Headroom {
        alpha,
        sweep,
        ..Headroom::default()
    };
    assert_eq!(
        refusal(&stage(0.0, vec![])),
        (
            "alpha",
            "`alpha` is 0; allowed: finite and above 0".to_owned()
        )
    );
    assert_eq!(
        refusal(&stage(1.0, vec![-2.0])),
        (
            "sweep",
            "`sweep` is -2; allowed: finite and above 0".to_owned()
        )
    );
    let open = open();
    let train = Headroom {
        split: Split::Train,
        ..Headroom::default()
    };
    let inputs: [(&str, &Artifact); 2] =
        [("checkpoint", &open.checkpoint), ("prompts", &open.prompts)];
    assert_eq!(
        run(&train, &inputs).err().unwrap().to_string(),
        "the prompts have no rows of split `train`"
    );
}
